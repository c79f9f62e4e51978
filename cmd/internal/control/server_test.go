package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

// fakeEngine answers everything, and remembers what it was told to do.
type fakeEngine struct {
	status messages.Status
	fails  *messages.Failure
	orders []ordered
	by     []string // who had the configuration read again
}

type ordered struct {
	by    string
	order messages.Order
}

func (e *fakeEngine) Order(_ context.Context, name messages.AutoscalerName, by string, order messages.Order) (messages.Answered, error) {
	if name != "prod" {
		return messages.Answered{}, fmt.Errorf("asked for %q", name)
	}
	if e.fails != nil {
		return messages.Answered{}, e.fails
	}
	if _, only := order.(messages.ReportStatus); only {
		status := e.status
		return messages.Answered{Status: &status}, nil
	}
	e.orders = append(e.orders, ordered{by, order})
	return messages.Answered{Instances: []messages.InstanceID{"i-1"}}, nil
}

func (e *fakeEngine) Reload(_ context.Context, by string) (control.Reloaded, error) {
	e.by = append(e.by, by)
	return control.Reloaded{Changes: []string{"prod: max_instances: 1 -> 2"}}, nil
}

func (e *fakeEngine) Now() time.Time { return noon }

func ask(e *fakeEngine, verb, request string) (any, error) {
	return control.Handlers("prod", e)[verb](context.Background(), []byte(request))
}

// numbered are n instances in the order of their ids.
func numbered(n int, name string) []messages.InstanceStatus {
	all := make([]messages.InstanceStatus, n)
	for i := range all {
		all[i] = messages.InstanceStatus{Instance: messages.InstanceID(fmt.Sprintf("i-%017d", i)), Resource: "gpu", TaskName: name}
	}
	return all
}

// TestStatusPages reads a fleet page by page: every instance once, in order, and
// each page fits into a message.
func TestStatusPages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		instances, pages int
		taskName         string
	}{
		{0, 1, ""},
		{1, 1, ""},
		{800, 1, ""},
		{801, 2, ""},
		{2500, 4, ""},
		{10, 1, strings.Repeat("n", 1000)},
		{1000, 3, strings.Repeat("n", 1000)}, // fewer fit
		{3, 3, strings.Repeat("n", 600_000)}, // one at a time
	} {
		engine := &fakeEngine{status: world()}
		want := numbered(c.instances, c.taskName)
		engine.status.Instances = want
		var got []messages.InstanceStatus
		after, pages := messages.InstanceID(""), 0
		status := control.Handlers("prod", engine)[control.VerbStatus]
		for more := true; more; pages++ {
			answer, err := status(t.Context(), fmt.Appendf(nil, `{"after":%q}`, after))
			if err != nil {
				t.Fatal(err)
			}
			page := answer.(control.Status)
			data, err := json.Marshal(page)
			if err != nil || len(data) > 900_000 {
				t.Errorf("%d instances: page %d has %d bytes: %v", c.instances, pages, len(data), err)
			}
			if first := after == ""; first != (len(page.Queues) > 0) || first != (len(page.Resources) > 0) {
				t.Errorf("%d instances: page %d has %d queues and %d resource types", c.instances, pages, len(page.Queues), len(page.Resources))
			}
			got, more = append(got, page.Instances...), page.More
			if len(got) > 0 {
				after = got[len(got)-1].Instance
			}
			engine.status.Instances = nil // further pages are of the same moment
			if pages > c.pages {
				t.Fatalf("%d instances: there is no end", c.instances)
			}
		}
		if pages != c.pages || len(got) != c.instances || (c.instances > 0 && !reflect.DeepEqual(got, want)) {
			t.Errorf("%d instances came as %d in %d pages, want %d pages", c.instances, len(got), pages, c.pages)
		}
	}
}

// TestStatusAfterOneThatIsGone goes on behind an instance that ended meanwhile.
func TestStatusAfterOneThatIsGone(t *testing.T) {
	t.Parallel()
	engine := &fakeEngine{status: world()}
	engine.status.Instances = numbered(3, "")
	answer, err := ask(engine, control.VerbStatus, `{"after":"i-00000000000000000x"}`)
	if err != nil {
		t.Fatal(err)
	}
	if page := answer.(control.Status); len(page.Instances) != 2 || page.More {
		t.Errorf("got %d instances, more %v", len(page.Instances), page.More)
	}
	answer, err = ask(engine, control.VerbStatus, `{"after":"z"}`)
	if err != nil {
		t.Fatal(err)
	}
	if page := answer.(control.Status); len(page.Instances) != 0 || page.More {
		t.Errorf("behind all: %d instances, more %v", len(page.Instances), page.More)
	}
}

