package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/ebbscale/ebb/cmd/internal/certificate"
	"github.com/ebbscale/ebb/cmd/internal/config"
)

// renewBefore is when a certificate is soon to expire: those who renew by themselves
// do it a month ahead.
const renewBefore = 14 * 24 * time.Hour

// checkWeb looks whether the dashboard can be served. An address that somebody
// else has keeps no autoscaler from its work.
func checkWeb(ctx context.Context, s *sheet, options Options) {
	c := options.File.HTTP
	if !c.Serves() {
		s.ok(HTTPListen, "", "off: no dashboard, no metrics, no health checks")
		return
	}
	if c.TLS.CertFile != "" {
		pair, err := certificate.Files{Cert: c.TLS.CertFile, Key: c.TLS.KeyFile}.Load()
		if err != nil {
			s.fail(HTTPListen, "", err.Error(), "write a certificate in PEM and the key to it, files that this user can read, as http.tls.cert_file and http.tls.key_file")
			return
		}
		judgeCertificate(s, certificate.Ends(pair))
	}
	judgeClearText(s, c)
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

// judgeClearText says when others on the network could read along. It may be meant so
// where the network is private, as between the containers of a pod.
func judgeClearText(s *sheet, c config.HTTP) {
	host, _, err := net.SplitHostPort(c.Listen)
	ip := net.ParseIP(host)
	if err != nil || c.TLS.CertFile != "" || c.BehindTLSProxy || host == "localhost" || ip != nil && ip.IsLoopback() {
		return
	}
	s.warn(HTTPListen, "clear text", c.Listen+" can be reached from other machines and has no TLS: the token would travel in the clear",
		"write http.tls; or 127.0.0.1 as the host; or http.behind_tls_proxy: true when a proxy in front speaks TLS and nobody comes past it; leave it so only where the network is private, such as a pod's")
}

// judgeCertificate says when the certificate expires: browsers and Prometheus will
// not look at the dashboard after that. A new one needs no restart.
func judgeCertificate(s *sheet, ends time.Time) {
	left := time.Until(ends)
	const fix = "renew the certificate of http.tls.cert_file; ebb sees the new file without a restart"
	switch day := ends.UTC().Format(time.DateOnly); {
	case left <= 0:
		s.warn(HTTPListen, "certificate", "http.tls.cert_file expired on "+day, fix)
	case left < renewBefore:
		s.warn(HTTPListen, "certificate", fmt.Sprintf("http.tls.cert_file expires on %s, in %d days", day, int(left.Hours())/24), fix)
	}
}
