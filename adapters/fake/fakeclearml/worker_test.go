package fakeclearml_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

func names(t *testing.T, s *fakeclearml.Server, f fakeclearml.WorkerFilter) string {
	t.Helper()
	var out []string
	for _, w := range must[[]fakeclearml.Worker](t)(s.Workers(f)) {
		out = append(out, w.ID)
	}
	return strings.Join(out, " ")
}

func TestWorkerPattern(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	for _, id := range []string{"pfx:m1:x:i-1", "pfx:m2:x:i-2", "other_pfx:m1:x:i-3", "pfx[1]:m1:x:i-4", "pfx*:m1", "PFX:m1", "pfx1:m1"} {
		if err := s.Register(fakeclearml.RegisterRequest{Worker: id}); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]string{
		"pfx:*":             "other_pfx:m1:x:i-3 pfx:m1:x:i-1 pfx:m2:x:i-2",
		"pfx:m1:*":          "other_pfx:m1:x:i-3 pfx:m1:x:i-1",
		"m1:*":              "",
		"pfx[1]:*":          "pfx1:m1",
		`pfx\[1\]:*`:        "pfx[1]:m1:x:i-4",
		`pfx\*:*`:           "pfx*:m1",
		"pfx:m[1-2]:*i-2":   "pfx:m2:x:i-2",
		"pfx:m[2-1]:*i-2":   "pfx:m2:x:i-2",
		"pfx:m[^1]:*":       "pfx:m2:x:i-2",
		"pfx:m?:x:i-?":      "other_pfx:m1:x:i-3 pfx:m1:x:i-1 pfx:m2:x:i-2",
		`pfx:m[\1]:x:i-1`:   "pfx:m1:x:i-1",
		"pfx:m1:x:i-1":      "pfx:m1:x:i-1",
		"pfx:m1:x:i-":       "",
		"PFX:*":             "PFX:m1",
		"**i-4":             "pfx[1]:m1:x:i-4",
		"pfx:m[1":           "",
		"pfx:m1:x:i-[1":     "pfx:m1:x:i-1", // a set that is not closed ends with the pattern
		`pfx:m1:x:i-1\`:     "",
		"pfx:m1:x:i-[]":     "",
		"pfx:m1:x:i-[a-z1]": "pfx:m1:x:i-1",
	}
	for pattern, want := range tests {
		if got := names(t, s, fakeclearml.WorkerFilter{Pattern: pattern}); got != want {
			t.Errorf("pattern %s selects %q, want %q", pattern, got, want)
		}
	}
}

func TestWorkerTimeout(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t)
	task := bring(t, s, fakeclearml.StatusInProgress)
	for _, r := range []fakeclearml.RegisterRequest{{Worker: "short", Timeout: 2 * time.Second}, {Worker: "normal"}} {
		if err := s.Register(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ReportStatus(fakeclearml.Report{Worker: "normal", Task: task}); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		after    time.Duration
		lastSeen time.Duration
		want     string
	}{
		{0, 0, "normal short"},
		{2 * time.Second, 0, "normal"},
		{88 * time.Second, 60 * time.Second, ""},
		{0, 90 * time.Second, "normal"},
		{509 * time.Second, 0, "normal"}, // 599 s after its last report it still shows its task
		{time.Second, 0, ""},
	}
	for i, st := range steps {
		clk.Advance(st.after)
		if got := names(t, s, fakeclearml.WorkerFilter{LastSeen: st.lastSeen}); got != st.want {
			t.Errorf("step %d: listed %q, want %q", i, got, st.want)
		}
		if st.want == "normal" {
			if w := must[[]fakeclearml.Worker](t)(s.Workers(fakeclearml.WorkerFilter{})); w[0].Task != task {
				t.Errorf("step %d: dead worker shows task %q", i, w[0].Task)
			}
		}
	}
}

func TestWorkerBelongsToUser(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, func(c *fakeclearml.Config) {
		c.Users = []fakeclearml.User{{ID: "alice", Keys: map[string]string{"K2": "S2"}}}
	})
	for _, user := range []string{"", "alice"} {
		if err := s.Register(fakeclearml.RegisterRequest{User: user, Worker: "same"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, s, fakeclearml.WorkerFilter{}); got != "same same" {
		t.Errorf("listed %q, want one row for each user", got)
	}
	s.Unregister("alice", "same")
	left := must[[]fakeclearml.Worker](t)(s.Workers(fakeclearml.WorkerFilter{}))
	if len(left) != 1 || left[0].User != "__tests__" || !strings.HasSuffix(left[0].Key, "___tests___same") {
		t.Errorf("left %v", left)
	}
	s.Unregister("alice", "same") // a silent success that changes nothing
	if got := names(t, s, fakeclearml.WorkerFilter{}); got != "same" {
		t.Errorf("listed %q", got)
	}
	if err := s.ReportStatus(fakeclearml.Report{User: "alice", Worker: "same"}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s, fakeclearml.WorkerFilter{}); got != "same same" {
		t.Errorf("after a report listed %q, want the unregistered worker back", got)
	}
	if err := s.Register(fakeclearml.RegisterRequest{User: "nobody", Worker: "x"}); code(err) != "400/301" {
		t.Errorf("unknown user: %s", code(err))
	}
}

func TestWorkerTags(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t)
	for _, r := range []fakeclearml.RegisterRequest{
		{Worker: "a", Tags: []string{"x", "y"}}, {Worker: "b", Tags: []string{"y"}, SystemTags: []string{"sys"}}, {Worker: "c"},
	} {
		if err := s.Register(r); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		tags, system, pattern, want string
	}{
		{"y", "", "", "a b"},
		{"x y", "", "", "a b"},
		{"y -x", "", "", "b"},
		{"-x", "", "", "b c"},
		{"", "sys", "", "b"},
		{"", "-sys", "", "a c"},
		{"y", "sys", "", "b"},
		{"z", "", "", ""},
		{"y", "", "a", "a"},
	}
	for _, tt := range tests {
		f := fakeclearml.WorkerFilter{Tags: strings.Fields(tt.tags), SystemTags: strings.Fields(tt.system), Pattern: tt.pattern}
		if got := names(t, s, f); got != tt.want {
			t.Errorf("%+v selects %q, want %q", f, got, tt.want)
		}
	}
	// The next report wipes the tags; the index remembers them until they time out.
	clk.Advance(time.Second)
	if err := s.ReportStatus(fakeclearml.Report{Worker: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s, fakeclearml.WorkerFilter{Tags: []string{"x"}}); got != "a" {
		t.Errorf("by a tag it no longer has: %q, want a", got)
	}
	clk.Advance(599 * time.Second)
	if got := names(t, s, fakeclearml.WorkerFilter{Tags: []string{"x"}}); got != "" {
		t.Errorf("after the index has timed out: %q", got)
	}
}

func TestReportWithUnknownTaskStillCounts(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t)
	if err := s.Register(fakeclearml.RegisterRequest{Worker: "w"}); err != nil {
		t.Fatal(err)
	}
	clk.Advance(time.Minute)
	if err := s.ReportStatus(fakeclearml.Report{Worker: "w", Task: "nope"}); code(err) != "400/101" {
		t.Errorf("answer %s", code(err))
	}
	w := must[[]fakeclearml.Worker](t)(s.Workers(fakeclearml.WorkerFilter{}))[0]
	if !w.LastReport.IsZero() || w.LastActivity.Sub(w.RegisterTime) != time.Minute {
		t.Errorf("last report %v, activity %v after registration", w.LastReport, w.LastActivity.Sub(w.RegisterTime))
	}
}

func TestWorkerRow(t *testing.T) {
	t.Parallel()
	s, clk := newServer(t)
	task := newTask(t, s, "long one")
	next := newTask(t, s, "next one")
	enqueued(t, s, next, "gpu")
	q, _ := s.QueueByName("gpu")
	must[fakeclearml.Change](t)(s.Started(fakeclearml.StatusRequest{Task: task}))
	clk.Advance(90 * time.Second)
	s.Ping("", task)
	body := map[string]any{"worker": "w", "timestamp": 1, "task": task, "queue": q.ID, "queues": []string{q.ID, "gone"}}
	if a := post(t, s, "/v2.30/workers.status_report", body); a.status != 200 {
		t.Fatalf("report: %s", a.raw)
	}
	row := post(t, s, "/v2.30/workers.get_all", map[string]any{}).data["workers"].([]any)[0].(map[string]any)
	shown := row["task"].(map[string]any)
	if shown["running_time"] != 90000.0 || shown["name"] != "long one" {
		t.Errorf("task in the row: %v", shown)
	}
	queue := row["queue"].(map[string]any)
	if queue["num_tasks"] != 1.0 || queue["next_task"].(map[string]any)["id"] != next || len(row["queues"].([]any)) != 2 {
		t.Errorf("queue in the row: %v, queues %v", queue, row["queues"])
	}
}
