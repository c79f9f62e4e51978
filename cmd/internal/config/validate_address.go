package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// address checks a URL with a host and nothing secret in it.
func (c *checker) address(path, value string, schemes ...string) {
	if value == "" {
		return
	}
	if message, fix := addressFault(value, c.show(path, value), schemes...); message != "" {
		c.add(path, message, fix)
	}
}

// addressFault is what is wrong with a URL and how to write it, both empty when
// nothing is. shown is the value for messages, the last of schemes the usual one.
func addressFault(value, shown string, schemes ...string) (message, fix string) {
	fix = withScheme(value, shown, schemes[len(schemes)-1])
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		if err == nil && u.User != nil || strings.Contains(value, "@") {
			return "is not a URL", fix
		}
		return shown + " is not a URL", fix
	case u.User != nil:
		return "contains a login, which would be logged with the URL", "write the URL without it, and the login in its own keys"
	case !slices.Contains(schemes, u.Scheme):
		return shown + " does not begin with " + strings.Join(schemes, ":// or ") + "://", fix
	case !validPort(u.Port()) && u.Port() != "":
		return shown + " has a port that does not exist", "write a port from 1 to 65535"
	case u.RawQuery != "" || u.Fragment != "":
		return "has a ? or # part", "write the address only"
	}
	return "", ""
}

// withScheme says how to write a URL that value is not: with a scheme before it, where
// it is a host and may be shown.
func withScheme(value, shown, usual string) string {
	bare := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?$`)
	switch {
	case !bare.MatchString(value) || !strings.Contains(shown, value):
		return fmt.Sprintf("write %s://host or %s://host:port", usual, usual)
	case usual == "https":
		return fmt.Sprintf("write https://%s, or http://%s when it speaks no TLS", value, value)
	}
	return fmt.Sprintf("write %s://%s", usual, value)
}

// natsSchemes are those of nats.url, the usual one last.
func natsSchemes() []string { return []string{"tls", "ws", "wss", "nats"} }

// CheckNATSURL checks the addresses of a NATS server, with commas between, as Load
// checks those of nats.url; but a login may be in them, as a command is given one that
// nobody keeps. No error shows it.
func CheckNATSURL(list string) error {
	addresses := split(list, ",")
	if len(addresses) == 0 {
		return errors.New("is empty; write nats://host or nats://host:port")
	}
	for _, u := range addresses {
		if parsed, err := url.Parse(u); err == nil && parsed.User != nil {
			parsed.User = nil
			u = parsed.String()
		}
		if message, fix := addressFault(u, strconv.Quote(u), natsSchemes()...); message != "" {
			return errors.New(message + "; " + fix)
		}
	}
	return nil
}

func validPort(port string) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= 65535
}

// withHost is a port alone as host:port on this machine, anything else the default.
func withHost(listen, otherwise string) string {
	if port := strings.TrimPrefix(listen, ":"); validPort(port) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return otherwise
}

// apart checks that the two servers of the process do not want the same address.
func (c *checker) apart(f File) {
	if f.NATS.URL != "" || f.HTTP.Listen == HTTPOff {
		return
	}
	host, port, err := net.SplitHostPort(f.HTTP.Listen)
	other, otherPort, otherErr := net.SplitHostPort(f.NATS.Listen)
	if err != nil || otherErr != nil || port != otherPort || !overlap(host, other) {
		return
	}
	at, text, away := "nats.listen", f.NATS.Listen, "http.listen"
	if !c.d.wrote("nats.listen") {
		at, text, away = "http.listen", f.HTTP.Listen, "nats.listen"
	}
	c.add(at, c.show(at, text)+" is the address of "+away+" too: one program can listen there", "write another port; the defaults are nats.listen: "+listenDefault+" and http.listen: "+httpDefault)
}

// overlap reports whether listening at a takes b: the same host, or all hosts.
func overlap(a, b string) bool {
	plain := func(host string) string {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			return ""
		}
		return strings.Replace(host, "localhost", "127.0.0.1", 1)
	}
	a, b = plain(a), plain(b)
	return a == b || a == "" || b == ""
}
