package simulation

import (
	"context"
	"strings"
	"time"

	"github.com/ebbscale/ebb/actors"
	"github.com/ebbscale/ebb/messages"
)

// ordering are the bugs in what operators ask.
func ordering() []bug {
	held := says("an operator's word holds", "launching is paused since")
	gone := says("an operator's word holds", "an operator was told at .* that it goes")
	forgetful := bendState(func(s *bentState) { s.forgets = "resource/" })
	forgetful.faults = []string{"operator", "kill", "crash", "reload"}
	forgetful.options = func(o *Options) {
		for n := range o.Resources {
			o.Resources[n].MaxIdle = 40 * time.Minute // else it goes by itself, whatever was forgotten
		}
	}
	return []bug{
		{"a pause is not kept over a restart", bendState(func(s *bentState) { s.forgets = "pause" }), held},
		{"what operators let go is not kept over a restart", forgetful, gone},
		{"a pause is announced and not heeded", bendMessages("autoscaler", func(message any) []any {
			if ordered, ok := message.(messages.Ordered); ok {
				if _, pauses := ordered.Order.(messages.PauseLaunches); pauses {
					resumed := ordered
					resumed.Ask, resumed.Order = 0, messages.ResumeLaunches{}
					return []any{ordered, resumed}
				}
			}
			return []any{message}
		}), held},
	}
}

// bentState forgets what is saved under keys that begin so.
type bentState struct {
	actors.State
	forgets string
}

func (s bentState) Save(ctx context.Context, key messages.StateKey, value []byte) error {
	if strings.HasPrefix(key.Key, s.forgets) {
		return nil
	}
	return s.State.Save(ctx, key, value)
}

func bendState(bend func(s *bentState)) *mistake {
	return &mistake{configure: func(_ *process, cfg *actors.Config) {
		s := bentState{State: cfg.State}
		bend(&s)
		cfg.State = s
	}}
}
