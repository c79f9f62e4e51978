package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/internal/freeport"
)

// TestHealthcheck asks servers that are well and servers that are not.
func TestHealthcheck(t *testing.T) {
	t.Parallel()

	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/well", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/sick", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "event server\x1b[31m not connected", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("/silent", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	mux.Handle("/moved", http.RedirectHandler("/well", http.StatusFound))
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { <-release })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, strings.Repeat("x", 1<<20))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	secure := httptest.NewTLSServer(mux) // of an authority that nobody knows, for example.com
	t.Cleanup(secure.Close)
	t.Cleanup(func() { close(release) })

	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"well", []string{"--url", server.URL + "/well"}, 0, ""},
		{"well, with a certificate for another name", []string{"--url", secure.URL + "/well"}, 0, ""},
		{"well, by the name of this machine", []string{"--url", strings.Replace(secure.URL, "127.0.0.1", "localhost", 1) + "/well"}, 0, ""},
		{"sick, with a certificate for another name", []string{"--url", secure.URL + "/sick"}, 1, "503 Service Unavailable"},
		{"sick, with the reason and without its control characters", []string{"--url", server.URL + "/sick"}, 1, `503 Service Unavailable: "event server\x1b[31m not connected"`},
		{"no reason", []string{"--url", server.URL + "/silent"}, 1, "404 Not Found"},
		{"elsewhere is not here", []string{"--url", server.URL + "/moved"}, 1, "302 Found"},
		{"slow", []string{"--url", server.URL + "/slow", "--timeout", "50ms"}, 1, "no answer within 50ms"},
		{"endless", []string{"--url", server.URL + "/endless"}, 1, "500 Internal Server Error"},
		{"nobody", []string{"--url", "http://" + freeport.Address(t) + "/readyz"}, 1, "is ebb running, with http.listen there?"},
		{"no URL", []string{"--url", "127.0.0.1:8480"}, 2, "is not a URL"},
		{"another scheme", []string{"--url", "file:///etc/passwd"}, 2, "is not a URL"},
		{"a login", []string{"--url", "http://ebb:planted-secret@127.0.0.1:8480"}, 2, "contains a login"},
		{"no time", []string{"--timeout", "0s"}, 2, "--timeout 0s is not a while"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			args := append([]string{"healthcheck", "--timeout", patience.String()}, c.args...) // the last one counts
			code, stdout, stderr := ebb(t.Context(), args...)
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.says) || c.code == 0 && stderr != "" {
				t.Errorf("exit %d, want %d and %q; it said %s", code, c.code, c.says, stderr)
			}
			if len(stderr) > 600 || strings.ContainsRune(stderr, '\x1b') || strings.Contains(stderr, "planted-secret") {
				t.Errorf("what it said is not fit to print: %.700q", stderr)
			}
		})
	}
}
