package dashboard

import (
	"context"
	"errors"
	"log" //nolint:depguard // net/http takes no other
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	headerPatience = 5 * time.Second
	readPatience   = 20 * time.Second
	answerPatience = 30 * time.Second
	idlePatience   = 2 * time.Minute
	stopPatience   = 3 * time.Second
	headerMost     = 16 << 10
	sendBuffer     = 256 << 10
)

// Server is the dashboard of one process.
type Server struct {
	config   Config
	boards   *boards
	sessions *sessions
	tries    *tries
	seats    *seats
	files    map[string]file
	handler  http.Handler
	closing  chan struct{}
	close    sync.Once
}

// New checks the configuration and makes a server. It does nothing before
// [Server.Run] and [Server.Serve].
func New(config Config) (*Server, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	if config.Speed <= 0 {
		config.Speed = 1
	}
	if config.MaxBrowsers <= 0 {
		config.MaxBrowsers = maxBrowsersDefault
	}
	files, err := embedded()
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: config, boards: newBoards(config), sessions: newSessions(config.Wall), tries: newTries(config.Wall),
		seats: newSeats(config.MaxBrowsers), files: files, closing: make(chan struct{}),
	}
	s.handler = s.guarded(s.routes())
	return s, nil
}

// Handler serves the page and the interface.
func (s *Server) Handler() http.Handler { return s.handler }

// HTTP is a server with the handler and its limits, for whoever listens himself.
// Streams end with the context of their requests, or at [Server.Close].
func (s *Server) HTTP() *http.Server {
	return &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerPatience, ReadTimeout: readPatience, WriteTimeout: answerPatience,
		IdleTimeout: idlePatience, MaxHeaderBytes: headerMost, ConnContext: shallow, ErrorLog: log.New(complaints{s.config.Log}, "", 0),
	}
}

// complaints are what net/http says of connections, such as that somebody does not
// trust the certificate.
type complaints struct{ log zerolog.Logger }

func (c complaints) Write(line []byte) (int, error) {
	c.log.Info().Msg("dashboard: " + strings.TrimSpace(string(line)))
	return len(line), nil
}

// Serve answers on a listener until ctx ends; streams end at once then, other
// requests get a moment. It closes the listener. The error is nil when ctx ended.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := s.HTTP()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		s.Close()
		return err
	case <-ctx.Done():
	}
	s.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close() // somebody is slow: they are cut off
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shallow keeps the kernel from collecting megabytes for a browser that is stuck.
func shallow(ctx context.Context, conn net.Conn) context.Context {
	if outer, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = outer.NetConn()
	}
	if buffered, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = buffered.SetWriteBuffer(sendBuffer) // only a wish
	}
	return ctx
}

// Close ends all streams, for servers that are not run by Serve.
func (s *Server) Close() { s.close.Do(func() { close(s.closing) }) }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	const one = "/api/v1/autoscalers/{name}"
	for pattern, handler := range map[string]http.HandlerFunc{
		"GET /api/v1/me":         s.me,
		"POST /api/v1/session":   s.signIn,
		"DELETE /api/v1/session": s.signOut,

		"GET /api/v1/autoscalers":   s.readers(s.list),
		"GET /api/v1/stream":        s.readers(s.streamList),
		"GET " + one:                s.readers(s.one),
		"GET " + one + "/stream":    s.readers(s.streamOne),
		"GET " + one + "/history":   s.readers(s.past),
		"GET " + one + "/events":    s.readers(s.events),
		"GET " + one + "/explain":   s.readers(s.explain),
		"POST " + one + "/pause":    s.operators(s.pause),
		"POST " + one + "/resume":   s.operators(s.resume),
		"POST " + one + "/drain":    s.operators(s.drain),
		"POST " + one + "/idle":     s.operators(s.drainIdle),
		"POST " + one + "/export":   s.operators(s.export),
		"POST /api/v1/reload":       s.operators(s.reload),
		"GET /api/v1/wizard":        s.readers(s.wizardSteps),
		"POST /api/v1/wizard/check": s.readers(s.wizardCheck),
		"POST /api/v1/wizard/read":  s.readers(s.wizardImport),
		"POST /api/v1/wizard/write": s.readers(s.wizardWrite),
		"POST " + one + "/clone":    s.operators(s.clone),
		"POST /api/v1/apply/plan":   s.operators(s.plan),
		"POST /api/v1/apply":        s.operators(s.apply),
	} {
		mux.HandleFunc(pattern, handler)
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		refusal(http.StatusNotFound, "there is nothing at this address, or not for "+method(r.Method), "docs/dashboard.md lists what there is").write(w)
	})
	if s.config.Metrics != nil {
		mux.HandleFunc("/metrics", s.readers(s.config.Metrics.ServeHTTP))
	}
	if s.config.Healthz != nil {
		mux.Handle("/healthz", s.config.Healthz)
	}
	if s.config.Readyz != nil {
		mux.Handle("/readyz", s.config.Readyz)
	}
	mux.HandleFunc("/", s.file)
	return mux
}

// method is the name of a method as far as it is a usual one.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPatch, http.MethodOptions:
		return name
	}
	return "this method"
}
