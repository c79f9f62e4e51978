package messages

import "context"

// permitKey is where a context carries its permit.
type permitKey struct{}

// WithPermit makes a context for calls that change the world: whoever sends a
// request under it asks the permit first, before each single request, since
// between two of them the process may have been stopped for long.
func WithPermit(ctx context.Context, permit func() error) context.Context {
	return context.WithValue(ctx, permitKey{}, permit)
}

// Permitted asks the permit of the context whether a request may be sent now. A
// context without one permits everything. The error carries a [Failure].
func Permitted(ctx context.Context) error {
	if permit, ok := ctx.Value(permitKey{}).(func() error); ok {
		return permit()
	}
	return nil
}
