package fakeec2

import (
	"errors"
	"fmt"
	"net/http"
)

// APIError is an answer that EC2 gives instead of a result.
type APIError struct {
	Code    string // EC2's error code, such as InvalidInstanceID.NotFound
	Message string
	Status  int // HTTP status
}

// Error is the code and the message.
func (e *APIError) Error() string { return e.Code + ": " + e.Message }

// ErrDropped means that the connection broke before an answer came; the call
// may or may not have had its effect.
var ErrDropped = errors.New("connection dropped")

// ErrTimeout means that no answer came in time; the call had its effect.
var ErrTimeout = errors.New("no answer in time")

// errorf is a client error, HTTP 400.
func errorf(code, format string, args ...any) *APIError {
	return &APIError{Code: code, Message: fmt.Sprintf(format, args...), Status: statusOf(code)}
}

// statusOf is the HTTP status that goes with an error code. Codes that EC2
// lists as server errors come as 5xx, and SDKs retry those.
func statusOf(code string) int {
	switch code {
	case "AuthFailure":
		return http.StatusUnauthorized
	case "UnauthorizedOperation", "OptInRequired", "Blocked", "AuthFailure.ServiceLinkedRoleCreationNotPermitted":
		return http.StatusForbidden
	case "DryRunOperation":
		return http.StatusPreconditionFailed
	case "RequestLimitExceeded", "Unavailable", "ServiceUnavailable":
		return http.StatusServiceUnavailable
	case "InsufficientInstanceCapacity", "InsufficientCapacityOnHost", "InternalError", "InternalFailure":
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

func errThrottled() *APIError { return errorf("RequestLimitExceeded", "Request limit exceeded.") }

// errDenied is what EC2 says to who may not do something. action has the service
// in front, resource is an ARN.
func (c Catalog) errDenied(action, resource string) *APIError {
	return errorf("UnauthorizedOperation", "You are not authorized to perform this operation. User: %s is not authorized to perform: "+
		"%s on resource: %s because no identity-based policy allows the %s action. Encoded authorization failure message: ZmFrZQ==",
		c.callerARN(), action, resource, action)
}

// callerARN is who all callers of the region are.
func (c Catalog) callerARN() string { return "arn:aws:iam::" + c.AccountID + ":user/ebb" }

// arn is the ARN of something of EC2 in the region.
func (c Catalog) arn(kind, id string) string {
	return fmt.Sprintf("arn:aws:ec2:%s:%s:%s/%s", c.Region, c.AccountID, kind, id)
}

// deniedOn is the resource that a refusal of an action names.
func (c Catalog) deniedOn(action string) string {
	switch action {
	case "RunInstances", "TerminateInstances", "GetConsoleOutput", "CreateTags":
		return c.arn("instance", "*")
	default:
		return "*"
	}
}

func errDryRun() *APIError {
	return errorf("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
}
