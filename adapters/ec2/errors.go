package ec2

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ebbscale/ebb/messages"
)

// classOf is the one table from EC2's error codes to what they mean for us. It
// answers ClassUnknown for a code that it does not have. A code may come with
// "Client." or "Server." in front.
func classOf(code string) messages.FailureClass {
	code = strings.TrimPrefix(strings.TrimPrefix(code, "Client."), "Server.")
	switch code {
	case "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
		"RequestThrottledException", "EC2ThrottledException", "TooManyRequestsException", "SlowDown",
		"BandwidthLimitExceeded", "PriorRequestNotComplete", "ConcurrentTagAccess":
		return messages.ClassThrottled
	case "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacityOnHost", "InsufficientCapacity",
		"InsufficientReservedInstanceCapacity", "InsufficientVolumeCapacity", "UnfulfillableCapacity", "ReservationCapacityExceeded",
		"CapacityReservationExceeded", "SpotMaxPriceTooLow":
		return messages.ClassNoCapacity
	case "InsufficientFreeAddressesInSubnet", "InsufficientAddressCapacity":
		return messages.ClassNoAddresses
	case "VcpuLimitExceeded", "InstanceLimitExceeded", "MaxSpotInstanceCountExceeded", "MaxSpotFleetRequestCountExceeded",
		"MaxFleetCountExceeded", "FleetLimitExceeded", "TargetCapacityLimitExceededException", "ResourceCountExceeded",
		"ResourceLimitExceeded", "VolumeLimitExceeded", "MaxIOPSLimitExceeded", "NetworkInterfaceLimitExceeded",
		"AddressLimitExceeded", "InstancesPerPlacementGroupLimitExceeded":
		return messages.ClassQuota
	case "ServiceLinkedRoleCreationNotPermitted", "AuthFailure.ServiceLinkedRoleCreationNotPermitted":
		return messages.ClassMarketClosed
	case "Unsupported", "UnsupportedOperation", "UnsupportedInstanceTypeOnHost", "UnsupportedHostConfiguration",
		"VolumeTypeNotAvailableInZone", "VolumeTypeNotAvailableInRegion":
		return messages.ClassUnsupported
	case "UnauthorizedOperation", "AuthFailure", "AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired",
		"OptInRequiredException", "SubscriptionRequiredException", "Blocked", "PendingVerification", "InvalidClientTokenId",
		"UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature",
		"MissingAuthenticationToken", "MissingAuthenticationTokenException", "ExpiredToken", "ExpiredTokenException",
		"InvalidAccessKeyId":
		return messages.ClassUnauthorized
	case "InvalidInstanceID.NotFound", "InvalidSpotInstanceRequestID.NotFound":
		return messages.ClassNotFound
	case "IdempotentParameterMismatch":
		return messages.ClassTokenMismatch
	case "IdempotentInstanceTerminated":
		return messages.ClassTokenSpent
	case "OperationNotPermitted":
		return messages.ClassProtected
	case "InternalError", "InternalFailure", "InternalServerError", "InternalServiceError", "Unavailable", "ServiceUnavailable",
		"ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException",
		// A clock that is off: the SDK learns the difference from the answer,
		// and the next call has the right time.
		"RequestExpired", "InvalidSecurity.RequestHasExpired", "RequestInTheFuture", "RequestTimeTooSkewed",
		// The instance is between two states.
		"IncorrectInstanceState", "IncorrectState":
		return messages.ClassTransient
	}
	return classOfFamily(code)
}

// classOfFamily judges a code by its beginning: EC2 has hundreds of codes that
// say which part of a request is wrong.
func classOfFamily(code string) messages.FailureClass {
	for _, prefix := range []string{
		"Invalid", // InvalidAMIID.NotFound, InvalidSubnetID.*, InvalidGroup.*, InvalidKeyPair.*, InvalidParameter* and many more
		"Missing", "Malformed", "UnknownParameter", "ValidationError", "VPCIdNotSpecified", "VPCResourceNotSpecified",
		"DefaultVpcDoesNotExist", "EncryptedVolumesNotSupported", "SecurityGroupsPerInstanceLimitExceeded",
		"SecurityGroupLimitExceeded", "TagLimitExceeded", "TagPolicyViolation", "FilterLimitExceeded", "UnsupportedTenancy",
		"UnsupportedHibernationConfiguration", "InstanceCreditSpecification.", "NonEBSInstance",
	} {
		if strings.HasPrefix(code, prefix) {
			return messages.ClassInvalid
		}
	}
	return messages.ClassUnknown
}

