package ec2

import (
	"context"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// calledOK is the result of a call that did not fail.
const calledOK = "ok"

// tellCalls puts a step around the whole of each call, from writing the request to
// reading the answer.
func tellCalls(called func(action string) (ended func(result string))) func(*middleware.Stack) error {
	step := middleware.InitializeMiddlewareFunc("ebbCalled", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		ended := called(awsmiddleware.GetOperationName(ctx))
		out, metadata, err := next.HandleInitialize(ctx, in)
		result := calledOK
		if err != nil {
			result = string(failureOf(err).Class)
		}
		ended(result)
		return out, metadata, err
	})
	return func(stack *middleware.Stack) error { return stack.Initialize.Add(step, middleware.After) }
}
