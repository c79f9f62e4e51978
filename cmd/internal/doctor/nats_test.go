package doctor_test

import (
	"crypto/tls"
	"net/http/httptest"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
	"github.com/ebbscale/ebb/internal/freeport"
)

// natsServer runs a NATS server that is not ours and answers its address. It
// knows the user ebb, whose password is planted-nats.
func natsServer(t *testing.T, change func(*natsserver.Options)) string {
	t.Helper()
	options := &natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		Username: "ebb", Password: "planted-nats",
		AuthTimeout: patience.Seconds(), TLSTimeout: patience.Seconds(), // two seconds are too few on a busy machine
	}
	if change != nil {
		change(options)
	}
	server, err := natsserver.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(func() {
		server.Shutdown()
		server.WaitForShutdown()
	})
	if !server.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	return server.Addr().String()
}

// external has the configuration name a server and a login.
func (c *clinic) external(address, login string) {
	c.edit("nats: {listen: ", "nats: {url: \"nats://"+address+"\", "+login+"} # ")
}

const goodLogin = "user: ebb, password: planted-nats"

// limited is a server whose user may not use some subjects.
func limited(deny ...string) func(*natsserver.Options) {
	return func(o *natsserver.Options) {
		o.Username, o.Password = "", ""
		o.Users = []*natsserver.User{{
			Username: "ebb", Password: "planted-nats",
			Permissions: &natsserver.Permissions{Publish: &natsserver.SubjectPermission{Deny: deny}},
		}}
	}
}

func natsFaults() map[string]fault {
	return map[string]fault{
		"wrong login of NATS": {
			spoil: func(c *clinic) { c.external(natsServer(c.t, nil), "user: ebb, password: planted-wrong") },
			id:    doctor.NATSLogin, message: "Authorization", fix: "nats.user with nats.password",
		},
		"no NATS server": {
			spoil: func(c *clinic) { c.external(freeport.Address(c.t), goodLogin) },
			id:    doctor.NATSLogin, message: "nothing answers there", fix: "nats.url",
		},
		"a file that is not there": {
			spoil: func(c *clinic) { c.external(natsServer(c.t, nil), "creds_file: /none.creds") },
			id:    doctor.NATSLogin, message: "/none.creds", fix: "nats.creds_file",
		},
		"TLS where NATS has none": {
			spoil: func(c *clinic) {
				c.edit("nats: {listen: ", "nats: {url: \"tls://"+natsServer(c.t, nil)+"\", "+goodLogin+"} # ")
			},
			id: doctor.NATSLogin, message: "secure connection", fix: "nats.url",
		},
		"a certificate of NATS that is not trusted": {
			spoil: func(c *clinic) {
				made := httptest.NewUnstartedServer(nil)
				made.StartTLS() // for its certificate
				c.t.Cleanup(made.Close)
				c.external(natsServer(c.t, func(o *natsserver.Options) {
					o.TLSConfig = &tls.Config{Certificates: made.TLS.Certificates, MinVersion: tls.VersionTLS12}
				}), goodLogin)
			},
			id: doctor.NATSLogin, message: "certificate", fix: "nats.tls.ca_file",
		},
		"NATS without JetStream": {
			spoil: func(c *clinic) {
				c.external(natsServer(c.t, func(o *natsserver.Options) { o.JetStream = false }), goodLogin)
			},
			id: doctor.NATSJetStream, fix: "nats-server -js",
		},
		"a login that may make no stream": {
			spoil: func(c *clinic) {
				c.external(natsServer(c.t, limited("$JS.API.STREAM.CREATE.EBB_LEDGER")), goodLogin)
			},
			id: doctor.NATSStreams, subject: "EBB_LEDGER", message: "permissions violation", fix: "$JS.API.STREAM.CREATE.EBB_LEDGER",
		},
		"a server with our address that is no ebb": {
			spoil: func(c *clinic) {
				c.edit("nats: {listen: ", "nats: {listen: \""+natsServer(c.t, nil)+"\"} # ")
			},
			id: doctor.NATSListen, message: "NATS server that is no ebb", fix: "nats.url: nats://",
		},
	}
}

// TestExternalNATS is on a server where all is well, before and after ebb has
// made its streams; the examination makes none.
func TestExternalNATS(t *testing.T) {
	t.Parallel()

	address := natsServer(t, nil)
	for i, want := range []string{"0 of 4 are there, ebb run makes EBB_EVENTS", "0 of 4 are there", "2 of 4 are there, ebb run makes KV_ebb_leases, KV_ebb_state"} {
		if i == 2 {
			made, err := bus.Connect(t.Context(), bus.ConnConfig{URL: "nats://" + address, User: "ebb", Password: "planted-nats", Log: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			made.Close()
		}
		c := newClinic(t)
		c.external(address, goodLogin)
		report := c.examine()
		check, _ := find(report, doctor.NATSStreams, "")
		if bad := wrong(report, doctor.Fail, doctor.Warn); len(bad) > 0 || !strings.HasPrefix(check.Message, want) {
			t.Errorf("examination %d: complains of %q, streams %+v, want %q", i, bad, check, want)
		}
	}
}

// TestRunningEbb: an examination beside an ebb that runs finds nothing wrong.
func TestRunningEbb(t *testing.T) {
	t.Parallel()

	c := newClinic(t)
	address := freeport.Address(t)
	server, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: c.dir + "/state", Listen: address, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	c.edit("nats: {listen: ", "nats: {listen: \""+address+"\"} # ")
	report := c.examine()
	for _, id := range []doctor.ID{doctor.StateDir, doctor.NATSListen} {
		if check, _ := find(report, id, ""); check.Status != doctor.OK || check.Message == "" {
			t.Errorf("got %+v", check)
		}
	}
	if bad := wrong(report, doctor.Fail, doctor.Warn); len(bad) > 0 {
		t.Errorf("complains of %q:\n%s", bad, show(t, report))
	}

	other := newClinic(t)
	other.edit("nats: {listen: ", "nats: {listen: \""+address+"\"} # ")
	if check, _ := find(other.examine(), doctor.NATSListen, ""); check.Status != doctor.Fail {
		t.Errorf("an ebb of another state directory: got %+v", check)
	}
}
