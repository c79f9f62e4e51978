package app_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/cmd/internal/certificate/certtest"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/internal/freeport"
)

// get answers the status and the body, 0 when nobody answers.
func get(ctx context.Context, url string) (status int, body string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(data)
}

// TestAddressTaken has an autoscaler run although somebody else has the address of
// its dashboard, and serve there once it is free.
func TestAddressTaken(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	defer r.close()
	var lc net.ListenConfig
	other, err := lc.Listen(t.Context(), "tcp", freeport.Address(t)) // no outgoing connection may take it
	if err != nil {
		t.Fatal(err)
	}
	file := r.load("1h", 1)
	file.HTTP.Listen = other.Addr().String()
	process, err := app.Start(t.Context(), app.Options{File: file, Version: "test", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if url := process.Web(); url != "" {
		t.Errorf("serves at %s, which somebody else has", url)
	}
	other.Close()
	r.until(func() bool { return process.Web() != "" }, "it serves once the address is free")
	r.until(func() bool {
		status, body := get(t.Context(), process.Web()+"/readyz")
		return status == http.StatusOK && strings.Contains(body, "ok")
	}, "it is ready")
	url := process.Web()
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
	if status, _ := get(t.Context(), url+"/healthz"); status != 0 {
		t.Errorf("answers %d after the stop", status)
	}
}

// TestAddressOfNobody refuses to start where it can never serve.
func TestAddressOfNobody(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	defer r.close()
	for key, change := range map[string]func(*app.Options){
		"http.listen":        func(o *app.Options) { o.File.HTTP.Listen = "203.0.113.7:8480" },
		"http.tls.cert_file": func(o *app.Options) { o.File.HTTP.TLS.CertFile, o.File.HTTP.TLS.KeyFile = "/no/such.pem", "/dev/null" },
		"find any PEM data":  func(o *app.Options) { o.File.HTTP.TLS.CertFile, o.File.HTTP.TLS.KeyFile = "/dev/null", "/dev/null" },
	} {
		options := app.Options{File: r.load("1h", 1), Version: "test", Log: zerolog.Nop()}
		options.File.HTTP.Listen = "127.0.0.1:0"
		change(&options)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := app.Start(ctx, options); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error is %v", key, err)
		}
		cancel()
	}
}

// TestCertificateRenewed has a process show a certificate that was renewed to the
// next who connects.
func TestCertificateRenewed(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	defer r.close()
	dir, first := t.TempDir(), time.Now().Add(time.Hour).Truncate(time.Second)
	files := certtest.SelfSigned(t, dir, first)
	file := r.load("1h", 1)
	file.HTTP.Listen, file.HTTP.TLS = "127.0.0.1:0", config.HTTPTLS{CertFile: files.Cert, KeyFile: files.Key}
	process, err := app.Start(t.Context(), app.Options{File: file, Version: "test", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	shown := func() time.Time {
		t.Helper()
		dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // what is shown is looked at
		conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(process.Web(), "https://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].NotAfter
	}
	if got := shown(); !got.Equal(first) {
		t.Errorf("the certificate ends %s, want %s", got, first)
	}
	second := first.Add(time.Hour)
	certtest.SelfSigned(t, dir, second)
	if got := shown(); !got.Equal(second) {
		t.Errorf("the renewed certificate ends %s, want %s", got, second)
	}
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
}
