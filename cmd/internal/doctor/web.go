package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// checkWeb looks whether the dashboard can be served. An address that somebody
// else has keeps no autoscaler from its work.
func checkWeb(ctx context.Context, s *sheet, options Options) {
	c := options.File.HTTP
	if !c.Serves() {
		s.ok(HTTPListen, "", "off: no dashboard, no metrics, no health checks")
		return
	}
	for key, path := range map[string]string{"http.tls.cert_file": c.TLS.CertFile, "http.tls.key_file": c.TLS.KeyFile} {
		if path == "" {
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			s.fail(HTTPListen, "", fmt.Sprintf("%s: %s", key, err), "write a file that this user can read as "+key)
			return
		}
		file.Close()
	}
	const fix = "write a free address as http.listen, such as 127.0.0.1:8481, or off"
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", c.Listen)
	switch {
	case err == nil:
		listener.Close()
		s.ok(HTTPListen, "", "%s is free", c.Listen)
	case !errors.Is(err, syscall.EADDRINUSE):
		s.fail(HTTPListen, "", err.Error(), fix)
	default:
		s.warn(HTTPListen, "", c.Listen+" is taken; ebb would run, and serve once it is free", "leave it so if that is an ebb of yours; else "+fix)
	}
}
