package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/messages"
)

// maxBrowsersDefault is how many browsers may look at once.
const maxBrowsersDefault = 64

// Config is what a [Server] is made of.
type Config struct {
	Engine   Engine
	Operator Operator
	Events   Events
	// Wizard may be nil: then there is no such page.
	Wizard Wizard

	// Words is an event in a sentence, Reason a reason.
	Words  func(messages.Recorded) string
	Reason func(messages.Reason) string

	// Clock is that of the autoscalers, Wall the machine's: frames and limits go by
	// it. Speed is how much faster the first one runs; zero is 1.
	Clock Clock
	Wall  Clock
	Speed float64

	Version string

	// Listen is the address that is listened on, as host:port.
	Listen string
	// Token allows everything, User with Password only to look, and only over TLS.
	// Each may be empty.
	Token    string
	User     string
	Password string
	// TokenFile is where the token is kept; empty when it is elsewhere. Whoever is on
	// the same machine is told.
	TokenFile string
	// TLS says that the listener speaks it, BehindTLSProxy that a proxy in front of
	// it does. The address of a browser is then the last of X-Forwarded-For.
	TLS            bool
	BehindTLSProxy bool

	// Health is what is wrong with the process, as Readyz says; nil knows nothing. It
	// returns soon.
	Health func(ctx context.Context) []Trouble

	// Metrics, Healthz and Readyz are served as they are; nil serves none.
	Metrics http.Handler
	Healthz http.Handler
	Readyz  http.Handler

	// MaxBrowsers may look at once; zero for 64.
	MaxBrowsers int
	Log         zerolog.Logger
}

// local says that only this machine can reach the listener: looking needs no
// token then.
func (c Config) local() bool {
	return !c.BehindTLSProxy && isLoopback(c.Listen)
}

func (c Config) secure() bool { return c.TLS || c.BehindTLSProxy }

// isLoopback says whether an address can be reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

func (c Config) check() error {
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"Engine", c.Engine == nil},
		{"Operator", c.Operator == nil},
		{"Events", c.Events == nil},
		{"Words", c.Words == nil},
		{"Reason", c.Reason == nil},
		{"Clock", c.Clock == nil},
		{"Wall", c.Wall == nil},
	} {
		if part.missing {
			return fmt.Errorf("make a dashboard: %s is missing", part.name)
		}
	}
	switch {
	case (c.User == "") != (c.Password == ""):
		return errors.New("http.user and http.password belong together: write both or none")
	case c.User != "" && !c.secure():
		return errors.New("http.user and http.password would travel in the clear: set http.tls, or http.behind_tls_proxy if a proxy speaks TLS")
	case !c.local() && c.Token == "" && c.User == "":
		return fmt.Errorf("http.listen %s can be reached from other machines and anybody could look: set http.token, or listen on 127.0.0.1", c.Listen)
	}
	return nil
}
