package simulation_test

import (
	"flag"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/simulation"
)

var (
	oneSeed   = flag.Uint64("seed", 0, "run this seed alone, and tell its story")
	seeds     = flag.Uint64("seeds", defaultSeeds, "how many seeds to run")
	firstSeed = flag.Uint64("first-seed", 1, "the first of them")
	faults    = flag.String("faults", "", "names of the faults that may strike, with commas; empty for all")
)

func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(400) // worlds are small and make much garbage
	os.Exit(m.Run())
}

// TestSeeds lets drawn worlds go through drawn misfortunes. One that breaks a law
// prints the line that replays it.
//
//nolint:tparallel // the end of all seeds is waited for
func TestSeeds(t *testing.T) {
	t.Parallel()
	first, count := *firstSeed, *seeds
	if *oneSeed > 0 {
		first, count = *oneSeed, 1
	}
	var tasks, races atomic.Int64
	t.Run("all", func(t *testing.T) {
		for seed := first; seed < first+count; seed++ {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				report := runSeed(t, seed)
				tasks.Add(int64(report.Tasks))
				races.Add(int64(len(report.Races)))
			})
		}
	})
	t.Logf("%d tasks, %d of them lost between check and termination", tasks.Load(), races.Load())
}

func runSeed(t *testing.T, seed uint64) simulation.Report {
	t.Helper()
	options := simulation.RunOptions{Story: *oneSeed > 0}
	if *faults != "" {
		options.Faults = strings.Split(*faults, ",")
	}
	report, err := simulation.RunWith(seed, options)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if *oneSeed > 0 {
		t.Log("\n" + strings.Join(report.Story, "\n"))
	}
	t.Log(report)
	if len(report.Wrong) > 0 {
		t.Errorf("%s\nreplay: ebb sim --seed %d --trace", strings.Join(report.Wrong, "\n"), seed)
	}
	return report
}

// TestSeedsWire runs a few seeds over the adapters' HTTP, which is how production
// reaches ClearML and EC2. Nothing is told of empty lists there.
func TestSeedsWire(t *testing.T) {
	t.Parallel()
	for seed := *firstSeed; seed < *firstSeed+wireSeeds; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			report, err := simulation.RunWith(seed, simulation.RunOptions{Wire: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(report)
			if len(report.Wrong) > 0 {
				t.Errorf("%s\nreplay: ebb sim --seed %d --trace --wire", strings.Join(report.Wrong, "\n"), seed)
			}
		})
	}
}

// TestSeedsReplay runs a seed twice: everything happens again, to the last bit.
func TestSeedsReplay(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{21} {
		first, second := runSeed(t, seed), runSeed(t, seed)
		if first.Trace != second.Trace || first.Steps != second.Steps {
			t.Errorf("seed %d: %s and then %s", seed, first, second)
		}
	}
}
