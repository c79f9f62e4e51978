package doctor_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
	"github.com/ebbscale/ebb/messages"
)

// TestDisk judges disks that no test can have.
func TestDisk(t *testing.T) {
	t.Parallel()

	need := bus.DiskNeeded()
	for name, c := range map[string]struct {
		report bus.DirReport
		want   doctor.Status
		says   string
	}{
		"much":                     {bus.DirReport{Free: 100 * need}, doctor.OK, "GiB free"},
		"just enough":              {bus.DirReport{Free: need + 1}, doctor.Warn, "1.3 GiB"},
		"too little":               {bus.DirReport{Free: need - 1<<20}, doctor.Fail, "the stream of events needs 1.3 GiB to be made"},
		"too little, events there": {bus.DirReport{Free: 50 << 20, HasEvents: true}, doctor.Warn, "only 50 MiB free"},
		"full":                     {bus.DirReport{Free: 5 << 20, HasEvents: true, Full: true}, doctor.Fail, "is full (5 MiB free): nothing can be stored"},
		"full for the running":     {bus.DirReport{Free: 100 * need, Running: bus.Store{Fault: bus.StoreFailing, Detail: "input/output error"}}, doctor.Fail, "(input/output error)"},
		"full, nobody knows":       {bus.DirReport{Free: -1, Full: true}, doctor.Fail, "is full (0 MiB free)"},
		"enough, events there":     {bus.DirReport{Free: need + 1, HasEvents: true}, doctor.OK, "free"},
		"nobody knows":             {bus.DirReport{Free: -1}, doctor.NotChecked, "not checked: because"},
	} {
		check, ok := find(doctor.CheckDir("/state", c.report), doctor.Disk, "")
		if !ok || check.Status != c.want || !strings.Contains(check.Message, c.says) {
			t.Errorf("%s: got %+v, want %s with %q", name, check, c.want, c.says)
		}
		if (check.Status == doctor.Warn || check.Status == doctor.Fail) && !strings.Contains(check.Fix, "state_dir") {
			t.Errorf("%s: the cure is %q", name, check.Fix)
		}
	}
}

// TestWorkersUnclear: who may not list instances cannot tell whose workers of a
// known resource are.
func TestWorkersUnclear(t *testing.T) {
	t.Parallel()

	c := newClinic(t)
	c.region.Denied = []string{"DescribeInstances"}
	c.prepare = func(c *clinic) { report(c, "dynamic_aws:gpu:g5.xlarge:i-0123456789abcdef0") }
	if check, _ := find(c.examine(), doctor.ClearMLWorkers, ""); check.Status != doctor.NotChecked {
		t.Errorf("got %+v", check)
	}
}

// TestNoRole is on a machine without a role and without keys; the test says so.
func TestNoRole(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_DEFAULT_PROFILE": "",
		"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
		"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_EC2": "", "AWS_ENDPOINT_URL_STS": "",
	} {
		t.Setenv(name, value)
	}
	c := newClinic(t)
	c.edit("access_key_id: "+awsKey+", secret_access_key: "+awsSecret, "use_iam_role: true")
	report := c.examine()
	check, _ := find(report, doctor.AWSCredentials, "")
	if check.Status != doctor.Fail || !strings.Contains(check.Fix, "autoscalers[0].aws.use_iam_role") {
		t.Errorf("got %+v\n%s", check, show(t, report))
	}

	t.Setenv("AWS_ACCESS_KEY_ID", awsKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", awsSecret)
	c = newClinic(t)
	c.edit("access_key_id: "+awsKey+", secret_access_key: "+awsSecret, "use_iam_role: true")
	if bad := wrong(c.examine(), doctor.Fail, doctor.Warn); len(bad) > 0 {
		t.Errorf("with keys in the environment: complains of %q", bad)
	}
}

// TestLiving leaves out what EC2 still lists for an hour after its end.
func TestLiving(t *testing.T) {
	t.Parallel()
	var listed []messages.Instance
	for _, state := range []messages.InstanceState{messages.StatePending, messages.StateRunning, messages.StateShuttingDown, messages.StateTerminated, messages.StateTerminated} {
		listed = append(listed, messages.Instance{State: state})
	}
	if got := doctor.Living(listed); got != 2 {
		t.Errorf("%d of 5 live, want 2", got)
	}
}
