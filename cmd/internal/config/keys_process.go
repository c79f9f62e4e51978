package config

import (
	"slices"
	"time"
)

// processKeys are the keys of the process itself.
func processKeys() []Key {
	return slices.Concat([]Key{
		{
			Path: "state_dir", Kind: KindText, Type: "path", Title: "State directory", Default: "/var/lib/ebb",
			Text: "Durable state, also of the embedded NATS server. A directory that the user of ebb can write.", Missing: "write a directory, such as /var/lib/ebb",
			Examples: []string{"/var/lib/ebb"},
		},
		{Path: "log", Kind: KindObject, Title: "Logging", Text: "How the process logs."},
		{
			Path: "log.level", Kind: KindText, Title: "Log level", Default: "info",
			Words: []string{"trace", "debug", "info", "warn", "error"},
			Text:  "What is logged.", ClearML: "user property `log_level`",
		},
		{
			Path: "log.format", Kind: KindText, Title: "Log format", Default: "auto", Words: []string{"auto", "json", "console"},
			Text: "`auto` is console on a terminal, else JSON.",
		},
		{Path: "nats", Kind: KindObject, Title: "Event server", Text: "The NATS server that keeps events and durable state: the embedded one, or yours."},
		{
			Path: "nats.url", Kind: KindText, Type: "URL, or several with commas", Title: "NATS server",
			Text:     "External NATS server. Empty starts the embedded one. Schemes `nats`, `tls`, `ws`, `wss`; no login in it.",
			Pattern:  `^\s*(nats|tls|wss?)://[^@\s]+$`,
			Examples: []string{"tls://nats-1.example.com:4222,tls://nats-2.example.com:4222"},
		},
		{
			Path: "nats.listen", Kind: KindText, Type: "host:port", Title: "Embedded NATS server", Default: listenDefault,
			Text:    "Embedded server only, which serves this machine alone: a loopback address. Without login and TLS.",
			Pattern: `^(127\.[0-9.]+|localhost|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$`, Examples: []string{listenDefault},
		},
		{
			Path: "nats.creds_file", Kind: KindText, Type: "path", Title: "NATS credentials file",
			Text:     "Login by credentials file. Logins and TLS go with `nats.url` only; of the logins (creds_file, nkey_file, user, token) at most one.",
			Examples: []string{"/etc/ebb/nats.creds"},
		},
		{Path: "nats.nkey_file", Kind: KindText, Type: "path", Title: "NATS nkey file", Text: "Login by nkey seed file.", Examples: []string{"/etc/ebb/nats.nk"}},
		{Path: "nats.user", Kind: KindText, Title: "NATS user", Text: "Login by user and password."},
		{Path: "nats.password", Kind: KindSecret, Title: "NATS password", Text: "Needs `nats.user`.", Variable: "NATS_PASSWORD"},
		{Path: "nats.token", Kind: KindSecret, Title: "NATS token", Text: "Login by token.", Variable: "NATS_TOKEN"},
		{Path: "nats.tls", Kind: KindObject, Title: "TLS", Text: "TLS with the external NATS server."},
		{
			Path: "nats.tls.ca_file", Kind: KindText, Type: "path", Title: "Authority", Otherwise: "system's",
			Text: "PEM of the authority to trust.", Examples: []string{"/etc/ebb/ca.pem"},
		},
		{Path: "nats.tls.cert_file", Kind: KindText, Type: "path", Title: "Client certificate", Text: "PEM certificate of the client. With `key_file`."},
		{Path: "nats.tls.key_file", Kind: KindText, Type: "path", Title: "Client key", Text: "PEM key. With `cert_file`."},
		{Path: "lease", Kind: KindObject, Title: "Lease", Text: "Which of several processes with the same autoscaler acts."},
		{
			Path: "lease.ttl", Kind: KindDuration, Title: "Lease time", Default: "15s",
			// Below, a slow disk or a garbage collection costs the lease; above,
			// nobody acts for long after a crash.
			Shortest: 5 * time.Second, Longest: 5 * time.Minute,
			Text: "How long the right to act for an autoscaler lasts unless it is renewed, `5s` to `5m`.", See: "See [two processes](#two-processes).",
		},
	}, httpKeys(), []Key{
		{
			Path: "autoscalers", Kind: KindObjects, Title: "Autoscalers", Required: true,
			Missing: "write at least one autoscaler, beginning with - name: …",
			Text:    "The autoscalers of this process. Two must not share a name, nor a workers prefix on the same ClearML server.",
		},
	})
}

// httpKeys are the keys of the dashboard's server.
func httpKeys() []Key {
	return []Key{
		{Path: "http", Kind: KindObject, Title: "Dashboard", Text: "Where the dashboard, the metrics and the health checks are served."},
		{
			Path: "http.listen", Kind: KindText, Type: "host:port", Title: "Address", Default: httpDefault,
			Text: "Where the dashboard, `/metrics`, `/healthz` and `/readyz` are; `off` for none.", See: "See [dashboard.md](dashboard.md).",
			Pattern: `^(off|.*:[0-9]{1,5})$`, Examples: []string{httpDefault, HTTPOff},
		},
		{
			Path: "http.token", Kind: KindSecret, Title: "Token", Otherwise: "made at the first start", Least: tokenLeast, Variable: "EBB_HTTP_TOKEN",
			Text: "What actions need, and reading too when others can reach `http.listen`. The one that is made is in `http-token` in `state_dir`. At least 16 characters.",
		},
		{Path: "http.user", Kind: KindText, Title: "User", Text: "Looks without the token, with `http.password`, over TLS only.", Examples: []string{"ops"}},
		{
			Path: "http.password", Kind: KindSecret, Title: "Password", Least: tokenLeast, Variable: "EBB_HTTP_PASSWORD",
			Text: "Belongs to `http.user`. At least 16 characters.",
		},
		{Path: "http.tls", Kind: KindObject, Title: "TLS", Text: "TLS of the dashboard's server."},
		{Path: "http.tls.cert_file", Kind: KindText, Type: "path", Title: "Certificate", Text: "PEM certificate of the server, then its intermediates. With `key_file`. A renewed one is shown without a restart."},
		{Path: "http.tls.key_file", Kind: KindText, Type: "path", Title: "Key", Text: "PEM key. With `cert_file`."},
		{
			Path: "http.behind_tls_proxy", Kind: KindFlag, Title: "Behind a TLS proxy", Default: "false",
			Text: "A proxy in front speaks TLS, and nobody reaches `http.listen` but through it.",
		},
	}
}
