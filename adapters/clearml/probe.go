package clearml

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Fault says what is wrong with a server or with the way to it.
type Fault string

// The faults.
const (
	FaultNone Fault = ""
	// FaultName: the name of the server is not known.
	FaultName Fault = "no such host"
	// FaultUnreachable: the connection is refused or breaks off.
	FaultUnreachable Fault = "unreachable"
	// FaultTimeout: no answer in time.
	FaultTimeout Fault = "no answer"
	// FaultTLS: a certificate that is not trusted, or TLS on one side only.
	FaultTLS Fault = "TLS"
	// FaultNotAPI: something answers that is no ClearML API server.
	FaultNotAPI Fault = "not the API server"
	// FaultCredentials: the server does not take the credentials.
	FaultCredentials Fault = "credentials refused"
	// FaultServer: an API server that has a problem of its own.
	FaultServer Fault = "server in trouble"
)

// Probe is what one login told.
type Probe struct {
	Fault Fault
	// Skew is how far the server's clock is ahead of ours, to about a second and
	// half the time of the call. It counts when SkewKnown, also with a Fault.
	Skew      time.Duration
	SkewKnown bool
}

// Probe logs in once, whatever it knows already, and without trying again. The
// error is that of the login; Fault says which kind it is.
func (c *Client) Probe(ctx context.Context) (Probe, error) {
	authorization := "Bearer " + c.session.keys.authToken
	if c.session.keys.authToken == "" {
		authorization = "Basic " + basic(c.session.keys)
	}
	sent := c.clock.Now()
	got, t := post[loginData](ctx, c, loginAction, authorization, []byte("{}"))
	probe, date := Probe{}, got.date
	var err error
	if t != nil {
		probe.Fault, date = faultOf(t), t.date
		err = &callError{action: loginAction, server: c.base, attempts: 1, trouble: t}
	}
	if !date.IsZero() {
		// The header has whole seconds: on average it is half a second behind. The
		// server read its clock somewhere between our two readings.
		middle := sent.Add(c.clock.Now().Sub(sent) / 2)
		probe.Skew, probe.SkewKnown = date.Add(time.Second/2).Sub(middle), true
	}
	return probe, err
}

func faultOf(t *trouble) Fault {
	if t.status == 0 {
		return faultOfNetwork(t)
	}
	switch {
	case t.failure.Code == codeShape || t.failure.Code == codeCut:
		return FaultNotAPI
	case strings.Contains(t.failure.Code, "/"): // ClearML's own envelope
		if t.status == http.StatusUnauthorized || t.status == http.StatusForbidden {
			return FaultCredentials
		}
		return FaultServer
	case t.status >= http.StatusInternalServerError || t.status == http.StatusTooManyRequests:
		return FaultServer // or a proxy whose server is away
	}
	return FaultNotAPI // a page that is not found, a method that is not allowed, a redirect
}

// faultOfNetwork is for a call without an answer.
func faultOfNetwork(t *trouble) Fault {
	var name *net.DNSError
	switch {
	case errors.As(t.cause, &name) && name.IsNotFound:
		return FaultName
	case t.failure.Code == codeTLS:
		return FaultTLS
	case t.failure.Code == codeTimeout || t.failure.Code == codeCanceled:
		return FaultTimeout
	}
	return FaultUnreachable
}

// GuessAPIServer is where the API server is, by ClearML's own habits, when the
// address given is that of the web or files server; empty when there is no such
// guess.
func GuessAPIServer(given string) string {
	parsed, err := url.Parse(strings.TrimSpace(given))
	if err != nil || parsed.Hostname() == "" {
		return ""
	}
	host, port := parsed.Hostname(), parsed.Port()
	for _, label := range []string{"app.", "files.", "www."} {
		if rest, ok := strings.CutPrefix(host, label); ok {
			guess := parsed.Scheme + "://api." + rest
			if port != "" {
				guess += ":" + port
			}
			return guess
		}
	}
	if port == "8080" || port == "8081" {
		return parsed.Scheme + "://" + net.JoinHostPort(host, "8008")
	}
	return ""
}
