package config

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"
)

// checker looks at a decoded File and collects what is wrong with its values and
// with their agreement.
type checker struct {
	d        *decoder
	problems []Problem
}

// validate checks f. Where the decoder has a problem already, it adds none.
func (d *decoder) validate(f File) []Problem {
	c := &checker{d: d}
	c.process(f)
	if len(f.Autoscalers) == 0 {
		c.missing("autoscalers")
	}
	for i, a := range f.Autoscalers {
		c.autoscaler(item("autoscalers", i), a)
	}
	c.distinct(f.Autoscalers)
	return c.problems
}

func (c *checker) add(path, message, fix string) {
	said := c.d.saidAt(path)
	if c.d.t.isBroken(path) || c.d.t.isBroken(said) {
		return
	}
	c.problems = append(c.problems, c.d.t.where(Problem{Path: said, Message: message, Fix: fix}))
}

func (c *checker) show(path, value string) string { return c.d.t.show(c.d.saidAt(path), value) }

// key is what the table has about path, which must be there.
func (c *checker) key(path string) Key {
	k, ok := c.d.keys.At(path)
	if !ok {
		panic("the table of keys lacks " + path)
	}
	return k
}

// missing says that the key is required.
func (c *checker) missing(path string) { c.add(path, "is missing", c.key(path).Missing) }

// required reports whether value is there.
func (c *checker) required(path, value string) bool {
	if value == "" {
		c.missing(path)
	}
	return value != ""
}

// matches checks the form of a value that is there, and says how to write it; fix
// is for a better cure than the table's.
func (c *checker) matches(path, value string, fix ...string) {
	if k := c.key(path); value != "" && !regexp.MustCompile(k.Pattern).MatchString(value) {
		c.add(path, c.show(path, value)+" is not "+k.What, append(fix, k.Fix)[0])
	}
}

// oneOf checks a word of a closed set.
func (c *checker) oneOf(path, value string) {
	words := c.key(path).Words
	if slices.Contains(words, value) {
		return
	}
	fix := "write " + either(words)
	if near := nearest(value, words); near != "" && value != "" {
		fix += " (did you mean " + near + "?)"
	}
	c.add(path, c.show(path, value)+" is not one of its values", fix)
}

