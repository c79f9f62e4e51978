package bus

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

const (
	// dialPatience bounds one attempt to reach one server.
	dialPatience = 5 * time.Second
	// reconnectWait is the pause between two attempts to get a lost connection
	// back; up to reconnectJitter is added, so that many clients do not come
	// back at once.
	reconnectWait   = 500 * time.Millisecond
	reconnectJitter = 500 * time.Millisecond
	// pingInterval and pingsLost bound how long a dead connection goes unseen.
	pingInterval = 20 * time.Second
	pingsLost    = 2
)

// ConnConfig says how to connect to NATS, and how the streams are made when
// they are not there yet. Either Server or URL is set.
type ConnConfig struct {
	// Server is the embedded server of this process; no socket is used.
	Server *Server
	// URL is an external server or several of one cluster, comma-separated:
	// nats://host:4222, tls://host:4222, ws://, wss://.
	URL string

	// At most one way to authenticate: CredsFile (JWT and seed), NKeyFile
	// (seed), User with Password, or Token.
	CredsFile string
	NKeyFile  string
	User      string
	Password  string
	Token     string
	// TLS holds files; empty ones are not used.
	TLS TLSFiles

	// Name is what the server's connection list shows.
	Name string
	// ReadOnly neither makes nor changes streams, as for a command that only
	// reads events.
	ReadOnly bool
	// EventsMaxAge is how long events are kept; zero keeps what the stream has,
	// or 30 days when it is made.
	EventsMaxAge time.Duration
	// EventsMaxBytes is how much disk the events may take before the oldest go;
	// zero keeps what the stream has, or 1 GiB when it is made.
	EventsMaxBytes int64
	// Replicas is how many servers of a cluster keep each stream when it is
	// made: 1, 3 or 5; zero is 3 where there are so many servers, and else 1.
	Replicas int
	// Log takes what happens to the connection.
	Log zerolog.Logger
}

// TLSFiles names PEM files: the certificate authorities to trust, and the
// client's certificate and key.
type TLSFiles struct {
	CA   string
	Cert string
	Key  string
}

// options turns the configuration into what nats.go takes. No error and no log
// line holds a secret, nor the URL, which may hold one.
func (c ConnConfig) options() (address string, options []nats.Option, err error) {
	options = append(c.lifecycle(),
		nats.Name(c.Name),
		nats.Timeout(dialPatience),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.IgnoreAuthErrorAbort(), // credentials may be rotated while we run
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsLost),
	)
	switch {
	case c.Server != nil && c.URL != "":
		return "", nil, errors.New("both an embedded server and a URL are given: choose one")
	case c.Server != nil:
		return "", append(options, nats.InProcessServer(c.Server)), nil
	case c.URL == "":
		return "", nil, errors.New("neither an embedded server nor a URL is given")
	}
	if err := checkURLs(c.URL); err != nil {
		return "", nil, err
	}
	login, err := c.login()
	if err != nil {
		return "", nil, err
	}
	secure, err := c.TLS.options()
	if err != nil {
		return "", nil, err
	}
	return c.URL, append(append(options, login...), secure...), nil
}

// lifecycle logs what happens to the connection.
func (c ConnConfig) lifecycle() []nats.Option {
	log := c.Log
	return []nats.Option{
		nats.DisconnectErrHandler(func(conn *nats.Conn, err error) {
			if !conn.IsClosed() {
				log.Warn().Err(err).Msg("connection to the event server lost; trying to get it back")
			}
		}),
		nats.ReconnectHandler(func(conn *nats.Conn) {
			log.Info().Str("server", conn.ConnectedAddr()).Msg("connection to the event server is back")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			line := log.Warn().Err(err)
			if sub != nil {
				line = line.Str("subject", sub.Subject)
			}
			line.Msg("event server reports an error")
		}),
	}
}

// login is the one way to authenticate that is configured, if any.
func (c ConnConfig) login() ([]nats.Option, error) {
	var ways []string
	var options []nats.Option
	if c.CredsFile != "" {
		if err := readable("credentials file", c.CredsFile); err != nil {
			return nil, err
		}
		ways, options = append(ways, "a credentials file"), append(options, nats.UserCredentials(c.CredsFile))
	}
	if c.NKeyFile != "" {
		key, err := nats.NkeyOptionFromSeed(c.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nkey file %s (it must hold the seed of a user, beginning with SU): %w", c.NKeyFile, err)
		}
		ways, options = append(ways, "an nkey file"), append(options, key)
	}
	if c.User != "" || c.Password != "" {
		if c.User == "" {
			return nil, errors.New("a password without a user")
		}
		ways, options = append(ways, "user and password"), append(options, nats.UserInfo(c.User, c.Password))
	}
	if c.Token != "" {
		ways, options = append(ways, "a token"), append(options, nats.Token(c.Token))
	}
	if len(ways) > 1 {
		return nil, fmt.Errorf("several ways to authenticate are given (%s): choose one", strings.Join(ways, ", "))
	}
	return options, nil
}

// options are the TLS options of nats.go; none when no file is named.
func (f TLSFiles) options() ([]nats.Option, error) {
	var options []nats.Option
	if f.CA != "" {
		if err := readable("TLS authorities", f.CA); err != nil {
			return nil, err
		}
		options = append(options, nats.RootCAs(f.CA))
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("TLS certificate and key belong together: give both or none")
	}
	if f.Cert != "" {
		if err := readable("TLS certificate", f.Cert); err != nil {
			return nil, err
		}
		if err := readable("TLS key", f.Key); err != nil {
			return nil, err
		}
		options = append(options, nats.ClientCert(f.Cert, f.Key))
	}
	return options, nil
}

// checkURLs parses each URL of the list. The error names the position, not the
// URL, which may hold a password.
func checkURLs(list string) error {
	for i, text := range strings.Split(list, ",") {
		text = strings.TrimSpace(text)
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		parsed, err := url.Parse(text)
		if err != nil || parsed.Hostname() == "" {
			return fmt.Errorf("server URL number %d has no host that can be read: want nats://host:4222 or tls://host:4222", i+1)
		}
		switch parsed.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return fmt.Errorf("server URL number %d has the scheme %q: want nats, tls, ws or wss", i+1, parsed.Scheme)
		}
	}
	return nil
}

// addresses is the list of servers without anything secret, for messages.
func addresses(list string) string {
	var hosts []string
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		if parsed, err := url.Parse(text); err == nil {
			hosts = append(hosts, parsed.Scheme+"://"+parsed.Host)
		}
	}
	return strings.Join(hosts, ", ")
}

// readable says early, and by name, that a file cannot be read.
func readable(what, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	file.Close()
	return nil
}
