package bus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// streamMismatch is the server's code for a request to make a stream whose name
// is not that of the subject.
const streamMismatch = 10056

// LoginFault says at which step a login to a server ended.
type LoginFault string

// The steps.
const (
	LoginGood        LoginFault = ""
	LoginFiles       LoginFault = "files"       // the configuration or a file that it names
	LoginUnreachable LoginFault = "unreachable" // name, address or network
	LoginTLS         LoginFault = "tls"         // certificates, or TLS on one side only
	LoginRefused     LoginFault = "refused"     // the credentials
)

// ServerReport is what [CheckServer] found. Each error is nil when all is well;
// what comes after an error was not looked at.
type ServerReport struct {
	// Server is the name and version of the server that answered.
	Server string
	Fault  LoginFault
	Login  error
	// JetStream is set when the account has none.
	JetStream error
	// Streams are those that ebb needs.
	Streams []StreamReport
}

// StreamReport is one stream that ebb needs.
type StreamReport struct {
	Name string
	// Missing says that it is not there yet; without a Problem it can be made.
	Missing bool
	Problem error
}

// CheckServer logs in to an external server and finds out whether ebb could run
// on it. It makes and changes nothing there. No error of the report holds a
// secret.
func CheckServer(ctx context.Context, config ConnConfig) ServerReport {
	refused := &refusals{}
	conn, fault, err := login(ctx, config, refused)
	if err != nil {
		return ServerReport{Fault: fault, Login: err}
	}
	defer conn.Close()
	report := ServerReport{Server: fmt.Sprintf("%s, nats-server %s", conn.ConnectedServerName(), conn.ConnectedServerVersion())}
	stream, err := jetstream.New(conn)
	if err != nil {
		report.JetStream = err
		return report
	}
	limited, cancel := refused.await(ctx)
	defer cancel()
	account, err := stream.AccountInfo(limited)
	if err != nil {
		report.JetStream = refused.explain(err)
		return report
	}
	bus := &Bus{conn: conn, stream: stream, config: config, log: config.Log}
	report.Streams = bus.checkStreams(ctx, account, refused)
	return report
}

// login connects once, without getting a lost connection back.
func login(ctx context.Context, config ConnConfig, refused *refusals) (*nats.Conn, LoginFault, error) {
	address, options, err := config.options()
	if err != nil {
		return nil, LoginFiles, err
	}
	options = append(options, nats.NoReconnect(), nats.ErrorHandler(refused.note), nats.DisconnectErrHandler(nil),
		nats.SkipHostLookup(), // the dialer looks names up, within its time
		nats.Timeout(patience(ctx, len(strings.Split(address, ",")))))
	if err := ctx.Err(); err != nil {
		return nil, LoginUnreachable, err
	}
	conn, err := nats.Connect(address, options...)
	if err != nil {
		fault := loginFault(err)
		if text, _ := inWords(err); text != "" {
			err = plainError{text, err}
		}
		return nil, fault, err
	}
	return conn, LoginGood, nil
}

// patience is how long one of several attempts may take.
func patience(ctx context.Context, attempts int) time.Duration {
	end, bounded := ctx.Deadline()
	if !bounded {
		return dialPatience
	}
	return max(min(dialPatience, time.Until(end)/time.Duration(max(attempts, 1))), time.Millisecond) //nolint:forbidigo // deadlines of contexts are in real time
}

func loginFault(err error) LoginFault {
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
		alert       tls.AlertError
	)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired),
		errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return LoginRefused
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &record), errors.As(err, &alert),
		errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		return LoginTLS
	}
	var network net.Error
	if !errors.As(err, &network) && strings.Contains(strings.ToLower(err.Error()), "authorization") {
		return LoginRefused // a nonce or a token that the server does not take
	}
	return LoginUnreachable
}

// checkStreams looks at each stream that ebb needs. Those that are missing are
// tried with a request that the server refuses for its content alone.
func (b *Bus) checkStreams(ctx context.Context, account *jetstream.AccountInfo, refused *refusals) []StreamReport {
	names := []string{EventStream, LedgerStream, bucketStream + LeaseBucket, bucketStream + StateBucket}
	reports := make([]StreamReport, 0, len(names))
	missing := 0
	for _, name := range names {
		report := StreamReport{Name: name}
		limited, cancel := refused.await(ctx)
		found, err := b.stream.Stream(limited, name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			report.Missing = true
			missing++
			report.Problem = b.checkRoom(name, missing, account)
			if report.Problem == nil {
				report.Problem = b.tryMaking(limited, name, refused)
			}
		case err != nil:
			report.Problem = refused.explain(err)
		case name == LedgerStream:
			_, report.Problem = checkLedger(found.CachedInfo().Config)
		}
		cancel()
		reports = append(reports, report)
	}
	return reports
}

// checkRoom compares what a new stream takes with what the account has left.
func (b *Bus) checkRoom(name string, missing int, account *jetstream.AccountInfo) error {
	limits := account.Limits
	if limits.MaxStreams > 0 && account.Streams+missing > limits.MaxStreams {
		return fmt.Errorf("the account may have %d streams and has %d", limits.MaxStreams, account.Streams)
	}
	need := b.eventConfig().MaxBytes
	left := limits.MaxStore - int64(max(account.Store, account.ReservedStore))
	if name == EventStream && limits.MaxStore >= 0 && left < need {
		return fmt.Errorf("the account has %d bytes of storage left and the stream reserves %d", max(left, 0), need)
	}
	return nil
}

// tryMaking sends a request to make the stream that has another name inside:
// who may not send it hears nothing, and who may is told of the mismatch.
func (b *Bus) tryMaking(ctx context.Context, name string, refused *refusals) error {
	answer, err := b.conn.RequestWithContext(ctx, "$JS.API.STREAM.CREATE."+name, []byte(`{"name":"ebb_dry_run"}`))
	if err != nil {
		return refused.explain(err)
	}
	var got struct {
		Error *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if got.Error == nil || got.Error.Code != streamMismatch {
		if got.Error == nil {
			return errors.New("the server answered without an error where it had to refuse")
		}
		return errors.New(got.Error.Description)
	}
	return nil
}

// refusals keeps what the server says beside the answers: a login that may not
// publish somewhere hears of it on the connection, and its request is never
// answered.
type refusals struct {
	mu   sync.Mutex
	last error
	// stop ends the call that is under way.
	stop context.CancelFunc
}

// await is the context of one call. It ends with a refusal.
func (r *refusals) await(ctx context.Context) (context.Context, context.CancelFunc) {
	limited, cancel := context.WithTimeout(ctx, dialPatience)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.stop = nil, cancel
	return limited, cancel
}

func (r *refusals) note(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = err
	if r.stop != nil {
		r.stop()
	}
}

// explain is the refusal behind an error, or the error itself.
func (r *refusals) explain(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.last; last != nil {
		r.last = nil
		return last
	}
	return err
}