// either lists words to choose from.
func either(words []string) string {
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func (c *checker) longEnough(path string, value time.Duration) {
	if least := c.key(path).Shortest; value < least {
		c.add(path, shortDuration(value)+" is too short", "write at least "+shortDuration(least))
	}
}

// shortEnough checks an upper limit; why says what a longer time would mean.
func (c *checker) shortEnough(path string, value time.Duration, why string) {
	if most := c.key(path).Longest; value > most {
		c.add(path, shortDuration(value)+" is too long: "+why, "write at most "+shortDuration(most))
	}
}

// name checks a name that becomes part of worker names, subjects and tags.
func (c *checker) name(path, value string) {
	example := c.key(path).Examples[0]
	switch {
	case !c.required(path, value):
	case strings.ContainsAny(value, ":/"):
		c.add(path, c.show(path, value)+" contains : or /, which separate the parts of workers' names and paths", "write letters, digits, - and _ only, such as "+slug(value, example))
	default:
		c.matches(path, value, "write letters, digits, - and _ only, at most 63, such as "+slug(value, example))
	}
}

// slug is the name closest to value that is allowed, or else if there is none.
func slug(value, otherwise string) string {
	s := strings.Trim(regexp.MustCompile(`[^A-Za-z0-9_-]+`).ReplaceAllString(value, "-"), "-_")
	if s == "" {
		return otherwise
	}
	return strings.TrimRight(s[:min(len(s), 63)], "-_")
}

// process checks what belongs to the process.
func (c *checker) process(f File) {
	c.required("state_dir", f.StateDir)
	c.oneOf("log.level", f.Log.Level)
	c.oneOf("log.format", f.Log.Format)
	c.longEnough("lease.ttl", f.Lease.TTL)
	c.shortEnough("lease.ttl", f.Lease.TTL, "after a crash nobody acts for that time")
	c.http(f.HTTP)
	c.apart(f)
	if f.NATS.URL == "" {
		c.embeddedServer(f.NATS)
	} else {
		c.externalServer(f.NATS)
	}
}

// tokenLeast is how short a token may be that others can try to guess.
const tokenLeast = 16

// http checks the dashboard's server. A password is never asked for in the clear.
func (c *checker) http(h HTTP) {
	if h.Listen == HTTPOff {
		return
	}
	if _, port, err := net.SplitHostPort(h.Listen); err != nil || !validPort(port) {
		c.add("http.listen", c.show("http.listen", h.Listen)+" is not host:port", "write "+withHost(h.Listen, httpDefault)+", or off for no dashboard")
	}
	if h.Token.IsSet() && len(h.Token.Reveal()) < tokenLeast {
		c.add("http.token", fmt.Sprintf("is shorter than %d characters and can be guessed", tokenLeast), "write a longer one, such as the output of: openssl rand -hex 24")
	}
	if (h.User == "") != (h.Password == "") {
		c.add("http", "has only one of user and password", "write both, or neither")
	}
	if h.Password.IsSet() && len(h.Password.Reveal()) < tokenLeast {
		c.add("http.password", fmt.Sprintf("is shorter than %d characters and can be guessed", tokenLeast), "write a longer one")
	}
	secure := h.TLS.CertFile != "" || h.BehindTLSProxy
	if h.Password.IsSet() && !secure {
		c.add("http.password", "would travel in the clear", "write http.tls, or http.behind_tls_proxy: true when a proxy in front speaks TLS")
	}
	if (h.TLS.CertFile == "") != (h.TLS.KeyFile == "") {
		c.add("http.tls", "has only one of cert_file and key_file", "write both, or neither")
	}
}

func (c *checker) externalServer(n NATS) {
	logins := []string{}
	for name, set := range map[string]bool{
		"creds_file": n.CredsFile != "", "nkey_file": n.NKeyFile != "",
		"user": n.User != "" || n.Password != "", "token": n.Token != "",
	} {
		if set {
			logins = append(logins, name)
		}
	}
	slices.Sort(logins)
	if len(logins) > 1 {
		c.add("nats", "has several logins: "+strings.Join(logins, ", "), "keep one")
	}
	if n.Password != "" && n.User == "" {
		c.add("nats.user", "is missing beside nats.password", "write the user, or nats.token alone")
	}
	if (n.TLS.CertFile == "") != (n.TLS.KeyFile == "") {
		c.add("nats.tls", "has only one of cert_file and key_file", "write both, or neither")
	}
	if n.Listen != "" {
		c.add("nats.listen", "belongs to the embedded server, and nats.url names an external one", "remove one of the two")
	}
	for _, u := range split(n.URL, ",") {
		c.address("nats.url", u, natsSchemes()...)
	}
}

// embeddedServer checks what the server inside the process is told. It serves the
// programs of its own machine, without login and TLS.
func (c *checker) embeddedServer(n NATS) {
	for name, set := range map[string]bool{
		"creds_file": n.CredsFile != "", "nkey_file": n.NKeyFile != "",
		"user": n.User != "", "password": n.Password != "", "token": n.Token != "",
		"tls.ca_file": n.TLS.CAFile != "", "tls.cert_file": n.TLS.CertFile != "", "tls.key_file": n.TLS.KeyFile != "",
	} {
		if set {
			c.add("nats."+name, "counts only with nats.url: the embedded server has no login and no TLS", "write nats.url, or remove it")
		}
	}
	host, port, err := net.SplitHostPort(n.Listen)
	if err != nil || !validPort(port) {
		c.add("nats.listen", c.show("nats.listen", n.Listen)+" is not host:port", "write "+withHost(n.Listen, listenDefault))
		return
	}
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		c.add("nats.listen", c.show("nats.listen", n.Listen)+" can be reached from other machines, and the embedded server has no login",
			"write "+listenDefault+", or run nats-server with a login and write its address as nats.url")
	}
}

// distinct checks what two autoscalers must not share.
func (c *checker) distinct(autoscalers []Autoscaler) {
	names, workers := map[string]int{}, map[string]int{}
	for i, a := range autoscalers {
		path := item("autoscalers", i)
		if first, twice := names[a.Name]; twice && a.Name != "" {
			c.add(child(path, "name"), c.show(child(path, "name"), a.Name)+" is the name of "+item("autoscalers", first)+" too", "give each autoscaler its own name")
		} else {
			names[a.Name] = i
		}
		key := strings.TrimRight(strings.ToLower(a.ClearML.APIServer), "/") + " " + a.WorkersPrefix
		if first, twice := workers[key]; twice && a.ClearML.APIServer != "" && a.WorkersPrefix != "" {
			c.add(child(path, "workers_prefix"), fmt.Sprintf("%q is the prefix of %s too, on the same ClearML server: each would take the other's workers for its own", a.WorkersPrefix, item("autoscalers", first)), "write another prefix, such as "+slug(a.WorkersPrefix+"_"+a.Name, "dynamic_aws_2"))
		} else {
			workers[key] = i
		}
	}
}

// shortDuration is d without the zeros that String adds: 15m, not 15m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
