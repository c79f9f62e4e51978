package config_test

import (
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// TestCheckNATSURL takes what names a server, with or without a login, and shows none.
func TestCheckNATSURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"nats://localhost": "",
		"tls://a:4222, ws://b.example.com:80,nats://u:hunter2@[::1]:4222": "",
		"localhost":                 `"localhost" is not a URL; write nats://localhost`,
		"127.0.0.1:4222":            `"127.0.0.1:4222" is not a URL; write nats://127.0.0.1:4222`,
		"nats://a,foo":              `"foo" is not a URL; write nats://foo`,
		"no address at all":         `"no address at all" is not a URL; write nats://host or nats://host:port`,
		"http://127.0.0.1:8480":     `"http://127.0.0.1:8480" does not begin with tls:// or ws:// or wss:// or nats://`,
		"http://u:hunter2@h":        `"http://h" does not begin with`,
		"u:hunter2@h:4222":          "is not a URL; write nats://host",
		"nats://u:hunter2@h:99999":  `"nats://h:99999" has a port that does not exist`,
		"nats://u:hunter2@h?tls=no": "has a ? or # part",
		",":                         "is empty; write nats://host",
	} {
		err := config.CheckNATSURL(url)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%s: %v, want %q", url, err, want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: shows the login: %v", url, err)
		}
	}
}