// TestOrders holds what becomes of each sound request.
func TestOrders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verb, request string
		want          ordered
	}{
		{control.VerbPause, ``, ordered{"", messages.PauseLaunches{}}},
		{control.VerbPause, ` {} `, ordered{"", messages.PauseLaunches{}}},
		{control.VerbPause, `{"by":"ana","why":"moving: daß geht","seconds":90.5}`, ordered{"ana", messages.PauseLaunches{Why: "moving: daß geht", Until: noon.Add(90500 * time.Millisecond)}}},
		{control.VerbPause, `{"seconds":0}`, ordered{"", messages.PauseLaunches{}}},
		{control.VerbPause, `{"seconds":31622400}`, ordered{"", messages.PauseLaunches{Until: noon.Add(366 * 24 * time.Hour)}}},
		{control.VerbResume, `{"by":"ana"}`, ordered{"ana", messages.ResumeLaunches{}}},
		{control.VerbDrain, `{"instance":"i-1","by":"ana"}`, ordered{"ana", messages.DrainInstanceNow{Instance: "i-1"}}},
		{control.VerbDrain, `{"instance":"i-1","force":true}`, ordered{"", messages.DrainInstanceNow{Instance: "i-1", Force: true}}},
		{control.VerbShutdownIdle, ``, ordered{"", messages.DrainIdleNow{}}},
		{control.VerbShutdownIdle, `{"resource":"gpu"}`, ordered{"", messages.DrainIdleNow{Resource: "gpu"}}},
	} {
		engine := &fakeEngine{status: world()}
		answer, err := ask(engine, c.verb, c.request)
		if err != nil {
			t.Errorf("%s %s: %v", c.verb, c.request, err)
			continue
		}
		if done, ok := answer.(control.Done); !ok || len(done.Instances) != 1 {
			t.Errorf("%s %s: answers %+v", c.verb, c.request, answer)
		}
		if len(engine.orders) != 1 || !reflect.DeepEqual(engine.orders[0], c.want) {
			t.Errorf("%s %s: ordered %+v, want %+v", c.verb, c.request, engine.orders, c.want)
		}
	}
	engine := &fakeEngine{status: world()}
	if _, err := ask(engine, control.VerbReload, `{"by":"ana"}`); err != nil || len(engine.by) != 1 || engine.by[0] != "ana" {
		t.Errorf("reload: %v by %v", err, engine.by)
	}
	answer, err := ask(engine, control.VerbExplain, `{"queue":"training"}`)
	if e, ok := answer.(control.Explanation); err != nil || !ok || e.Summary != "Nothing waits in queue training." {
		t.Errorf("explain: %+v, %v", answer, err)
	}
}

