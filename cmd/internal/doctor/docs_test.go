package doctor_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/doctor"
)

// TestDocs holds the tables of docs/doctor.md to the lists of checks and of
// permissions: the same rows in the same order.
func TestDocs(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("../../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var checks, actions []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\| (.+) \\|$").FindAllStringSubmatch(string(text), -1) {
		switch {
		case regexp.MustCompile(`^(ok|warn|FAIL|-)$`).MatchString(row[1]):
		case regexp.MustCompile(`^(ec2|iam|ssm):`).MatchString(row[1]):
			actions = append(actions, row[1])
		default:
			checks = append(checks, row[1])
		}
	}
	var want []string
	for _, id := range doctor.Checks() {
		want = append(want, string(id))
	}
	if !slices.Equal(checks, want) {
		t.Errorf("the table has the checks\n%q, the code\n%q", checks, want)
	}
	listed := doctor.Permissions()
	slices.Sort(listed)
	slices.Sort(actions)
	if !slices.Equal(actions, listed) {
		t.Errorf("the table has the permissions\n%q, the code\n%q", actions, listed)
	}
}
