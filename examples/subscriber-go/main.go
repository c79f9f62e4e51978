// Subscriber-go follows the events of ebb from the JetStream stream EBB_EVENTS, prints
// a line for each thing that scales, and counts the instances of each resource type.
// It misses nothing while it is away: a file keeps how far it has read. Copy it and put
// your own effect where it prints.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// event is what this program uses of an event; docs/events.md has all fields of all
// kinds. Kinds and fields are added, so pass over what you do not know.
type event struct {
	ID      string    `json:"id"`      // unique over all events
	Source  string    `json:"source"`  // /ebb/<autoscaler>, percent-encoded
	Type    string    `json:"type"`    // ebb.v1.<noun>.<verb>
	Subject string    `json:"subject"` // the instance, resource type or task; none is the autoscaler
	Time    time.Time `json:"time"`    // when it happened; the order is that of the stream
	Data    struct {
		Instance string `json:"instance"`
		Resource string `json:"resource"`
		Message  string `json:"message"`
		Reasons  []struct {
			Code   string `json:"code"`
			Detail string `json:"detail"`
		} `json:"reasons"`
	} `json:"data"`
}

func main() {
	url := flag.String("url", cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL), "NATS server, or $NATS_URL; $NATS_USER and $NATS_PASSWORD log in")
	creds := flag.String("creds", os.Getenv("NATS_CREDS"), "credentials file, or $NATS_CREDS")
	filter := flag.String("filter", "ebb.v1.>", "events to read; ebb.v1.prod.> are those of the autoscaler prod")
	path := flag.String("state", "subscriber-go.json", "file that keeps how far this program has read")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := load(*path)
	if err != nil {
		fmt.Fprintln(os.Stderr, "subscriber-go:", err)
		os.Exit(1)
	}
	// nats.go gets a lost connection back by itself. Whatever else goes wrong (no server
	// at the start, no stream yet, a wrong password) may be set right while we wait.
	for ctx.Err() == nil {
		if err := follow(ctx, *url, *creds, *filter, s); ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "subscriber-go:", err, "- trying again")
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
}

// follow reads the stream from where the state ends, until the context ends or
// something fails.
func follow(ctx context.Context, url, creds, filter string, s *state) error {
	options := []nats.Option{nats.Name("subscriber-go"), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort()}
	if creds != "" {
		options = append(options, nats.UserCredentials(creds))
	} else if user := os.Getenv("NATS_USER"); user != "" {
		options = append(options, nats.UserInfo(user, os.Getenv("NATS_PASSWORD")))
	}
	conn, err := nats.Connect(url, options...)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, "EBB_EVENTS")
	if err != nil {
		return fmt.Errorf("find stream EBB_EVENTS (ebb makes it when it first runs): %w", err)
	}
	if stream.CachedInfo().State.LastSeq < s.Sequence {
		fmt.Fprintln(os.Stderr, "subscriber-go: the stream was made anew; reading it from its beginning")
		s.Sequence = 0
	}
	// An ordered consumer costs the server next to nothing and is made anew by nats.go
	// after the last message received, also when the server was restarted.
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.Sequence + 1,
	})
	if err != nil {
		return fmt.Errorf("read stream EBB_EVENTS: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullHeartbeat(5 * time.Second))
	if err != nil {
		return fmt.Errorf("read stream EBB_EVENTS: %w", err)
	}
	defer context.AfterFunc(ctx, messages.Stop)() // ends Next, too, while the server is away
	defer messages.Stop()
	for {
		message, err := messages.Next()
		if err != nil {
			return fmt.Errorf("read stream EBB_EVENTS: %w", err)
		}
		meta, err := message.Metadata()
		if err != nil {
			return err
		}
		var e event
		if err := json.Unmarshal(message.Data(), &e); err == nil && e.ID != "" { // else not ebb's
			handle(e, s)
		}
		s.Sequence = meta.Sequence.Stream
		// The line and this file are two steps: a kill right between them prints the line
		// once more. If that matters, store your effect and the state in one transaction.
		if err := s.save(); err != nil {
			return err
		}
	}
}

// handle is what to do with an event: replace it by your own.
func handle(e event, s *state) {
	if !s.first(e.ID) {
		return
	}
	s.count(e)
	switch kind := strings.TrimPrefix(e.Type, "ebb.v1."); kind {
	case "autoscaler.started", "autoscaler.stopped", "autoscaler.paused", "autoscaler.resumed",
		"instance.launched", "instance.adopted", "instance.refused", "instance.terminating", "instance.unended",
		"instance.gone", "instance.stray", "resource.held", "resource.released", "task.requeued", "task.lost":
		why := []string{}
		for _, r := range e.Data.Reasons {
			why = append(why, strings.TrimSuffix(r.Code+": "+r.Detail, ": "))
		}
		if e.Data.Message != "" {
			why = append(why, e.Data.Message)
		}
		fmt.Printf("%s %s %s %s (%s) [%s]\n", e.Time.Format(time.RFC3339), e.autoscaler(), kind,
			cmp.Or(e.Subject, "-"), cmp.Or(strings.Join(slices.Compact(why), "; "), "-"), s.counts())
	}
}
