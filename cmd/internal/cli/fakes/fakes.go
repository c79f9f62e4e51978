// Package fakes runs the fakes of adapters/fake as servers of their own, for
// `ebb fake`. They listen on loopback addresses only: they ask nobody for a
// password, and whoever reaches a fake agent's server can make it call out.
package fakes

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/fake"
)

// Server is what all fakes need.
type Server struct {
	// Listen is host:port, with a loopback host; port 0 takes a free one.
	Listen string
	// Out gets the line that says where the fake listens, and how to use it.
	Out io.Writer
	Log zerolog.Logger
}

// serve listens, says where, and answers until ctx ends, which is no error.
// usage gets the server's URL.
func (s Server) serve(ctx context.Context, what string, handler http.Handler, usage func(url string) []string) error {
	if err := Loopback(s.Listen); err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("run %s: %w", what, err)
	}
	defer listener.Close()
	url := "http://" + listener.Addr().String()
	lines := append([]string{what + " listens on " + url}, usage(url)...)
	if _, err := fmt.Fprintln(s.Out, strings.Join(lines, "\n  ")); err != nil {
		return fmt.Errorf("run %s: %w", what, err)
	}
	return fake.Serve(ctx, listener, handler)
}

// Loopback refuses an address that other machines could reach.
func Loopback(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("listen address %q is not host:port, such as 127.0.0.1:4566: %w", listen, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("listen address %q is refused: a fake asks nobody for a password, so it listens on a loopback address only, such as 127.0.0.1:4566", listen)
}
