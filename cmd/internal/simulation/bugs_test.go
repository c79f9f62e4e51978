package simulation

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

var writeBugs = flag.Bool("bugs", false, "write the table of docs/testing.md anew, and print it")

// bugSeeds is how many seeds may pass until a bug is caught.
const bugSeeds = 200

// bug is a mistake that somebody could make, and what says that it was made.
type bug struct {
	name    string
	mistake *mistake
	want    expected
}

// expected are the words of the breaches that a bug may cause first.
type expected struct {
	law   string
	words []*regexp.Regexp
}

func says(law string, words ...string) expected {
	e := expected{law: law}
	for _, w := range words {
		e.words = append(e.words, regexp.MustCompile(w))
	}
	return e
}

func (e expected) fits(breach string) bool {
	return slices.ContainsFunc(e.words, func(r *regexp.Regexp) bool { return r.MatchString(breach) })
}

func bugs() []bug {
	return slices.Concat(launching(), looking(), draining(), owning(), rescuing(), ordering())
}

// catch is the first seed that shows a bug.
type catch struct {
	seed   uint64
	breach string
}

// search runs seeds until a law is broken. A world that breaks one without the bug
// too proves nothing.
func search(b bug) (catch, error) {
	sound := &mistake{options: b.mistake.options, befalls: b.mistake.befalls}
	for seed := uint64(1); seed <= bugSeeds; seed++ {
		report, err := RunWith(seed, RunOptions{mistake: b.mistake, Faults: b.mistake.faults, hasty: true})
		if err != nil {
			return catch{}, fmt.Errorf("seed %d: %w", seed, err)
		}
		if len(report.Wrong) == 0 {
			continue
		}
		control, err := RunWith(seed, RunOptions{mistake: sound, Faults: b.mistake.faults})
		if err != nil {
			return catch{}, fmt.Errorf("seed %d without the bug: %w", seed, err)
		}
		if len(control.Wrong) == 0 {
			return catch{seed: seed, breach: report.Wrong[0]}, nil
		}
	}
	return catch{}, fmt.Errorf("not caught by %d seeds", bugSeeds)
}

// TestBugsAreCaught makes known mistakes one at a time: for each there is a law
// that says so within 200 seeds, and it is the one that should. What it finds is
// what docs/testing.md tells.
func TestBugsAreCaught(t *testing.T) {
	t.Parallel()
	all := bugs()
	rows := make([]string, len(all))
	todo := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for n := range todo {
				b := all[n]
				caught, err := search(b)
				switch {
				case err != nil:
					t.Errorf("%s: %v", b.name, err)
				case !b.want.fits(caught.breach):
					t.Errorf("%s: seed %d says first: %s", b.name, caught.seed, caught.breach)
				}
				rows[n] = fmt.Sprintf("| %s | %s | %d |", b.name, b.want.law, caught.seed)
			}
		})
	}
	for n := range all {
		if n%bugStep == 0 {
			todo <- n
		}
	}
	close(todo)
	workers.Wait()
	if !t.Failed() {
		compareBugs(t, rows)
	}
}

const (
	testingPage = "../../../docs/testing.md"
	bugsHead    = "| bug | the law that says so | first seed |\n|---|---|---|\n"
)

// compareBugs holds what was found against the table in docs/testing.md. Rows that
// were left out are empty.
func compareBugs(t *testing.T, rows []string) {
	t.Helper()
	text, err := os.ReadFile(testingPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), bugsHead)
	table, after, ends := strings.Cut("\n"+rest, "\n\n")
	if !found || !ends {
		t.Fatalf("%s has no table that begins with %q and ends with an empty line", testingPage, bugsHead)
	}
	if *writeBugs {
		fmt.Print(bugsHead, strings.Join(rows, "\n"), "\n")
		if slices.Contains(rows, "") {
			t.Fatal("only some bugs were run: write the table without -race")
		}
		if err := os.WriteFile(testingPage, []byte(before+bugsHead+strings.Join(rows, "\n")+"\n\n"+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	told := strings.Split(strings.TrimPrefix(table, "\n"), "\n")
	if len(told) != len(rows) {
		t.Errorf("%s tells of %d bugs, there are %d", testingPage, len(told), len(rows))
	}
	for n, row := range rows {
		if row != "" && !slices.Contains(told, row) {
			t.Errorf("%s does not have\n\t%s\nin row %d", testingPage, row, n+1)
		}
	}
	if t.Failed() {
		t.Log("write the table anew: go test ./cmd/internal/simulation -run TestBugsAreCaught -bugs")
	}
}
