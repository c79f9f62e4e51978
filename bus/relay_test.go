package bus_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// relay is an address that stays while the server behind it comes and goes. The
// port of a server that is down may be given to another test.
type relay struct {
	listener net.Listener

	mu     sync.Mutex
	target string // empty while there is no server
	// tamper, when set, may change what clients send, keeping its length.
	tamper func([]byte)
	open   map[net.Conn]bool
	group  sync.WaitGroup
}

// startRelay passes connections on to target until the test ends.
func startRelay(tb testing.TB, target string) *relay {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &relay{listener: listener, target: target, open: map[net.Conn]bool{}}
	r.group.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			r.group.Go(func() { r.pass(near) })
		}
	})
	tb.Cleanup(func() {
		listener.Close()
		r.cut("")
		r.group.Wait()
	})
	return r
}

// url is where clients connect.
func (r *relay) url() string { return "nats://" + r.listener.Addr().String() }

// cut ends all connections, in the middle of whatever they do, and sends those
// that come next to target.
func (r *relay) cut(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cutLocked(target)
}

// cutAt cuts, with no server behind it, when a client sends something that contains
// text, which does not arrive. The channel is closed when it has.
func (r *relay) cutAt(text string) <-chan struct{} {
	severed := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tamper = func(data []byte) {
		if bytes.Contains(data, []byte(text)) {
			r.tamper = nil
			r.cutLocked("")
			close(severed)
		}
	}
	return severed
}

// cutLocked is cut for whoever holds mu.
func (r *relay) cutLocked(target string) {
	r.target = target
	for conn := range r.open {
		conn.Close()
	}
	clear(r.open)
}

// join registers a connection, unless the relay has been cut since target.
func (r *relay) join(target string, conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.target != target {
		return false
	}
	for _, conn := range conns {
		r.open[conn] = true
	}
	return true
}

// pass copies both ways until one side ends.
func (r *relay) pass(near net.Conn) {
	defer near.Close()
	r.mu.Lock()
	target := r.target
	r.mu.Unlock()
	if target == "" {
		return
	}
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	if !r.join(target, near, far) {
		return
	}
	var both sync.WaitGroup
	copyAll := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from) // ends when either side does
		near.Close()
		far.Close()
	}
	both.Go(func() { copyAll(near, far) })
	both.Go(func() { copyAll(tampered{r, far}, near) })
	both.Wait()
}

// tampered writes what the relay's tamper makes of it.
type tampered struct {
	relay *relay
	to    io.Writer
}

func (w tampered) Write(data []byte) (int, error) {
	w.relay.mu.Lock()
	if w.relay.tamper != nil {
		w.relay.tamper(data)
	}
	w.relay.mu.Unlock()
	return w.to.Write(data)
}
