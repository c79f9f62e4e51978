package dashboard

import (
	"net/http"
	"sync"
	"time"

	"github.com/ebbscale/ebb/messages"
)

const (
	// writePatience is how long a browser may take to accept a frame.
	writePatience = 10 * time.Second
	// perAddress is the share of one address of all browsers.
	perAddress = 4 // one in four
)

// seats limits how many browsers look at once, all together and from one address.
type seats struct {
	mu    sync.Mutex
	most  int
	taken map[string]int
	all   int
}

func newSeats(most int) *seats {
	return &seats{most: most, taken: make(map[string]int)}
}

func (s *seats) take(address string, alone bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= s.most || (!alone && s.taken[address] >= max(2, s.most/perAddress)) {
		return false
	}
	s.all++
	s.taken[address]++
	return true
}

func (s *seats) free(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.taken[address]--; s.taken[address] <= 0 {
		delete(s.taken, address)
	}
}

// streamOne is the stream of one autoscaler.
func (s *Server) streamOne(w http.ResponseWriter, r *http.Request) {
	one := s.boards.find(messages.AutoscalerName(r.PathValue("name")))
	if one == nil {
		noSuch(r).write(w)
		return
	}
	s.stream(w, r, one.hub, one.whole)
}

// streamList is the stream of the list of autoscalers.
func (s *Server) streamList(w http.ResponseWriter, r *http.Request) {
	h := s.boards.list.hub
	s.stream(w, r, h, func(b *browser) []byte {
		if !h.caught(b) {
			return nil
		}
		return listFrame(s.boards.heads())
	})
}

// stream sends frames to one browser until it goes, is stuck, or the server ends.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, h *hub, whole func(*browser) []byte) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		refusal(http.StatusMethodNotAllowed, "a stream can only be read", "use GET").write(w)
		return
	}
	address := s.address(r)
	if !s.seats.take(address, s.config.local()) {
		w.Header().Set("Retry-After", "30")
		refusal(http.StatusServiceUnavailable, "too many browsers look at this dashboard", "close another page and try again").write(w)
		return
	}
	defer s.seats.free(address)
	one := h.join()
	defer h.leave(one)
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not collect frames
	out := &patient{w: w, control: http.NewResponseController(w), wall: s.config.Wall}
	_ = out.control.SetReadDeadline(time.Time{}) // that of the request would end the stream
	if !out.write([]byte("retry: 2000\n\n")) {
		return
	}
	s.pump(r, one, out, whole)
}

// pump ends when the browser does, or its session. After the last frame in its
// queue it is given the whole picture if it has lost the thread.
func (s *Server) pump(r *http.Request, one *browser, out *patient, whole func(*browser) []byte) {
	for {
		select {
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		case frame := <-one.frames:
			if !s.stillReads(r) {
				return
			}
			if frame != nil && !out.write(frame) {
				return
			}
			if all := whole(one); all != nil && !out.write(all) {
				return
			}
		}
	}
}

// stillReads says whether whoever opened a stream may still look: a session can end
// while its stream is open, a token cannot.
func (s *Server) stillReads(r *http.Request) bool {
	if r.Header.Get("Authorization") != "" {
		return true
	}
	found, refused := s.rightsOf(r)
	return refused == nil && found.read
}

// patient writes to a browser, for so long.
type patient struct {
	w       http.ResponseWriter
	control *http.ResponseController
	wall    Clock
}

func (p *patient) write(frame []byte) bool {
	if err := p.control.SetWriteDeadline(p.wall.Now().Add(writePatience)); err != nil {
		return false
	}
	if _, err := p.w.Write(frame); err != nil {
		return false
	}
	return p.control.Flush() == nil
}