// TestBadRequests holds that nonsense is refused, with the place and the cure, and
// that nothing is done.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 501)
	for _, c := range []struct{ verb, request, want string }{
		{control.VerbStatus, `status`, "invalid character 's'"},
		{control.VerbStatus, `null`, "it is no JSON object"},
		{control.VerbStatus, `[]`, "it is no JSON object"},
		{control.VerbStatus, `"x"`, "it is no JSON object"},
		{control.VerbStatus, `7`, "it is no JSON object"},
		{control.VerbStatus, `{`, "EOF"},
		{control.VerbStatus, `{"after":"i-1"`, "EOF"},
		{control.VerbStatus, `{"after":"i-1",}`, "invalid character"},
		{control.VerbStatus, "{\"after\":\"\xff\"}", "it is not UTF-8"},
		{control.VerbStatus, `{"after":3}`, "cannot unmarshal number"},
		{control.VerbStatus, `{"after":null}`, `its field "after" is null; leave it out`},
		{control.VerbStatus, `{"After":"i-1"}`, `it has a field "After"; the fields are after`},
		{control.VerbStatus, `{"after":"` + long + `"}`, "after is longer than 300 characters"},
		{control.VerbPause, `{} {}`, "behind the JSON object"},
		{control.VerbPause, `{}x`, "behind the JSON object"},
		{control.VerbPause, `{"secs":3}`, `it has a field "secs"; the fields are by, why, seconds`},
		{control.VerbPause, `{"seconds":"3"}`, "cannot unmarshal string"},
		{control.VerbPause, `{"seconds":1e999}`, "cannot unmarshal number 1e999"},
		{control.VerbPause, `{"seconds":1e300}`, "seconds is not between 0 and 31622400"},
		{control.VerbPause, `{"seconds":-1}`, "seconds is not between 0 and 31622400"},
		{control.VerbPause, `{"seconds":NaN}`, "invalid character 'N'"},
		{control.VerbPause, `{"seconds":1,"seconds":2}`, `it has the field "seconds" twice`},
		{control.VerbPause, `{"why":"` + long + `"}`, "why is longer than 500 characters"},
		{control.VerbPause, `{"why":"red \u001b[31m"}`, "why holds a character that can not be printed"},
		{control.VerbPause, `{"why":"two\nlines"}`, "why holds a character that can not be printed"},
		{control.VerbPause, `{"by":"\u0000"}`, "by holds a character that can not be printed"},
		{control.VerbResume, `{"by":"` + long + `"}`, "by is longer than 100 characters"},
		{control.VerbResume, `{"why":"x"}`, "the fields are by"},
		{control.VerbDrain, ``, "instance is missing"},
		{control.VerbDrain, `{"instance":""}`, "instance is missing"},
		{control.VerbDrain, `{"instance":["i-1"]}`, "cannot unmarshal array"},
		{control.VerbDrain, `{"instance":"i-1","force":"yes"}`, "cannot unmarshal string"},
		{control.VerbDrain, `{"instance":"i-1","force":false,"force":true}`, `the field "force" twice`},
		{control.VerbDrain, `{"instance":"i-1","FORCE":true}`, `it has a field "FORCE"`},
		{control.VerbDrain, `{"instance":"i-1\r\n"}`, "instance holds a character"},
		{control.VerbDrain, `{"instance":"` + long + `"}`, "instance is longer than 300"},
		{control.VerbShutdownIdle, `{"resource":true}`, "cannot unmarshal bool"},
		{control.VerbShutdownIdle, `{"resource":"` + long + `"}`, "resource is longer than 300"},
		{control.VerbReload, `{"by":"\t"}`, "by holds a character"},
		{control.VerbReload, `{"file":"/etc/passwd"}`, "the fields are by"},
		{control.VerbExplain, ``, "queue is missing"},
		{control.VerbExplain, `{"queue":"nope"}`, `watches no queue "nope"; it watches training, cpu`},
		{control.VerbExplain, `{"queue":"` + long + `"}`, "queue is longer than 300"},
	} {
		engine := &fakeEngine{status: world()}
		answer, err := ask(engine, c.verb, c.request)
		failure := messages.FailureOf(err)
		if failure == nil || (failure.Class != messages.ClassInvalid && failure.Class != messages.ClassNotFound) || !strings.Contains(failure.Message, c.want) {
			t.Errorf("%s %.60s: got %+v, %v; want %q", c.verb, c.request, answer, err, c.want)
		}
		if len(engine.orders)+len(engine.by) > 0 {
			t.Errorf("%s %.60s: was done: %+v", c.verb, c.request, engine.orders)
		}
	}
}

// TestEngineFails passes on why.
func TestEngineFails(t *testing.T) {
	t.Parallel()
	engine := &fakeEngine{status: world(), fails: &messages.Failure{Class: messages.ClassTransient, Message: "in a moment"}}
	for verb, request := range map[string]string{
		control.VerbStatus: ``, control.VerbExplain: `{"queue":"training"}`, control.VerbPause: ``, control.VerbResume: ``,
		control.VerbDrain: `{"instance":"i-1"}`, control.VerbShutdownIdle: ``,
	} {
		if answer, err := ask(engine, verb, request); messages.FailureOf(err) != engine.fails {
			t.Errorf("%s: got %+v, %v", verb, answer, err)
		}
	}
}
