package dashboard_test

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/dashboard"
)

// TestComplaints holds that what net/http says of a connection goes into the log, as
// a line of it, and not past it to the terminal.
func TestComplaints(t *testing.T) {
	t.Parallel()

	var log bytes.Buffer
	server, err := dashboard.New(configWith(func(c *dashboard.Config) { c.Log = zerolog.New(zerolog.SyncWriter(&log)) }))
	if err != nil {
		t.Fatal(err)
	}
	secure := httptest.NewUnstartedServer(nil)
	secure.Config = server.HTTP()
	secure.StartTLS()
	stranger := secure.Client()
	stranger.Transport = nil // knows no such authority
	if response, err := stranger.Get(secure.URL); err == nil {
		response.Body.Close()
		t.Fatal("an unknown authority was trusted")
	}
	secure.Close() // and with it whatever was still to be said
	if text := log.String(); !strings.Contains(text, `"message":"dashboard: http: TLS handshake error from 127.0.0.1`) {
		t.Errorf("the log is %q", text)
	}
}
