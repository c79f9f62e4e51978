package fakeclearml_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// replayer sends recorded requests to the fake and compares its answers with the
// recorded ones: every key, every type and every value, except what cannot be
// equal: ids are translated both ways, dates are compared by their precision and
// tokens by being text.
type replayer struct {
	s       *fakeclearml.Server
	clk     *manualClock
	handler http.Handler
	ids     map[string]string // recorded id to ours
	problem []string
}

// exchange is one recorded request and its answer.
type exchange struct {
	name, method, path, query string
	body                      string
	header                    http.Header
	status                    int
	answer                    string
}

func newReplayer(t *testing.T) *replayer {
	t.Helper()
	s, clk := newServer(t)
	return &replayer{s: s, clk: clk, handler: s.Handler(), ids: map[string]string{}}
}

func readLines(t *testing.T, file string, into func(line []byte) error) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if err := into(sc.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
}

// ours writes our ids into a recorded text.
func (r *replayer) ours(text string) string {
	for rec, own := range r.ids {
		text = strings.ReplaceAll(text, rec, own)
	}
	return text
}

// play sends one exchange and collects what differs.
func (r *replayer) play(t *testing.T, e exchange) string {
	t.Helper()
	r.problem = nil
	r.clk.Advance(7123 * time.Microsecond)
	target := e.path
	if e.query != "" {
		target += "?" + e.query
	}
	req := httptest.NewRequest(e.method, target, strings.NewReader(r.ours(e.body)))
	req.RemoteAddr = "127.0.0.1:4711"
	maps.Copy(req.Header, e.header)
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	if w.Code != e.status {
		r.note("", "status %d, recorded %d: %s", w.Code, e.status, w.Body.String())
	}
	want, wantJSON := decodeAny(e.answer)
	got, gotJSON := decodeAny(w.Body.String())
	switch {
	case wantJSON != gotJSON:
		r.note("", "JSON is %v, recorded %v: %s", gotJSON, wantJSON, w.Body.String())
	case wantJSON:
		r.compare("", want, got)
	case e.answer != w.Body.String():
		r.note("", "text %q, recorded %q", w.Body.String(), e.answer)
	}
	for _, p := range r.problem {
		t.Errorf("%s %s %s: %s", e.name, e.path, r.ours(e.body), p)
	}
	return w.Body.String()
}

func decodeAny(text string) (any, bool) {
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	return v, true
}

func (r *replayer) note(path, format string, args ...any) {
	r.problem = append(r.problem, path+" "+fmt.Sprintf(format, args...))
}

var (
	idPattern   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	datePattern = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`)
	notePattern = regexp.MustCompile(`(\d+) queues in the original answer`)
)

func (r *replayer) compare(path string, want, got any) {
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			r.note(path, "is %T, recorded an object", got)
			return
		}
		r.compareObjects(path, want, m)
	case []any:
		l, ok := got.([]any)
		if !ok {
			r.note(path, "is %T, recorded a list", got)
			return
		}
		r.compareLists(path, want, l, len(want))
	case string:
		str, ok := got.(string)
		if !ok {
			r.note(path, "is %T, recorded text %q", got, want)
			return
		}
		r.compareText(path, want, str)
	default: // number, bool, null
		if fmt.Sprintf("%T %v", want, want) != fmt.Sprintf("%T %v", got, got) {
			r.note(path, "is %T %v, recorded %T %v", got, got, want, want)
		}
	}
}

func (r *replayer) compareObjects(path string, want, got map[string]any) {
	total := 0
	if note, ok := want["_note"].(string); ok {
		total, _ = strconv.Atoi(notePattern.FindStringSubmatch(note)[1])
		delete(want, "_note")
	}
	for _, k := range keysOf(want) {
		v, ok := got[k]
		switch list, isList := want[k].([]any); {
		case !ok:
			r.note(path+"."+k, "is missing")
		case isList && total > 0:
			r.compareLists(path+"."+k, list, v.([]any), total)
		case path == ".meta" && (k == "id" || k == "trx"):
			if id, ok := v.(string); !ok || !idPattern.MatchString(id) {
				r.note(path+"."+k, "is %v, want an id", v)
			}
		default:
			r.compare(path+"."+k, want[k], v)
		}
	}
	for _, k := range keysOf(got) {
		if _, ok := want[k]; !ok {
			r.note(path+"."+k, "is %v, not in the recording", got[k])
		}
	}
}

// compareLists compares the recorded elements; total is how many there were
// before the recording was shortened. Workers come in no order.
func (r *replayer) compareLists(path string, want, got []any, total int) {
	if len(got) != total {
		r.note(path, "has %d elements, recorded %d", len(got), total)
		return
	}
	if strings.HasSuffix(path, ".workers") {
		sortByID(want)
		sortByID(got)
	}
	for i := range want {
		r.compare(path+"["+strconv.Itoa(i)+"]", want[i], got[i])
	}
}

func sortByID(list []any) {
	sort.Slice(list, func(i, j int) bool {
		return fmt.Sprint(list[i].(map[string]any)["id"]) < fmt.Sprint(list[j].(map[string]any)["id"])
	})
}

func (r *replayer) compareText(path, want, got string) {
	switch {
	case idPattern.MatchString(want):
		if own, known := r.ids[want]; !known {
			if !idPattern.MatchString(got) {
				r.note(path, "is %q, recorded an id", got)
			}
			r.ids[want] = got
		} else if own != got {
			r.note(path, "is %s, want %s for recorded %s", got, own, want)
		}
	case datePattern.MatchString(want):
		if a, b := precision(want), precision(got); a != b {
			r.note(path, "is %q (%s), recorded %q (%s)", got, b, want, a)
		}
	case want == "<JWT>" || want == "<ACCESS_KEY>":
		if got == "" {
			r.note(path, "is empty")
		}
	case r.ours(want) != got:
		r.note(path, "is %q, recorded %q", got, r.ours(want))
	}
}

// precision describes the form of a date: what its fraction is rounded to and
// whether it has an offset.
func precision(date string) string {
	_, rest, ok := strings.Cut(date, ".")
	if !datePattern.MatchString(date) || !ok || len(rest) < 6 {
		return "no such date"
	}
	if rest[3:6] == "000" {
		return "ms" + rest[6:]
	}
	return "us" + rest[6:]
}

func keysOf(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func tokenOf(body string) string {
	var v struct{ Data struct{ Token string } }
	if json.NewDecoder(bytes.NewReader([]byte(body))).Decode(&v) != nil {
		return ""
	}
	return v.Data.Token
}
