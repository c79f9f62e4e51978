package certificate_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/cmd/internal/certificate"
	"github.com/ebbscale/ebb/cmd/internal/certificate/certtest"
)

// TestRenewed: a certificate that was written anew is shown to the next browser, and
// one that is half written to nobody.
func TestRenewed(t *testing.T) {
	t.Parallel()

	dir, soon, later := t.TempDir(), time.Now().Add(time.Hour).Truncate(time.Second), time.Now().Add(24*time.Hour).Truncate(time.Second)
	files := certtest.SelfSigned(t, dir, soon)
	var log bytes.Buffer
	server, err := certificate.Open(files, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	shown := func() time.Time {
		t.Helper()
		got, err := server.Get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return certificate.Ends(got)
	}
	if got := shown(); !got.Equal(soon) {
		t.Errorf("ends %s, want %s", got, soon)
	}
	key, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	next := certtest.SelfSigned(t, t.TempDir(), later)
	copyFile(t, next.Cert, files.Cert)
	for range 3 {
		if got := shown(); !got.Equal(soon) {
			t.Errorf("a certificate without its key is shown: ends %s", got)
		}
	}
	if n := strings.Count(log.String(), "cannot be read again"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	copyFile(t, next.Key, files.Key)
	if got := shown(); !got.Equal(later) {
		t.Errorf("ends %s, want %s", got, later)
	}
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	if got := shown(); !got.Equal(later) {
		t.Errorf("without its file: ends %s, want %s", got, later)
	}
	if strings.Contains(log.String(), string(key)) {
		t.Error("the key is in the log")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFilesThatAreNone names the setting.
func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()

	right := certtest.SelfSigned(t, t.TempDir(), time.Now().Add(time.Hour))
	other := certtest.SelfSigned(t, t.TempDir(), time.Now().Add(time.Hour))
	for want, files := range map[string]certificate.Files{
		"http.tls.cert_file: open /no/such.pem": {Cert: "/no/such.pem", Key: right.Key},
		"http.tls.key_file: open /no/such.key":  {Cert: right.Cert, Key: "/no/such.key"},
		"private key does not match":            {Cert: right.Cert, Key: other.Key},
		"failed to find any PEM data":           {Cert: "/dev/null", Key: right.Key},
	} {
		if _, err := certificate.Open(files, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "http.tls") {
			t.Errorf("%+v: %v, want %q", files, err, want)
		}
	}
}
