package dashboard

import (
	"bytes"
	"encoding/json"
	"sync"
)

// queueMax is how many frames wait for a browser before it has lost the thread.
const queueMax = 16

// hub hands frames to browsers. It never waits for one.
type hub struct {
	mu       sync.Mutex
	browsers map[*browser]struct{}
}

// browser is one that looks. Frames that it does not take in time are dropped, and
// then it is behind: it must be given the whole picture before the next frame.
type browser struct {
	frames chan []byte
	behind bool // guarded by the hub's mu
}

func newHub() *hub { return &hub{browsers: make(map[*browser]struct{})} }

// send gives a frame to every browser that has room.
func (h *hub) send(frame []byte) { h.sendBut(nil, frame) }

// join adds a browser, behind at first: it has no picture yet. The first frame in
// its queue is nil, which only wakes it.
func (h *hub) join() *browser {
	b := &browser{frames: make(chan []byte, queueMax), behind: true}
	b.frames <- nil
	h.mu.Lock()
	defer h.mu.Unlock()
	h.browsers[b] = struct{}{}
	return b
}

func (h *hub) leave(b *browser) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.browsers, b)
}

func (h *hub) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.browsers) == 0
}

// caught says whether a browser has emptied its queue and is behind; then it is
// not any more, and its caller must give it the whole picture.
func (h *hub) caught(b *browser) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !b.behind || len(b.frames) > 0 {
		return false
	}
	b.behind = false
	return true
}

// frameOf is a message of the stream: the name of the event and JSON on one line.
func frameOf(event string, value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		return nil // our own types; tests marshal each of them
	}
	var frame bytes.Buffer
	frame.Grow(len(text) + len(event) + 16)
	frame.WriteString("event: " + event + "\ndata: ")
	frame.Write(text)
	frame.WriteString("\n\n")
	return frame.Bytes()
}

// sendBut is send to all browsers but one.
func (h *hub) sendBut(one *browser, frame []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for b := range h.browsers {
		if b == one || b.behind {
			continue
		}
		select {
		case b.frames <- frame:
		default:
			b.behind = true
		}
	}
}
