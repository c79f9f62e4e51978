package fakeclearml

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Defaults of a fresh open-source server.
const (
	DefaultCompanyID     = "d1bd92a3b039400cbafc60a7a5b1e52b"
	DefaultCompanyName   = "clearml"
	DefaultWorkerTimeout = 600 * time.Second
	DefaultVersion       = "2.3.0"
	DefaultAPIVersion    = "2.34"

	defaultTokenLife    = 30 * 24 * time.Hour
	scrollLife          = 600 * time.Second
	maxPageSize         = 500
	taskUpdateTimeout   = 600 * time.Second
	watchdogInterval    = 900 * time.Second
	watchdogThreshold   = 7200 * time.Second
	maxQueueSamples     = 4096
	maxLogLines         = 10_000
	hiddenQueueTag      = "k8s-glue"
	hiddenTaskTag       = "hidden"
	developmentTag      = "development"
	archivedTag         = "archived"
	minQueueNameLen     = 3
	minTaskNameLen      = 3
	sessionCookie       = "clearml_token_basic"
	maxRequestBodyBytes = 64 << 20
)

// One random stream per purpose, so that the number of HTTP calls and log-ins
// does not change the ids of the model.
const (
	streamModel   = 0x6d6f64656c
	streamSession = 0x73657373
	streamCall    = 0x63616c6c
)

// Clock is what the fake knows of time. AfterFunc is used for delays that a
// fault asks for and for nothing else.
type Clock interface {
	// Now is the current time.
	Now() time.Time
	// AfterFunc runs f on its own goroutine once d has passed.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// User is somebody who may log in.
type User struct {
	ID   string
	Name string
	// Role is user, admin, system or root; empty means user.
	Role string
	// Keys maps access keys to secret keys.
	Keys map[string]string
	// Protected users, such as those of the server's secure.conf, cannot create
	// or revoke credentials.
	Protected bool
}

// Config says what server to be. Only Clock is required.
type Config struct {
	Clock Clock
	// Seed makes the identifiers: the same seed and the same calls give the same ids.
	Seed uint64
	// Keys maps access keys to secret keys of the default user.
	Keys map[string]string
	// User is the default user: the owner of Keys and the one on whose behalf
	// typed methods act when a request names nobody. Empty means a protected user
	// "__tests__" with role user.
	User User
	// Users are further users.
	Users []User
	// WorkerTimeout is how long a worker stays listed after its last sign of life
	// when it registers without a timeout; 0 means 600 s.
	WorkerTimeout time.Duration
	// Version and APIVersion are what the server says of itself; empty means 2.3.0
	// and 2.34. APIVersion is also what a path without a version asks for.
	Version, APIVersion string
	// CompanyID and CompanyName; empty means those of a fresh open-source server.
	CompanyID, CompanyName string
	// NoDefaultQueue leaves out the queue "default" that a fresh server has.
	NoDefaultQueue bool
}

// Server is the model: queues, tasks, workers, projects and users. All methods
// may be called from several goroutines; each is one atomic step.
type Server struct {
	mu  sync.Mutex
	cfg Config
	api version

	ids, sessions, calls *rand.Rand

	users       map[string]*account
	userOrder   []string
	credentials map[string]*credential // by access key
	signingKey  []byte
	revoked     map[string]bool // session ids

	queues     map[string]*Queue
	queueOrder []string

	tasks        map[string]*Task
	taskOrder    []string
	nextWatchdog time.Time
	race         Status

	workers  map[string]*Worker // by key
	tagIndex map[tagKey]map[string]time.Time

	projects     map[string]*project
	projectOrder []string
	models       map[string]map[string]any
	modelOrder   []string
	logs         map[string][]map[string]any

	scrolls  map[string]*scroll
	faults   []*activeFault
	faultSeq int
	counts   map[string]int

	endpoints map[string][]endpoint
}

// New makes a server with one queue, "default", unless cfg says otherwise. The
// error names what is missing or contradictory in cfg.
func New(cfg Config) (*Server, error) {
	if cfg.Clock == nil {
		return nil, fmt.Errorf("make fake ClearML server: Config.Clock is nil; give it a clock")
	}
	fill(&cfg)
	api, err := parseVersion(cfg.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("make fake ClearML server: Config.APIVersion: %w", err)
	}
	s := &Server{
		cfg: cfg, api: api,
		ids:         rand.New(rand.NewPCG(cfg.Seed, streamModel)),
		sessions:    rand.New(rand.NewPCG(cfg.Seed, streamSession)),
		calls:       rand.New(rand.NewPCG(cfg.Seed, streamCall)),
		users:       map[string]*account{},
		credentials: map[string]*credential{},
		revoked:     map[string]bool{},
		queues:      map[string]*Queue{},
		tasks:       map[string]*Task{},
		workers:     map[string]*Worker{},
		tagIndex:    map[tagKey]map[string]time.Time{},
		projects:    map[string]*project{},
		models:      map[string]map[string]any{},
		logs:        map[string][]map[string]any{},
		scrolls:     map[string]*scroll{},
		counts:      map[string]int{},
		endpoints:   map[string][]endpoint{},
	}
	s.signingKey = []byte(newID(s.sessions) + newID(s.sessions))
	s.nextWatchdog = cfg.Clock.Now().Add(watchdogInterval)
	for _, u := range append([]User{cfg.User}, cfg.Users...) {
		if err := s.addUser(u); err != nil {
			return nil, fmt.Errorf("make fake ClearML server: %w", err)
		}
	}
	if !cfg.NoDefaultQueue {
		if _, err := s.createQueue(QueueSpec{Name: "default", SystemTags: []string{"default"}}); err != nil {
			return nil, fmt.Errorf("make fake ClearML server: %w", err)
		}
	}
	s.registerEndpoints()
	return s, nil
}

func fill(cfg *Config) {
	if cfg.User.ID == "" {
		cfg.User = User{ID: "__tests__", Name: "tests", Protected: true, Keys: cfg.User.Keys}
	}
	if len(cfg.Keys) > 0 {
		keys := make(map[string]string, len(cfg.Keys)+len(cfg.User.Keys))
		maps.Copy(keys, cfg.User.Keys)
		maps.Copy(keys, cfg.Keys)
		cfg.User.Keys = keys
	}
	def := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	def(&cfg.Version, DefaultVersion)
	def(&cfg.APIVersion, DefaultAPIVersion)
	def(&cfg.CompanyID, DefaultCompanyID)
	def(&cfg.CompanyName, DefaultCompanyName)
	if cfg.WorkerTimeout == 0 {
		cfg.WorkerTimeout = DefaultWorkerTimeout
	}
}

// now is the clock with the precision of the server's language.
func (s *Server) now() time.Time {
	return s.cfg.Clock.Now().UTC().Truncate(time.Microsecond)
}

// newID draws 128 bits as 32 hexadecimal digits, the form of every ClearML id.
func newID(r *rand.Rand) string {
	var b [16]byte
	for i := 0; i < len(b); i += 8 {
		v := r.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return hex.EncodeToString(b[:])
}

// hostOnly strips the port of an address such as 127.0.0.1:5000.
func hostOnly(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
