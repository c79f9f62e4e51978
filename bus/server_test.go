package bus_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/internal/freeport"
	"github.com/ebbscale/ebb/internal/output"
)

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	used := t.TempDir()
	start(t, used, "")
	blocked := t.TempDir() // a file where the store wants its folder
	if err := os.WriteFile(filepath.Join(blocked, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		dir, listen string
		want        []string
	}{
		"port taken":          {t.TempDir(), taken.Addr().String(), []string{taken.Addr().String(), "taken", "nats.listen"}},
		"directory in use":    {used, "", []string{used, "in use by process " + strconv.Itoa(os.Getpid()), "choose another state directory"}},
		"directory is a file": {file, "", []string{file, "cannot be made"}},
		"store is a file":     {blocked, "", []string{blocked, "JetStream"}},
		"no directory":        {"", "", []string{"state directory: none given"}},
		"not loopback":        {t.TempDir(), "0.0.0.0:0", []string{"0.0.0.0:0", "there is no login", "listen on 127.0.0.1"}},
		"no port":             {t.TempDir(), "127.0.0.1", []string{"127.0.0.1", "want host:port"}},
		"bad port":            {t.TempDir(), "127.0.0.1:nats", []string{`"nats" is not a port`}},
		"port too big":        {t.TempDir(), "127.0.0.1:65536", []string{`"65536" is not a port`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: test.dir, Listen: test.listen, Log: zerolog.Nop()})
			if err == nil {
				_ = server.Close()
				t.Fatal("it started")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

// What a refused start leaves behind must not be in the way of the next one.
func TestStartAfterRefusal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	obstacle := filepath.Join(dir, "jetstream")
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: dir, Log: zerolog.Nop()}); err == nil {
		t.Fatal("it started over a file")
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	first := start(t, dir, ":0")
	if host := strings.TrimPrefix(first.URL(), "nats://"); !strings.HasPrefix(host, "127.0.0.1:") {
		t.Errorf("listens on %s", first.URL())
	}
	for range 2 {
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if second := start(t, dir, ""); second.URL() != "" {
		t.Errorf("a server that listens nowhere has the URL %s", second.URL())
	}
}

// TestRunning is true until the server is closed.
func TestRunning(t *testing.T) {
	t.Parallel()
	server, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if !server.Running() {
		t.Error("not running after its start")
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if server.Running() {
		t.Error("running after its end")
	}
}

func TestServerLogs(t *testing.T) {
	t.Parallel()
	var lines output.Buffer
	dir := filepath.Join(t.TempDir(), "made", "as", "needed")
	server, err := bus.Start(t.Context(), bus.ServerConfig{StateDir: dir, Log: zerolog.New(&lines)})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(lines.String(), `"level":"debug","message":"Starting nats-server"`) {
		t.Errorf("log lines:\n%s", lines.String())
	}
}

func TestExternalServerWithPasswordAndTLS(t *testing.T) {
	t.Parallel()
	pki := makePKI(t)
	server := external(t, func(o *natsserver.Options) {
		o.Username, o.Password = "ebb", "secret-word"
		o.TLSConfig, o.TLS, o.TLSVerify = pki.server, true, true
	})
	address := "tls://" + server.Addr().String()
	good := bus.ConnConfig{
		URL: address, User: "ebb", Password: "secret-word", EventsMaxBytes: small,
		TLS: bus.TLSFiles{CA: pki.ca, Cert: pki.cert, Key: pki.key}, Log: zerolog.Nop(),
	}
	conn := dial(t, good)
	all := manyObserved("prod", 0, 5)
	if err := conn.Publish(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if !conn.Connected() {
		t.Error("not connected")
	}
	wantIDs(t, stored(t, conn, bus.EventQuery{}), all)

	inURL := good
	inURL.URL, inURL.User, inURL.Password = "tls://ebb:secret-word@"+server.Addr().String(), "", ""
	wantIDs(t, stored(t, dial(t, inURL), bus.EventQuery{}), all)

	for name, change := range map[string]func(*bus.ConnConfig){
		"wrong password": func(c *bus.ConnConfig) { c.Password = "wrong-secret-word" },
		"wrong password in URL": func(c *bus.ConnConfig) {
			c.URL = "tls://ebb:wrong-secret-word@" + server.Addr().String()
			c.User, c.Password = "", ""
		},
		"unknown authority":     func(c *bus.ConnConfig) { c.TLS.CA = makePKI(t).ca },
		"no client certificate": func(c *bus.ConnConfig) { c.TLS.Cert, c.TLS.Key = "", "" },
	} {
		bad := good
		change(&bad)
		conn, err := bus.Connect(t.Context(), bad)
		if err == nil {
			conn.Close()
			t.Fatalf("%s: it connected", name)
		}
		if !strings.Contains(err.Error(), address) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: error %q: want the address, and no secret", name, err)
		}
	}
}

func TestExternalServerWithNKeyAndToken(t *testing.T) {
	t.Parallel()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := pair.Seed()
	public, _ := pair.PublicKey()
	file := filepath.Join(t.TempDir(), "user.nk")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	byKey := external(t, func(o *natsserver.Options) { o.Nkeys = []*natsserver.NkeyUser{{Nkey: public}} })
	dial(t, bus.ConnConfig{URL: byKey.ClientURL(), NKeyFile: file, EventsMaxBytes: small, Log: zerolog.Nop()})
	byToken := external(t, func(o *natsserver.Options) { o.Authorization = "token-word" })
	dial(t, bus.ConnConfig{URL: byToken.ClientURL(), Token: "token-word", EventsMaxBytes: small, Log: zerolog.Nop()})
}

func TestConnectRefusals(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir(), "")
	nobody := freeport.Address(t)
	plain := external(t, func(o *natsserver.Options) { o.JetStream = false })
	for name, test := range map[string]struct {
		config bus.ConnConfig
		want   string
	}{
		"nothing":          {bus.ConnConfig{}, "neither an embedded server nor a URL"},
		"both":             {bus.ConnConfig{Server: server, URL: "nats://x"}, "choose one"},
		"scheme":           {bus.ConnConfig{URL: "nats://a,http://b:secret@c"}, `number 2 has the scheme "http"`},
		"no host":          {bus.ConnConfig{URL: "nats://u:secret@"}, "number 1 has no host"},
		"not a URL":        {bus.ConnConfig{URL: "nats://u:secret@h:port"}, "number 1 has no host"},
		"nobody there":     {bus.ConnConfig{URL: "u:secret@" + nobody}, "at nats://" + nobody + ": nothing answers there; look whether a NATS server runs"},
		"no such host":     {bus.ConnConfig{URL: "nats://u:secret@no-such-host.invalid"}, "the host no-such-host.invalid is not known"},
		"something else":   {bus.ConnConfig{URL: "nats://u:secret@" + closing(t, "")}, "what answers there is no NATS server"},
		"another protocol": {bus.ConnConfig{URL: "nats://u:secret@" + closing(t, "220 mail.example.com ESMTP\r\n")}, "what answers there is no NATS server"},
		"two logins":       {bus.ConnConfig{URL: "nats://x", User: "u", Password: "secret", Token: "secret"}, "user and password, a token"},
		"password alone":   {bus.ConnConfig{URL: "nats://x", Password: "secret"}, "without a user"},
		"no creds file":    {bus.ConnConfig{URL: "nats://x", CredsFile: "/no/such.creds"}, "/no/such.creds"},
		"no nkey file":     {bus.ConnConfig{URL: "nats://x", NKeyFile: "/no/such.nk"}, "/no/such.nk"},
		"no CA file":       {bus.ConnConfig{URL: "nats://x", TLS: bus.TLSFiles{CA: "/no/ca.pem"}}, "/no/ca.pem"},
		"cert without key": {bus.ConnConfig{URL: "nats://x", TLS: bus.TLSFiles{Cert: "c.pem"}}, "give both or none"},
		"no key file":      {bus.ConnConfig{URL: "nats://x", TLS: bus.TLSFiles{Cert: "/no/c.pem", Key: "/no/k.pem"}}, "/no/c.pem"},
		"no JetStream":     {bus.ConnConfig{URL: plain.ClientURL()}, "no JetStream answers"},
		"too many copies":  {bus.ConnConfig{Server: server, Replicas: 3, EventsMaxBytes: small}, "replicas > 1 not supported"},
		"too big":          {bus.ConnConfig{Server: server, EventsMaxBytes: 1 << 60}, "make room or lower the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.config.Log = zerolog.Nop()
			conn, err := bus.Connect(t.Context(), test.config)
			if err == nil {
				conn.Close()
				t.Fatal("it connected")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q: want %q, and no secret", err, test.want)
			}
		})
	}
}

// closing is the address of something that greets each caller and hangs up.
func closing(t *testing.T, greeting string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(greeting))
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

// pki is a certificate authority with one server and one client.
type pki struct {
	ca, cert, key string
	server        *tls.Config
}

func makePKI(t *testing.T) pki {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	issue := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = key
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, key
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, rootKey := issue(root, root, nil)
	leaf := func(serial int64) ([]byte, *ecdsa.PrivateKey) {
		return issue(&x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}, root, rootKey)
	}
	serverDER, serverKey := leaf(2)
	clientDER, clientKey := leaf(3)
	keyDER, err := x509.MarshalPKCS8PrivateKey(clientKey)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := x509.ParseCertificate(rootDER)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	return pki{
		ca:   write("ca.pem", "CERTIFICATE", rootDER),
		cert: write("client.pem", "CERTIFICATE", clientDER),
		key:  write("client.key", "PRIVATE KEY", keyDER),
		server: &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{serverDER}, PrivateKey: serverKey}},
			ClientCAs:    pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
		},
	}
}
