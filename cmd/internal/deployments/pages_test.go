package deployments_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestPagesNameWhatIsThere finds files that the pages of deployments name and that are
// not there.
func TestPagesNameWhatIsThere(t *testing.T) {
	t.Parallel()

	links := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	pages := []string{"README.md", "compose/README.md", "systemd/README.md", "kubernetes/README.md", "container/README.md", "iam/README.md"}
	found := 0
	for _, page := range pages {
		dir, _, _ := strings.Cut("deployments/"+page, "/README.md")
		for _, link := range links.FindAllStringSubmatch(readFile(t, "deployments", page), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			found++
			if !exists(dir + "/" + link[1]) {
				t.Errorf("deployments/%s links to %s, which is not there", page, link[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d links only", found)
	}
}