// classOfStatus is for an answer whose code is missing or not known, such as
// that of a proxy.
func classOfStatus(status int) messages.FailureClass {
	switch {
	case status == http.StatusTooManyRequests:
		return messages.ClassThrottled
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusProxyAuthRequired:
		return messages.ClassUnauthorized
	case status >= http.StatusInternalServerError || status == http.StatusRequestTimeout:
		return messages.ClassTransient
	case status >= http.StatusOK && status < http.StatusMultipleChoices:
		return messages.ClassTransient // it was done, and the answer is not readable
	}
	return messages.ClassUnknown
}

// failureOf makes a failure of an error of the SDK.
func failureOf(err error) *messages.Failure {
	if credentials, ok := errors.AsType[*credentialsError](err); ok {
		failure := failureOf(credentials.cause)
		if failure.Class != messages.ClassTransient && failure.Class != messages.ClassThrottled {
			failure.Class = messages.ClassUnauthorized
		}
		failure.Message = clip("getting AWS credentials: " + failure.Message)
		return failure
	}

	status := 0
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = response.HTTPStatusCode()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		class := classOf(api.ErrorCode())
		if class == messages.ClassUnknown && status != 0 {
			class = classOfStatus(status)
		}
		return &messages.Failure{Class: class, Code: api.ErrorCode(), Message: clip(api.ErrorMessage())}
	}
	failure := &messages.Failure{Class: messages.ClassUnknown, Message: clip(err.Error())}
	switch {
	case status != 0:
		failure.Class = classOfStatus(status)
	case wasNotSent(err):
		failure.Class = messages.ClassInvalid
	case isNetwork(err):
		failure.Class = messages.ClassTransient
	}
	return failure
}

// wasNotSent tells whether the request was so wrong that the SDK kept it.
func wasNotSent(err error) bool {
	var parameters smithy.InvalidParamsError
	var serialization *smithy.SerializationError
	return errors.As(err, &parameters) || errors.As(err, &serialization)
}

// isNetwork tells whether the conversation broke off, so that nobody knows what
// EC2 did.
func isNetwork(err error) bool {
	var (
		send     *smithyhttp.RequestSendError
		read     *smithy.DeserializationError
		canceled *smithy.CanceledError
		network  net.Error
	)
	return errors.As(err, &send) || errors.As(err, &read) || errors.As(err, &canceled) || errors.As(err, &network) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// messageMax is how many bytes of a vendor's message are kept.
const messageMax = 1 << 10

// clip makes a message fit for events and logs: one line, no encoded blob (a
// refusal carries kilobytes of it), not too long.
func clip(message string) string {
	blob := regexp.MustCompile(`\s*Encoded authorization failure message: \S+`)
	message = strings.Join(strings.Fields(blob.ReplaceAllString(message, "")), " ")
	if len(message) <= messageMax {
		return message
	}
	return strings.ToValidUTF8(message[:messageMax], "") + "…"
}

// callError says what was tried, carries the failure, and keeps the cause for
// errors.Is and errors.As without printing it.
type callError struct {
	what    string
	failure *messages.Failure
	cause   error
}

func failing(what string, failure *messages.Failure, cause error) error {
	return &callError{what: what, failure: failure, cause: cause}
}

// Error is what was tried and the failure.
func (e *callError) Error() string { return fmt.Sprintf("%s: %v", e.what, e.failure) }

// Unwrap gives the failure first, so that errors.As finds it.
func (e *callError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.failure}
	}
	return []error{e.failure, e.cause}
}
