package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/cmd/internal/certificate"
	"github.com/ebbscale/ebb/cmd/internal/config"
)

const (
	// closePatience is how long requests under way are waited for at the end.
	closePatience = 3 * time.Second
	// listenAgain is how soon an address that somebody else has is tried again.
	listenAgain = 3 * time.Second
)

// webServer serves what a process has to show. An address that somebody else has
// does not keep the autoscalers from their work: a standby on the same machine
// serves once the other one is gone.
type webServer struct {
	config config.HTTP
	server *http.Server
	log    zerolog.Logger
	stop   context.CancelFunc
	done   chan struct{}

	mu  sync.Mutex
	url string // empty while nothing is served
}

// openWeb serves, if the configuration wants it.
func (p *Process) openWeb(ctx context.Context) error {
	if !p.options.File.HTTP.Serves() {
		return nil
	}
	page, err := p.dashboard()
	if err != nil {
		return err
	}
	web, err := openHTTP(ctx, p.options.File.HTTP, page, p.log)
	if err != nil {
		return err
	}
	p.web = web
	return nil
}

// Web is the address of what the process serves; empty when it serves nothing.
func (p *Process) Web() string {
	if p.web == nil {
		return ""
	}
	p.web.mu.Lock()
	defer p.web.mu.Unlock()
	return p.web.url
}

// openHTTP listens and serves until it is closed.
func openHTTP(ctx context.Context, c config.HTTP, page *dashboard.Server, log zerolog.Logger) (*webServer, error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &webServer{config: c, log: log, stop: stop, done: make(chan struct{}), server: page.HTTP()}
	w.server.BaseContext = func(net.Listener) context.Context { return ctx }
	if w.secure() {
		pair, err := certificate.Open(certificate.Files{Cert: c.TLS.CertFile, Key: c.TLS.KeyFile}, log)
		if err != nil {
			stop()
			return nil, err
		}
		w.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.Get}
	}
	listener, err := w.listen(ctx)
	if err != nil && !errors.Is(err, syscall.EADDRINUSE) {
		stop()
		return nil, err
	}
	if err != nil {
		log.Warn().Err(err).Msg("somebody else has the address; the autoscalers run, and it is tried again")
	}
	go func() {
		defer close(w.done)
		var fed sync.WaitGroup
		fed.Go(func() { page.Run(ctx) })
		w.run(ctx, listener)
		fed.Wait()
	}()
	return w, nil
}

// listen takes the address.
func (w *webServer) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", w.config.Listen)
	if err != nil {
		return nil, fmt.Errorf("serve the dashboard: %w (http.listen says where; off serves none)", err)
	}
	scheme := "http"
	if w.secure() {
		scheme = "https"
	}
	w.mu.Lock()
	w.url = scheme + "://" + listener.Addr().String()
	w.mu.Unlock()
	w.log.Info().Str("url", w.url).Msg("dashboard, metrics and health are served")
	return listener, nil
}

// run serves as soon as there is something to listen on.
func (w *webServer) run(ctx context.Context, listener net.Listener) {
	again := time.NewTicker(listenAgain)
	defer again.Stop()
	for listener == nil {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		listener, _ = w.listen(ctx) // it was said why not
	}
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(closed)
		w.shutDown(context.WithoutCancel(ctx))
	})
	if err := w.serve(listener); !errors.Is(err, http.ErrServerClosed) {
		w.log.Error().Err(err).Msg("the dashboard is not served any more; the autoscalers go on")
		return
	}
	<-closed
}

// shutDown ends the server: requests under way get a moment.
func (w *webServer) shutDown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closePatience)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		_ = w.server.Close() // what is still open is cut off
	}
}

func (w *webServer) secure() bool { return w.config.TLS.CertFile != "" }

func (w *webServer) serve(listener net.Listener) error {
	if w.secure() {
		return w.server.ServeTLS(listener, "", "")
	}
	return w.server.Serve(listener)
}

// close ends what is served.
func (w *webServer) close() {
	w.stop()
	<-w.done
}
