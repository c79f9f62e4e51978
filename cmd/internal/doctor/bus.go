package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ebbscale/ebb/bus"
)

// tight is how many times the disk that is needed should be free.
const tight = 4

// checkBus looks at the event server: the own one's directory and address, or
// the external one.
func checkBus(ctx context.Context, s *sheet, options Options) {
	if options.File.NATS.URL != "" {
		checkExternal(ctx, s, options)
		return
	}
	report, err := bus.CheckStateDir(options.File.StateDir)
	listener, badListen := bus.CheckListen(ctx, options.File.NATS.Listen)
	if listener == bus.ListenerEbb && report.UsedBy != "" {
		if store, err := bus.CheckStore(ctx, options.File.NATS.Listen); err == nil {
			report.Running = store
		}
	}
	if err != nil {
		s.fail(StateDir, "", err.Error(), stateDirFix(options.File.StateDir, err))
		s.skip("state_dir failed", "", Disk)
	} else {
		checkDir(s, options.File.StateDir, report)
	}
	checkListen(s, options.File.NATS.Listen, listener, badListen, report.UsedBy)
}

func stateDirFix(dir string, err error) string {
	own := fmt.Sprintf("sudo install -d -m 700 -o %d %s", os.Getuid(), dir)
	if errors.Is(err, fs.ErrPermission) {
		return "give it to this user: " + own + "; or write another directory as state_dir"
	}
	return "write a directory that can be made as state_dir (or --state-dir), such as /var/lib/ebb"
}

func checkDir(s *sheet, dir string, report bus.DirReport) {
	switch {
	case report.UsedBy != "":
		s.ok(StateDir, "", "%s is in use by an ebb that runs (%s); a second ebb run needs another one", dir, report.UsedBy)
	case report.Missing:
		s.ok(StateDir, "", "%s is not there yet and can be made", dir)
	default:
		s.ok(StateDir, "", "%s is writable", dir)
	}
	need := bus.DiskNeeded()
	fix := fmt.Sprintf("make room on the disk of %s, or write a directory on a larger one as state_dir", filepath.Clean(dir))
	switch {
	case report.Running.Fault != bus.StoreGood:
		fault := report.Running.Fault
		s.fail(Disk, "", fmt.Sprintf("the ebb that runs says: %s, so nothing is launched or ended (%s)", fault.Words(), report.Running.Detail), fault.Cure())
	case report.Full:
		s.fail(Disk, "", fmt.Sprintf("the disk of %s is full (%s free): nothing can be stored, so nothing is launched or ended", dir, size(max(0, report.Free))),
			fmt.Sprintf("%s; an ebb that runs goes on by itself once %s are free", fix, size(bus.RoomToWork())))
	case report.Free < 0:
		s.skip("this system does not tell how much of a disk is free", "", Disk)
	case report.Free < need && !report.HasEvents:
		s.fail(Disk, "", fmt.Sprintf("%s free for %s, and the stream of events needs %s to be made", size(report.Free), dir, size(need)), fix)
	case report.Free < need:
		s.warn(Disk, "", fmt.Sprintf("only %s free for %s: when the disk is full, nothing is launched any more", size(report.Free), dir), fix)
	case report.Free < tight*need && !report.HasEvents:
		s.warn(Disk, "", fmt.Sprintf("%s free for %s: the events of 30 days may take %s of it", size(report.Free), dir, size(need)), fix)
	default:
		s.ok(Disk, "", "%s free for %s", size(report.Free), dir)
	}
}

// size is a number of bytes for people.
func size(bytes int64) string {
	const unit = 1 << 10
	if bytes < unit*unit*unit {
		return fmt.Sprintf("%d MiB", bytes/unit/unit)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/unit/unit/unit)
}

func checkListen(s *sheet, listen string, listener bus.Listener, err error, usedBy string) {
	const fix = "write a free address as nats.listen, such as 127.0.0.1:4223"
	switch {
	case err != nil:
		s.fail(NATSListen, "", err.Error(), fix)
	case listener == bus.ListenerNone:
		s.ok(NATSListen, "", "%s is free", listen)
	case listener == bus.ListenerEbb && usedBy != "":
		s.ok(NATSListen, "", "an ebb runs there (%s)", usedBy)
	case listener == bus.ListenerEbb:
		s.fail(NATSListen, "", "an ebb with another state_dir runs on "+listen, "stop that one, or "+fix)
	case listener == bus.ListenerNATS:
		s.fail(NATSListen, "", "a NATS server that is no ebb runs on "+listen,
			fix+"; or use that server: remove nats.listen and write nats.url: nats://"+listen)
	default:
		s.fail(NATSListen, "", "another program listens on "+listen, "stop it, or "+fix)
	}
}

