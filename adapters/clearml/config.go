package clearml

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Defaults of [Config].
const (
	DefaultRequestTimeout = 30 * time.Second
	DefaultMaxAttempts    = 3
	DefaultMaxBody        = 256 << 20
)

const dialTimeout = 10 * time.Second

// Clock tells the time and runs functions later.
type Clock interface {
	// Now is the current time.
	Now() time.Time
	// AfterFunc runs f once d has passed; stop prevents it and reports whether it
	// did.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Config is what [New] makes a client of.
type Config struct {
	// APIServer is the URL of the API server, such as https://api.clear.ml or
	// http://localhost:8008. It is not the URL of the web application.
	APIServer string
	// AccessKey and SecretKey are the credentials; both or, when AuthToken is
	// given, neither.
	AccessKey string
	SecretKey string
	// AuthToken is a ClearML token that is exchanged for fresh ones. It serves
	// until it expires; then only a new one helps.
	AuthToken string
	// CAFile is a PEM file of certificates to trust besides the system's. Not
	// together with HTTPClient.
	CAFile string
	// HTTPClient carries the calls; nil makes one. It is copied: redirects are not
	// followed and cookies not kept, whatever it says.
	HTTPClient *http.Client
	// Clock decides when a token is old and how long a retry waits.
	Clock Clock
	// Rand draws the jitter. The client guards it; nobody else may use it.
	Rand *rand.Rand
	Log  zerolog.Logger
	// Called is told as a request goes out, by its action such as tasks.get_all,
	// and what it returns as the answer has been read: "ok", or the class of the
	// failure. A request that is sent again is told again. Neither may block; nil
	// tells nobody.
	Called func(action string) (ended func(result string))
	// RequestTimeout bounds one request with its answer; 0 is
	// [DefaultRequestTimeout]. It is real time: the network knows no other.
	RequestTimeout time.Duration
	// MaxAttempts is how often one call is sent at most; 0 is
	// [DefaultMaxAttempts].
	MaxAttempts int
	// MaxBody is the size in bytes, after decompression, at which an answer is
	// refused; 0 is [DefaultMaxBody].
	MaxBody int64
}

// Client talks to one ClearML API server. It is safe for concurrent use. Take
// it from [New].
type Client struct {
	base     string
	http     *http.Client
	clock    Clock
	log      zerolog.Logger
	timeout  time.Duration
	attempts int
	maxBody  int64
	session  *session
	called   func(action string) (ended func(result string))

	diceMu sync.Mutex
	dice   *rand.Rand

	useMu    sync.Mutex
	underWay int // requests
	closed   bool
}

// New makes a client; it sends nothing yet. The error names the field that is
// wrong.
func New(cfg Config) (*Client, error) {
	base, err := serverURL(cfg.APIServer)
	if err != nil {
		return nil, fmt.Errorf("read clearml api server: %w", err)
	}
	keys, err := credentialsOf(cfg)
	if err != nil {
		return nil, fmt.Errorf("read clearml credentials: %w", err)
	}
	switch {
	case cfg.Clock == nil:
		return nil, errors.New("make clearml client: Clock is missing")
	case cfg.Rand == nil:
		return nil, errors.New("make clearml client: Rand is missing")
	case cfg.RequestTimeout < 0 || cfg.MaxAttempts < 0 || cfg.MaxBody < 0:
		return nil, errors.New("make clearml client: RequestTimeout, MaxAttempts and MaxBody must not be negative")
	}
	called := cfg.Called
	if called == nil {
		called = func(string) func(string) { return func(string) {} }
	}
	carrier, err := httpClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("make clearml client: %w", err)
	}
	return &Client{
		base:     base,
		http:     carrier,
		clock:    cfg.Clock,
		log:      cfg.Log.With().Str("api_server", base).Logger(),
		timeout:  orDefault(cfg.RequestTimeout, DefaultRequestTimeout),
		attempts: orDefault(cfg.MaxAttempts, DefaultMaxAttempts),
		maxBody:  orDefault(cfg.MaxBody, DefaultMaxBody),
		session:  newSession(keys),
		called:   called,
		dice:     cfg.Rand,
	}, nil
}

// Close lets go of connections: of idle ones now, of the others as soon as no
// request is under way. No request fails because of it, and the client may be used
// again: each time that the last request has ended, connections are let go.
func (c *Client) Close() {
	c.useMu.Lock()
	defer c.useMu.Unlock()
	c.closed = true
	c.http.CloseIdleConnections()
}

// use notes that a request begins, until ended.
func (c *Client) use() (ended func()) {
	c.useMu.Lock()
	defer c.useMu.Unlock()
	c.underWay++
	return func() {
		c.useMu.Lock()
		defer c.useMu.Unlock()
		c.underWay--
		if c.closed && c.underWay == 0 {
			c.http.CloseIdleConnections()
		}
	}
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}

// serverURL checks the address of the API server. Its errors repeat nothing of
// an address that may hold a password.
func serverURL(text string) (string, error) {
	const example = "want something like https://api.clear.ml or http://localhost:8008"
	if strings.TrimSpace(text) == "" {
		return "", errors.New("it is empty; " + example)
	}
	parsed, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return "", errors.New("it is not a URL; " + example)
	case parsed.User != nil:
		return "", errors.New("it holds a user or password; give access_key and secret_key instead")
	case parsed.RawQuery != "" || parsed.Fragment != "":
		return "", errors.New("it holds a query or fragment; " + example)
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return "", fmt.Errorf("scheme %q is not http or https; %s", parsed.Scheme, example)
	case parsed.Hostname() == "":
		return "", errors.New("it has no host; " + example)
	}
	return strings.TrimRight(parsed.String(), "/"), nil
}

// credentials are the ways to log in.
type credentials struct {
	accessKey, secretKey string
	authToken            string
}

func credentialsOf(cfg Config) (credentials, error) {
	pair := cfg.AccessKey != "" || cfg.SecretKey != ""
	switch {
	case pair && cfg.AuthToken != "":
		return credentials{}, errors.New("access_key/secret_key and auth_token are both given; keep one of the two")
	case cfg.AuthToken != "":
		if strings.ContainsAny(cfg.AuthToken, " \t\r\n") {
			return credentials{}, errors.New("auth_token holds white space; copy it again without line breaks")
		}
	case cfg.AccessKey == "" || cfg.SecretKey == "":
		return credentials{}, errors.New("give access_key and secret_key, or auth_token")
	case strings.Contains(cfg.AccessKey, ":"):
		return credentials{}, errors.New("access_key holds a colon, which no ClearML key does")
	}
	return credentials{accessKey: cfg.AccessKey, secretKey: cfg.SecretKey, authToken: cfg.AuthToken}, nil
}

func httpClient(cfg Config) (*http.Client, error) {
	carrier := http.Client{}
	if cfg.HTTPClient != nil {
		if cfg.CAFile != "" {
			return nil, errors.New("CAFile and HTTPClient are both given; put the certificates into the client's transport")
		}
		carrier = *cfg.HTTPClient
	} else {
		transport, err := newTransport(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		carrier.Transport = transport
	}
	// A followed redirect turns POST into GET without a body: a question without
	// its filters.
	carrier.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	carrier.Jar = nil
	return &carrier, nil
}

func newTransport(caFile string) (*http.Transport, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pool, err := certificates(caFile)
		if err != nil {
			return nil, err
		}
		settings.RootCAs = pool
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       settings,
		TLSHandshakeTimeout:   dialTimeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          8,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}, nil
}

func certificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file %s: it holds no PEM certificate", file)
	}
	return pool, nil
}
