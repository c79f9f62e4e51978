package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

// eventOptions is what `ebb events` was told.
type eventOptions struct {
	serverOptions

	autoscaler, kind string
	since            time.Duration
	follow, json     bool
}

func (i *invocation) eventsCommand() *cobra.Command {
	var o eventOptions
	c := &cobra.Command{
		Use:   "events",
		Short: "Show what the autoscalers did, and why",
		Long: "Show the events that the autoscalers recorded, oldest first, one line each.\n" +
			"They are read from the event server of a running ebb: the one of --nats-url or of\n" +
			"the configuration, else " + natsDefault + ".\n\n" +
			"With --follow and without --since, only events from now on are shown.",
		Example: "  ebb events --follow\n" +
			"  ebb events --since 1h --autoscaler prod --kind instance.launched\n" +
			"  ebb events --json | jq .data",
		Args: flagsOnly,
	}
	i.serverFlags(c, &o.serverOptions)
	c.Flags().StringVar(&o.autoscaler, "autoscaler", "", "show the events of this autoscaler only")
	c.Flags().StringVar(&o.kind, "kind", "", "show this kind only, such as instance.launched, or all of a noun, such as instance")
	c.Flags().DurationVar(&o.since, "since", 0, "show events of this last while, such as 1h; default all that are kept")
	c.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with new events until stopped")
	c.Flags().BoolVar(&o.json, "json", false, "print each event as CloudEvents JSON on one line")
	_ = c.RegisterFlagCompletionFunc("kind", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return kinds(), cobra.ShellCompDirectiveNoFileComp
	})
	c.RunE = i.does(func(cmd *cobra.Command, _ []string) error {
		query, err := i.eventQuery(o, cmd.Flags().Changed("since"))
		if err != nil {
			return err
		}
		conn, err := i.server(cmd, o.serverOptions)
		if err != nil {
			return err
		}
		return i.events(cmd.Context(), conn, query, o.json)
	})
	return c
}

// kinds are all kinds of events, and their nouns, sorted.
func kinds() []string {
	all := messages.EventKinds()
	for _, kind := range messages.EventKinds() {
		noun, _, _ := strings.Cut(kind, ".")
		all = append(all, noun)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (i *invocation) eventQuery(o eventOptions, sinceGiven bool) (bus.EventQuery, error) {
	query := bus.EventQuery{Autoscaler: messages.AutoscalerName(o.autoscaler), Kind: o.kind, Follow: o.follow}
	switch {
	case o.kind != "" && !slices.Contains(kinds(), o.kind):
		if near := config.Nearest(o.kind, kinds()); near != "" {
			return query, usagef("--kind %q is not known; did you mean %s?", o.kind, near)
		}
		return query, usagef("--kind %q is not known; write one of %s", o.kind, strings.Join(kinds(), ", "))
	case o.since < 0 || sinceGiven && o.since == 0:
		return query, usagef("--since %s must be more than 0; write a duration such as 1h", o.since)
	case sinceGiven:
		query.Since = i.Now().Add(-o.since)
	case o.follow:
		query.Since = i.Now()
	}
	return query, nil
}

// events prints what the query finds. To be stopped while following is no error.
func (i *invocation) events(ctx context.Context, conn bus.ConnConfig, query bus.EventQuery, asJSON bool) error {
	server, err := dial(ctx, conn)
	if err != nil {
		return err
	}
	defer server.Close()
	found := 0
	err = server.Events(ctx, query, func(stored bus.StoredEvent) error {
		found++
		text := eventLine(stored)
		if asJSON {
			var compact bytes.Buffer
			if err := json.Compact(&compact, stored.Raw); err != nil {
				fmt.Fprintf(i.Stderr, "note: message %d on %s is no event and is left out: %v\n", stored.Sequence, stored.Subject, err)
				return nil
			}
			text = compact.String()
		}
		_, err := fmt.Fprintln(i.Stdout, text)
		return err
	})
	if query.Follow && errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	if err == nil && found == 0 && ctx.Err() == nil {
		fmt.Fprintln(i.Stderr, "note: no such event is kept")
	}
	return err
}

// eventLine is a stored event for people, also when this version cannot read it.
func eventLine(stored bus.StoredEvent) string {
	if stored.Event != nil {
		return eventtext.Line(stored.Recorded)
	}
	at, autoscaler, kind := stored.At, string(stored.Autoscaler), stored.Kind
	if at.IsZero() {
		at = stored.Stored
	}
	if name, ending, err := bus.ParseEventSubject(stored.Subject); err == nil && kind == "" {
		autoscaler, kind = string(name), ending
	}
	data := string(stored.Data)
	if data == "" {
		data = string(stored.Raw)
	}
	return eventtext.Unknown(at, autoscaler, kind, stored.About, data)
}
