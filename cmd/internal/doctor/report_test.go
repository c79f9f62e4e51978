package doctor_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
)

// sample has each status, and three checks that were not made for two reasons.
func sample() doctor.Report {
	return doctor.Report{
		{ID: doctor.Config, Status: doctor.OK, Message: "ebb.yaml: 1 autoscaler"},
		{Autoscaler: "prod", ID: doctor.ClearMLQueues, Subject: "gpu", Status: doctor.Warn, Message: "does not exist", Fix: "spell it"},
		{Autoscaler: "prod", ID: doctor.AWSCredentials, Status: doctor.Fail, Message: "no <good>", Fix: "write a key"},
		{Autoscaler: "prod", ID: doctor.AWSRegion, Status: doctor.NotChecked, Message: "not checked: because aws.credentials failed"},
		{Autoscaler: "prod", ID: doctor.AWSImage, Subject: "gpu", Status: doctor.NotChecked, Message: "not checked: because aws.credentials failed"},
		{Autoscaler: "prod", ID: doctor.AWSQuota, Status: doctor.NotChecked, Message: "not checked: because of rights"},
		{Autoscaler: "test", ID: doctor.AWSQuota, Status: doctor.NotChecked, Message: "not checked: because of rights"},
	}
}

func TestWriteText(t *testing.T) {
	t.Parallel()

	const want = `this process
  ok    config: ebb.yaml: 1 autoscaler

autoscaler prod
  warn  clearml.queues gpu: does not exist
        to do: spell it
  FAIL  aws.credentials: no <good>
        to do: write a key
  -     aws.region, aws.image gpu: not checked: because aws.credentials failed
  -     aws.quota: not checked: because of rights

autoscaler test
  -     aws.quota: not checked: because of rights

7 checks: 1 ok, 1 warn, 1 failed, 4 not checked
`
	if got := show(t, sample()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()

	var text bytes.Buffer
	if err := sample().WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got []map[string]string
	if err := json.Unmarshal(text.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(sample()) {
		t.Fatalf("%d checks, want %d", len(got), len(sample()))
	}
	for i, want := range sample() {
		one := got[i]
		if one["autoscaler"] != want.Autoscaler || one["check"] != string(want.ID) || one["subject"] != want.Subject ||
			one["status"] != string(want.Status) || one["message"] != want.Message || one["fix"] != want.Fix || len(one) != 6 {
			t.Errorf("got %v, want %+v", one, want)
		}
	}
	if !strings.Contains(text.String(), "no <good>") {
		t.Errorf("escaped for HTML: %s", text.String())
	}
	text.Reset()
	if err := doctor.Report(nil).WriteJSON(&text); err != nil || strings.TrimSpace(text.String()) != "[]" {
		t.Errorf("an empty report is %q, %v", text.String(), err)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()

	for status, want := range map[doctor.Status]int{doctor.OK: 1, doctor.Warn: 1, doctor.Fail: 1, doctor.NotChecked: 4} {
		if got := sample().Count(status); got != want {
			t.Errorf("%s: %d, want %d", status, got, want)
		}
	}
}

// TestUnsoundConfiguration: each problem is a check as ebb config check shows it,
// and all else is not checked.
func TestUnsoundConfiguration(t *testing.T) {
	t.Parallel()

	problem := config.Problem{Path: "autoscalers[0].name", Where: "ebb.yaml", Line: 4, Message: "is missing", Fix: "write a name, such as prod"}
	report := doctor.Run(t.Context(), doctor.Options{Path: "ebb.yaml", Problems: []config.Problem{problem, {Message: "is odd"}}})
	if report[0].ID != doctor.Config || report[0].Status != doctor.Fail || report[0].Message != problem.String() || report[0].Fix != problem.Fix {
		t.Errorf("got %+v", report[0])
	}
	if report.Count(doctor.Fail) != 2 || report.Count(doctor.OK) != 0 || report.Count(doctor.NotChecked) != len(doctor.Checks())-1 {
		t.Errorf("got\n%s", show(t, report))
	}
}
