package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// startPatience is how long a server that says it has started may take until
// it takes connections.
const startPatience = 10 * time.Second

// unlimited is more bytes than a disk has.
const unlimited = 1 << 50

// serverName is what an embedded server calls itself.
const serverName = "ebb"

// ServerConfig says how to run the embedded NATS server.
type ServerConfig struct {
	// StateDir is where everything durable lives: the store in its folder
	// jetstream, and a lock file. It is made when missing.
	StateDir string
	// Listen is the address for other programs (the nats command, a
	// dashboard), such as "127.0.0.1:4222"; port 0 takes any free port. Empty
	// listens nowhere: only this process can connect. Every program of this
	// machine can read and write the bus there, so an address that other
	// machines can reach is refused.
	Listen string
	// SyncAlways writes through to the disk before anything is acknowledged.
	// Without it a power cut (not a crash of the process) can take back what
	// was acknowledged, up to two minutes of it: then the law of the ledger
	// does not hold.
	SyncAlways bool
	// Log takes the server's log lines.
	Log zerolog.Logger
}

// Server is an embedded NATS server with JetStream.
type Server struct {
	config ServerConfig
	url    string
	lock   *os.File
	// host and port are where it listens; the port is the one taken, also by a later
	// server, when any was free to choose.
	host string
	port int

	close sync.Once
	stop  context.CancelFunc
	ended chan struct{} // closed when nobody watches any more

	mu    sync.Mutex
	nats  *natsserver.Server // another one after the disk was full
	anew  bool               // it is being started anew
	store Store
}

// Start runs an embedded NATS server until [Server.Close]. It returns once the
// server takes connections. The error names what is in the way: the address,
// or the state directory, and what to do about it.
func Start(ctx context.Context, config ServerConfig) (*Server, error) {
	host, port, err := listenAddress(config.Listen)
	if err != nil {
		return nil, fmt.Errorf("start event server: %w", err)
	}
	if port > 0 {
		if err := portFree(ctx, net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
			return nil, fmt.Errorf("start event server: %w", err)
		}
	}
	lock, err := claimStateDir(config.StateDir)
	if err != nil {
		return nil, fmt.Errorf("start event server: %w", err)
	}
	started := &Server{config: config, lock: lock, host: host, port: port, ended: make(chan struct{})}
	started.nats, err = run(started.options(), config.Log)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("start event server over %s: %w", config.StateDir, err)
	}
	if config.Listen != "" {
		started.url = started.nats.ClientURL()
		if address, ok := started.nats.Addr().(*net.TCPAddr); ok {
			started.port = address.Port
		}
	}
	started.measure()
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	started.stop = stop
	go func() {
		defer close(started.ended)
		started.watch(watching)
	}()
	return started, nil
}

// options are those of the first server, and of those that follow it.
//
// By default a server promises three quarters of what is free at its start, which is
// right for streams that are still to be made. One that starts over a full disk would
// promise nothing, and refuse to write also when there is room again. So what is there
// already is not limited but by the disk.
func (s *Server) options() *natsserver.Options {
	limit := int64(0)
	if hasEvents(s.config.StateDir) {
		limit = unlimited
	}
	return &natsserver.Options{
		ServerName:        serverName,
		Host:              s.host,
		Port:              s.port,
		DontListen:        s.config.Listen == "",
		JetStream:         true,
		JetStreamMaxStore: limit,
		StoreDir:          s.config.StateDir,
		SyncAlways:        s.config.SyncAlways,
		NoSigs:            true, // signals belong to cmd
	}
}

// run starts a server and waits until it takes connections.
func run(options *natsserver.Options, log zerolog.Logger) (*natsserver.Server, error) {
	server, err := natsserver.NewServer(options)
	if err != nil {
		return nil, err
	}
	lines := &serverLog{log: log}
	server.SetLoggerV2(lines, false, false, false)
	server.Start()
	if fatal := lines.firstFatal(); fatal != "" || !server.ReadyForConnections(startPatience) {
		server.Shutdown()
		server.WaitForShutdown()
		if fatal == "" {
			fatal = fmt.Sprintf("not ready for connections after %s", startPatience)
		}
		return nil, errors.New(fatal)
	}
	return server, nil
}

// URL is where other programs connect, such as nats://127.0.0.1:4222; empty
// when the server listens nowhere.
func (s *Server) URL() string { return s.url }

// server is the one that runs now, or ran last.
func (s *Server) server() *natsserver.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nats
}

// InProcessConn implements [nats.InProcessConnProvider] with the server that runs now.
func (s *Server) InProcessConn() (net.Conn, error) { return s.server().InProcessConn() }

// Running says whether the server is up, or is being started anew after its disk was
// full; false once it has ended, whoever ended it.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.anew || s.nats.Running()
}

// Close stops the server, waits until its store is on disk, and gives the state
// directory free. Connections of this process should be closed before. Closing
// twice is fine.
func (s *Server) Close() error {
	var err error
	s.close.Do(func() {
		s.stop()
		<-s.ended
		last := s.server()
		last.Shutdown()
		last.WaitForShutdown()
		err = s.lock.Close()
	})
	if err != nil {
		return fmt.Errorf("unlock state directory: %w", err)
	}
	return nil
}

// listenAddress takes "host:port" apart for the server's options, where -1 is
// any free port.
func listenAddress(listen string) (host string, port int, err error) {
	if listen == "" {
		return "", 0, nil
	}
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen address %q: want host:port such as 127.0.0.1:4222: %w", listen, err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", 0, fmt.Errorf("listen address %q can be reached from other machines, and there is no login: "+
			"listen on 127.0.0.1, or run a NATS server of your own and give its URL", listen)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < -1 || port > 65535 {
		return "", 0, fmt.Errorf("listen address %q: %q is not a port (0 to 65535; 0 is any free one)", listen, text)
	}
	if port <= 0 {
		port = natsserver.RANDOM_PORT
	}
	return host, port, nil
}

// portFree tries the address first: the server itself would only say "fatal",
// after it has opened the store.
func portFree(ctx context.Context, address string) error {
	var try net.ListenConfig
	listener, err := try.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return listener.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("address %s is taken by another program (another ebb, or a NATS server): "+
			"stop that one, or write another address as nats.listen, or the address of that server as nats.url: %w", address, err)
	default:
		return fmt.Errorf("listen on %s: %w", address, err)
	}
}
