package cli_test

import (
	"strings"
	"testing"
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
