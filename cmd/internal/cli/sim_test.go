package cli_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/simulation"
)

// TestSim runs a few worlds, and one with its story; the same seed tells the same
// story again.
func TestSim(t *testing.T) {
	t.Parallel()
	code, out, errs := ebb(t.Context(), "sim", "--seeds", "2", "--faults", "instance-loss,kill")
	if code != 0 || !strings.Contains(out, "worlds     2, 0 broke a law") || errs != "" {
		t.Errorf("exit code %d, output:\n%s%s", code, out, errs)
	}
	story := func() string {
		code, out, errs := ebb(t.Context(), "sim", "--seed", "2", "--trace", "--faults", "kill")
		if code != 0 || !strings.Contains(out, "instance.launched") || errs != "" {
			t.Errorf("exit code %d, output:\n%s%s", code, out, errs)
		}
		return out
	}
	if first, second := story(), story(); first != second {
		t.Error("the same seed tells another story the second time")
	}
}

// TestSimUsage refuses what makes no sense.
func TestSimUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"--seeds 0", "--seeds and --workers are numbers from 1"},
		{"--trace", "--trace needs --seed"},
		{"--seed 1 --seeds 2", "leave out --seeds"},
		{"--faults earthquake", `there is no fault "earthquake"; there are abort, `},
	} {
		code, out, errs := ebb(t.Context(), append([]string{"sim"}, strings.Fields(c.args)...)...)
		if code != 2 || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("ebb sim %s: exit code %d, output:\n%s%s", c.args, code, out, errs)
		}
	}
}

// TestSimFaults: the help has a line for every fault that there is, and the shell
// is told the same.
func TestSimFaults(t *testing.T) {
	t.Parallel()
	_, help, _ := ebb(t.Context(), "sim", "--help")
	_, offered, _ := ebb(t.Context(), "__complete", "sim", "--faults", "kill,")
	for _, name := range simulation.Faults() {
		about := simulation.AboutFault(name)
		if len(about) < 20 || len(about) > 100 || strings.Contains(about, "\n") {
			t.Errorf("%s is explained by %q: write one line", name, about)
		}
		if !regexp.MustCompile(`(?m)^  ` + name + ` +` + regexp.QuoteMeta(about) + `$`).MatchString(help) {
			t.Errorf("ebb sim --help does not explain %s:\n%s", name, help)
		}
		if !strings.Contains(offered, "kill,"+name+"\t"+about+"\n") {
			t.Errorf("the shell is not told of %s:\n%s", name, offered)
		}
		if code, _, errs := ebb(t.Context(), "sim", "--seeds", "1", "--faults", name); code != 0 {
			t.Errorf("%s alone: %s", name, errs)
		}
	}
	_, _, errs := ebb(t.Context(), "sim", "--faults", "kil")
	for _, name := range simulation.Faults() {
		if !strings.Contains(errs, name) {
			t.Errorf("the error does not list %s: %s", name, errs)
		}
	}
}
