package cli

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/control"
	"github.com/ebbscale/ebb/messages"
)

const (
	// topEvery is how often the view asks for the status.
	topEvery = time.Second
	// topSince is how far back the events go that it begins with.
	topSince = 10 * time.Minute
)

func (i *invocation) topCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "top", Short: "Watch a running ebb live in the terminal", Args: namedByFlag,
		Long: "Watch queues, resource types, instances and events of a running ebb. Up and down\n" +
			"scroll the instances, s sorts them by another column, e shows more events, q quits.",
		Example: "  ebb top --autoscaler prod",
	}
	o := controlOptions{quiet: true} // a log line would stand in the middle of the view
	c = i.control(c, &o, func(ctx context.Context, client control.Client, name messages.AutoscalerName, _ []string) error {
		out, _ := i.terminal()
		ctx, stop := context.WithCancel(ctx)
		program := tea.NewProgram(newTop(name), tea.WithContext(ctx), tea.WithOutput(out))
		var working sync.WaitGroup
		working.Go(func() { pollStatus(ctx, client, name, program) })
		working.Go(func() { followEvents(ctx, client, name, i.Now(), program) })
		_, err := program.Run()
		told := ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted)
		stop()
		working.Wait()
		if told {
			return nil
		}
		return err
	})
	c.PreRunE = func(*cobra.Command, []string) error {
		if _, ok := i.terminal(); !ok {
			return usagef("top needs a terminal; `ebb status` and `ebb events --follow` print lines")
		}
		return nil
	}
	return c
}

// terminal is the output, if it is one.
func (i *invocation) terminal() (*os.File, bool) {
	kept, ok := i.Stdout.(*keptError)
	if !ok {
		return nil, false
	}
	file, ok := kept.w.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// width is how wide the terminal is; 0 when the output is none.
func (i *invocation) width() int {
	file, ok := i.terminal()
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func pollStatus(ctx context.Context, client control.Client, name messages.AutoscalerName, program *tea.Program) {
	ticker := time.NewTicker(topEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		status, err := client.Status(ctx, name)
		if err != nil {
			err = plainly(ctx, client, err)
		}
		program.Send(statusMessage{status: status, err: err})
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func followEvents(ctx context.Context, client control.Client, name messages.AutoscalerName, now time.Time, program *tea.Program) {
	query := bus.EventQuery{Autoscaler: name, Since: now.Add(-topSince), Follow: true}
	err := client.Bus.Events(ctx, query, func(stored bus.StoredEvent) error {
		program.Send(eventMessage(eventLine(stored)))
		return nil
	})
	if err != nil && ctx.Err() == nil {
		program.Send(eventMessage("events can not be read: " + err.Error()))
	}
}
