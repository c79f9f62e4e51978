package doctor

import (
	"context"

	"github.com/ebbscale/ebb/adapters/ec2"
)

// books look things up in EC2, each once.
type books struct {
	images   shelf[ec2.Image]
	types    shelf[ec2.Type]
	offered  shelf[[]string]
	subnets  shelf[ec2.Subnet]
	defaults shelf[[]ec2.Subnet]
	groups   shelf[string]
	keys     shelf[bool]
}

func newBooks(prober *ec2.Prober) *books {
	return &books{
		images: newShelf(prober.Image), types: newShelf(prober.Type), offered: newShelf(prober.Offered),
		subnets: newShelf(prober.Subnet), groups: newShelf(prober.GroupVPC),
		defaults: newShelf(func(ctx context.Context, _ string) ([]ec2.Subnet, error) { return prober.DefaultSubnets(ctx) }),
		keys:     newShelf(func(ctx context.Context, name string) (bool, error) { return true, prober.KeyPair(ctx, name) }),
	}
}

// shelf remembers the answers to one kind of question.
type shelf[T any] struct {
	ask     func(context.Context, string) (T, error)
	answers map[string]answer[T]
}

type answer[T any] struct {
	value T
	err   error
}

func newShelf[T any](ask func(context.Context, string) (T, error)) shelf[T] {
	return shelf[T]{ask: ask, answers: map[string]answer[T]{}}
}

func (s shelf[T]) of(ctx context.Context, id string) (T, error) {
	if known, ok := s.answers[id]; ok {
		return known.value, known.err
	}
	limited, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	var got answer[T]
	got.err = patiently(limited, func() (err error) {
		got.value, err = s.ask(limited, id)
		return err
	})
	s.answers[id] = got
	return got.value, got.err
}