// server is how the event server is reached, when it runs.
func (o Options) server() bus.ConnConfig {
	n := o.File.NATS
	if n.URL == "" {
		return bus.ConnConfig{URL: "nats://" + n.Listen, Name: "ebb doctor", ReadOnly: true, Log: o.Log}
	}
	return bus.ConnConfig{
		URL: n.URL, CredsFile: n.CredsFile, NKeyFile: n.NKeyFile, User: n.User, Password: n.Password.Reveal(), Token: n.Token.Reveal(),
		TLS:  bus.TLSFiles{CA: n.TLS.CAFile, Cert: n.TLS.CertFile, Key: n.TLS.KeyFile},
		Name: "ebb doctor", ReadOnly: true, Log: o.Log,
	}
}

// checkExternal logs in to the server of nats.url.
func checkExternal(ctx context.Context, s *sheet, options Options) {
	n := options.File.NATS
	report := bus.CheckServer(ctx, options.server())
	if report.Login != nil {
		s.fail(NATSLogin, "", n.URL+": "+report.Login.Error(), loginFix(ctx, options, report.Fault))
		s.skip("nats.login failed", "", NATSJetStream, NATSStreams)
		return
	}
	s.ok(NATSLogin, "", "%s takes the login (%s)", n.URL, report.Server)
	if report.JetStream != nil {
		s.fail(NATSJetStream, "", "the account of this login has no JetStream: "+report.JetStream.Error(),
			"turn JetStream on: for the server (nats-server -js -sd DIR), and for the account of this login; it also needs the right to publish to $JS.API.>")
		s.skip("nats.jetstream failed", "", NATSStreams)
		return
	}
	s.ok(NATSJetStream, "", "is on for the account of this login")
	var missing []string
	for _, stream := range report.Streams {
		if stream.Missing {
			missing = append(missing, stream.Name)
		}
		switch {
		case stream.Problem != nil && stream.Missing:
			s.fail(NATSStreams, stream.Name, "it is not there, and this login cannot make it: "+stream.Problem.Error(),
				"grant the login of nats.url to publish to $JS.API.STREAM.CREATE."+stream.Name+", and give its account room for it; or make the stream as an operator")
		case stream.Problem != nil:
			s.fail(NATSStreams, stream.Name, stream.Problem.Error(), "grant the login of nats.url to publish to $JS.API.>, and let ebb run make the stream anew if its settings are wrong")
		}
	}
	if s.failedAny(NATSStreams) {
		return
	}
	if len(missing) > 0 {
		s.ok(NATSStreams, "", "%d of %d are there, ebb run makes %s", len(report.Streams)-len(missing), len(report.Streams), strings.Join(missing, ", "))
		return
	}
	s.ok(NATSStreams, "", "all %d are there", len(report.Streams))
}

func (s *sheet) failedAny(id ID) bool {
	for _, c := range s.checks {
		if c.ID == id && c.Status == Fail {
			return true
		}
	}
	return false
}

func loginFix(ctx context.Context, options Options, fault bus.LoginFault) string {
	switch fault {
	case bus.LoginRefused:
		return "write the login that this server knows: one of nats.user with nats.password, nats.token, nats.creds_file, nats.nkey_file"
	case bus.LoginTLS:
		return "write tls://… or nats://… in nats.url as the server wants it, and its certificate authority as nats.tls.ca_file (client certificates: nats.tls.cert_file and key_file)"
	case bus.LoginFiles:
		return "correct the files that nats.creds_file, nats.nkey_file and nats.tls name"
	case bus.LoginGood, bus.LoginUnreachable:
	}
	if late(ctx) {
		return options.lateFix()
	}
	return "check nats.url and that the server runs (nats-server -js -sd DIR); without nats.url ebb runs one of its own"
}
