package doctor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/messages"
)

// skewMost is how far clocks may be apart before it is worth a word. ebb itself
// reckons with the server's clock; tokens, certificates and AWS, with five
// minutes of tolerance, do not.
const skewMost = 30 * time.Second

// namesShown is how many names one message has at most.
const namesShown = 5

// observation is what ClearML showed; known is false when it showed nothing.
type observation struct {
	known    bool
	snapshot messages.ClearMLSnapshot
}

// checkClearML logs in and looks at the queues.
func (p *patient) checkClearML(ctx context.Context, s *sheet) observation {
	client, err := p.tracker()
	if err != nil {
		s.fail(ClearMLServer, "", err.Error(), "correct "+p.path+".clearml")
		s.skip("clearml.server failed", "", ClearMLLogin, ClearMLClock, ClearMLQueues)
		return observation{}
	}
	defer client.Close()
	probe, err := client.Probe(ctx)
	if !p.judgeLogin(ctx, s, probe, err) {
		return observation{}
	}
	snapshot, err := client.Observe(ctx, p.Query)
	if err != nil {
		fix := "the user of these ClearML credentials has to see queues and workers: use those of a user with that right"
		if late(ctx) {
			fix = p.options.lateFix()
		}
		s.fail(ClearMLQueues, "", err.Error(), fix)
		return observation{}
	}
	p.judgeQueues(s, snapshot)
	return observation{known: true, snapshot: snapshot}
}

// tracker makes a client of the ClearML server.
func (p *patient) tracker() (*clearml.Client, error) {
	setup := p.ClearML
	setup.Clock, setup.Log = clock.System(), p.options.Log
	setup.Rand = rand.New(rand.NewPCG(1, 1)) // for pauses between attempts, of which there are none
	setup.MaxAttempts, setup.RequestTimeout = 1, callPatience
	return clearml.New(setup)
}

// judgeLogin notes how the login went, and reports whether it worked.
func (p *patient) judgeLogin(ctx context.Context, s *sheet, probe clearml.Probe, err error) bool {
	server := p.config.ClearML.APIServer
	if err == nil {
		s.ok(ClearMLServer, "", "%s is a ClearML API server", server)
		s.ok(ClearMLLogin, "", "the server takes the credentials")
		p.judgeClock(s, probe)
		return true
	}
	message, _, _ := strings.Cut(messages.FailureOf(err).Message, "; ") // what follows is a cure, and Fix has a better one
	if probe.Fault == clearml.FaultCredentials {
		s.ok(ClearMLServer, "", "%s is a ClearML API server", server)
		keys := p.path + ".clearml.access_key and " + p.path + ".clearml.secret_key"
		if p.config.ClearML.AuthToken.IsSet() {
			keys = p.path + ".clearml.auth_token"
		}
		s.fail(ClearMLLogin, "", "the server refuses the credentials: "+message,
			"make new ones in ClearML's web application (Settings > Workspace > Create new credentials) and write them as "+keys)
		p.judgeClock(s, probe)
		s.skip("clearml.login failed", "", ClearMLQueues)
		return false
	}
	s.fail(ClearMLServer, "", fmt.Sprintf("%s: %s: %s", server, probe.Fault, message), p.serverFix(ctx, probe.Fault))
	s.skip("clearml.server failed", "", ClearMLLogin, ClearMLClock, ClearMLQueues)
	return false
}

func (p *patient) serverFix(ctx context.Context, fault clearml.Fault) string {
	server, key := p.config.ClearML.APIServer, p.path+".clearml.api_server"
	switch fault {
	case clearml.FaultNotAPI:
		if guess := clearml.GuessAPIServer(server); guess != "" {
			return "this looks like the address of ClearML's web or files server; write that of the API server: " + key + ": " + guess
		}
		return "write the address of the API server, not of the web application, as " + key + " (port 8008, or a host that begins with api.)"
	case clearml.FaultTLS:
		if strings.HasPrefix(server, "https:") {
			return "install the certificate authority of the server on this machine (update-ca-certificates, or SSL_CERT_FILE=ca.pem); " +
				"if the server has no TLS, write http:// in " + key
		}
		return "write https:// in " + key
	case clearml.FaultServer:
		return "look at the log of ClearML's API server, and of what stands in front of it"
	case clearml.FaultTimeout, clearml.FaultUnreachable, clearml.FaultName, clearml.FaultCredentials, clearml.FaultNone:
	}
	if late(ctx) {
		return p.options.lateFix()
	}
	return "check " + key + ", and from this machine: curl " + server + "/debug.ping"
}

