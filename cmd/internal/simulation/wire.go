package simulation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
)

// hangs is how long a caller waits for an answer that was lost.
const hangs = 20 * time.Second

var errRefused = errors.New("connection refused")

// weather is how a network fares, for all who use it.
type weather struct {
	// down refuses every connection.
	down bool
	// loses is the share of requests, and again of answers, that are lost.
	loses float64
	// swallows are the calls whose next requests are lost, by how their names begin,
	// and delays those of which the next one takes so much longer to arrive.
	swallows map[string]int
	delays   map[string]time.Duration
}

// delayed is how much longer a request takes, which no other does then.
func (w *weather) delayed(name string) time.Duration {
	for prefix, by := range w.delays {
		if strings.HasPrefix(name, prefix) {
			delete(w.delays, prefix)
			return by
		}
	}
	return 0
}

// swallowed says whether a request is one of those, and counts it.
func (w *weather) swallowed(name string) bool {
	for prefix, left := range w.swallows {
		if left > 0 && strings.HasPrefix(name, prefix) {
			w.swallows[prefix]--
			return true
		}
	}
	return false
}

// wire is the way between one caller and one server, in both directions.
type wire struct {
	loop    *loop
	server  string
	latency func() time.Duration // one way
	weather *weather
	process *process // who calls; nil for agents, which nobody pauses
}

// carry sends a request, lets the server act, and brings its answer back. What
// is on its way takes its time, arrives or not, and does so whatever becomes of
// the caller meanwhile.
func carry[T any](ctx context.Context, n *wire, call call, act func() (T, error)) (T, error) {
	var none T
	number, err := n.send(ctx, call)
	if err != nil {
		return none, err
	}
	answer, err := act()
	n.process.served(number) //nolint:contextcheck // what this may kill and start has contexts of its own
	if lost := n.receive(ctx, err == nil); lost != nil {
		return none, lost
	}
	return answer, err
}

// call is what a request is about.
type call struct {
	name string
	// changes says that it is to change EC2 or ClearML.
	changes bool
}

func (n *wire) send(ctx context.Context, call call) (number int, err error) {
	if err := messages.Permitted(ctx); err != nil {
		return 0, err
	}
	number, err = n.process.calls(n.server, call) //nolint:contextcheck // what this may kill and start has contexts of its own
	if err != nil {
		return number, err
	}
	if !n.loop.travel(n.latency() + n.weather.delayed(call.name)) {
		return number, context.Canceled
	}
	if err := ctx.Err(); err != nil {
		return number, err
	}
	if n.weather.down || n.process.isCut() {
		return number, fmt.Errorf("dial %s: %w", n.server, errRefused)
	}
	if n.weather.swallowed(call.name) || n.lost() {
		return number, n.hang(ctx)
	}
	return number, nil
}

func (n *wire) receive(ctx context.Context, good bool) error {
	if !n.loop.sleep(n.latency()) {
		return context.Canceled
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if good && (n.lost() || n.process.isCut()) {
		return n.hang(ctx)
	}
	return nil
}

func (n *wire) lost() bool { return n.weather.loses > 0 && n.loop.rng.Float64() < n.weather.loses }

func (n *wire) hang(ctx context.Context) error {
	if !n.loop.sleep(hangs) {
		return context.Canceled
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.DeadlineExceeded
}