func (p *patient) judgeClock(s *sheet, probe clearml.Probe) {
	switch skew := probe.Skew.Round(time.Second); {
	case !probe.SkewKnown:
		s.skip("the server does not tell its time", "", ClearMLClock)
	case skew.Abs() > skewMost:
		direction := "behind"
		if skew < 0 {
			direction = "ahead of"
		}
		s.warn(ClearMLClock, "", fmt.Sprintf("the clock of this machine is %s %s the server's", skew.Abs(), direction),
			"set both clocks by NTP (timedatectl set-ntp true); AWS refuses calls that are 5 minutes off")
	default:
		s.ok(ClearMLClock, "", "this machine and the server agree within %s", max(skew.Abs(), time.Second))
	}
}

// judgeQueues names the queues that are not there. ebb makes them, so it is no
// fault, but more often than not it is a misspelled name.
func (p *patient) judgeQueues(s *sheet, snapshot messages.ClearMLSnapshot) {
	for _, name := range snapshot.Missing {
		s.warn(ClearMLQueues, string(name), "does not exist on the server",
			"compare the name with ClearML's, in "+p.queueKey(name)+"; if it is right, leave it: ebb run makes the queue")
	}
	switch {
	case len(snapshot.Missing) > 0:
	case len(p.Query.Queues) == 1:
		s.ok(ClearMLQueues, "", "%s exists", p.Query.Queues[0])
	default:
		s.ok(ClearMLQueues, "", "all %d exist", len(p.Query.Queues))
	}
}

// queueKey is where the configuration names a queue.
func (p *patient) queueKey(name messages.QueueName) string {
	for i, r := range p.config.Resources {
		if slices.Contains(r.Queues, string(name)) {
			return p.resourcePath(i) + ".queues"
		}
	}
	return p.path + ".queues"
}

// checkWorkers looks for workers with our prefix that no instance of ours can be.
func (p *patient) checkWorkers(s *sheet, seen observation, fleet listing) {
	if !seen.known {
		s.skip("the workers could not be listed", "", ClearMLWorkers)
		return
	}
	var foreign, unclear []string
	for _, w := range seen.snapshot.Workers {
		worker, ok := messages.ParseWorkerID(w.ID)
		_, known := p.ResourceNamed(worker.Resource)
		switch {
		case !ok || !known:
			foreign = append(foreign, string(w.ID))
		case !fleet.known:
			unclear = append(unclear, string(w.ID))
		case !fleet.has(worker.Instance):
			foreign = append(foreign, string(w.ID))
		}
	}
	switch prefix := p.Query.WorkersPrefix; {
	case len(foreign) > 0:
		s.warn(ClearMLWorkers, "", fmt.Sprintf("%d workers have the prefix %s and are on no instance of this autoscaler: %s", len(foreign), prefix, some(foreign)),
			"if another autoscaler has the same prefix, write another one as "+p.path+".workers_prefix: each would take the other's workers for its own; "+
				"if their instances have just ended, they go by themselves within 10 minutes")
	case len(unclear) > 0:
		s.skip(fmt.Sprintf("the instances could not be listed, and %d workers have the prefix %s", len(unclear), prefix), "", ClearMLWorkers)
	default:
		s.ok(ClearMLWorkers, "", "nobody else has the prefix %s (%d workers of this autoscaler)", prefix, len(seen.snapshot.Workers))
	}
}

// some is the first of the names, and how many more there are.
func some(names []string) string {
	if len(names) <= namesShown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:namesShown], ", "), len(names)-namesShown)
}
