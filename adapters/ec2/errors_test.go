package ec2_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

// codes is what EC2's codes mean, by class. The status that comes with each is
// whatever EC2 uses, or a misleading one: the code decides.
var codes = map[messages.FailureClass]string{
	messages.ClassThrottled: "RequestLimitExceeded Throttling ThrottlingException EC2ThrottledException RequestThrottled Client.RequestLimitExceeded",
	messages.ClassNoCapacity: "InsufficientInstanceCapacity InsufficientHostCapacity InsufficientCapacityOnHost UnfulfillableCapacity " +
		"ReservationCapacityExceeded SpotMaxPriceTooLow Server.InsufficientInstanceCapacity",
	messages.ClassNoAddresses: "InsufficientFreeAddressesInSubnet",
	messages.ClassQuota: "VcpuLimitExceeded InstanceLimitExceeded MaxSpotInstanceCountExceeded MaxSpotFleetRequestCountExceeded " +
		"MaxFleetCountExceeded TargetCapacityLimitExceededException ResourceLimitExceeded ResourceCountExceeded VolumeLimitExceeded",
	messages.ClassMarketClosed: "ServiceLinkedRoleCreationNotPermitted AuthFailure.ServiceLinkedRoleCreationNotPermitted",
	messages.ClassUnsupported:  "Unsupported UnsupportedOperation",
	messages.ClassUnauthorized: "UnauthorizedOperation AuthFailure OptInRequired PendingVerification Blocked InvalidClientTokenId " +
		"SignatureDoesNotMatch ExpiredToken AccessDenied",
	messages.ClassInvalid: "InvalidAMIID.NotFound InvalidAMIID.Malformed InvalidAMIID.Unavailable InvalidSubnetID.NotFound InvalidSubnet " +
		"InvalidGroup.NotFound InvalidKeyPair.NotFound InvalidParameter InvalidParameterValue InvalidParameterCombination MissingParameter " +
		"InvalidSecurityGroupID.NotFound InvalidBlockDeviceMapping InvalidInstanceID.Malformed UnknownParameter VPCIdNotSpecified",
	messages.ClassNotFound:      "InvalidInstanceID.NotFound",
	messages.ClassTokenMismatch: "IdempotentParameterMismatch",
	messages.ClassTokenSpent:    "IdempotentInstanceTerminated",
	messages.ClassTransient:     "InternalError InternalFailure Unavailable ServiceUnavailable RequestExpired IncorrectInstanceState",
	messages.ClassUnknown:       "SomethingNew",
}

func TestCodeDecidesBeforeStatus(t *testing.T) {
	t.Parallel()

	for class, list := range codes {
		for code := range strings.FieldsSeq(list) {
			for _, status := range []int{http.StatusBadRequest, http.StatusInternalServerError} {
				want := class
				if class == messages.ClassUnknown && status == http.StatusInternalServerError {
					want = messages.ClassTransient // nobody knows what a 500 did
				}
				s := newServer(t, answer(status, refusal(code, "about it")))
				_, err := adapter(t, client(t, s.URL), ec2.Template{AMI: "ami-1"}).Launch(t.Context(), request())
				if f := failure(t, err); f.Class != want || f.Code != code || f.Message != "about it" {
					t.Errorf("%s with HTTP %d: got %+v, want class %s", code, status, f, want)
				}
				if calls := len(s.sent()); calls != 1 {
					t.Errorf("%s with HTTP %d: sent %d times, want once", code, status, calls)
				}
			}
		}
	}
}

// TestStatusDecidesWithoutCode is about answers that are not EC2's.
func TestStatusDecidesWithoutCode(t *testing.T) {
	t.Parallel()

	for status, want := range map[int]messages.FailureClass{
		429: messages.ClassThrottled, 401: messages.ClassUnauthorized, 403: messages.ClassUnauthorized, 407: messages.ClassUnauthorized,
		408: messages.ClassTransient, 500: messages.ClassTransient, 502: messages.ClassTransient, 503: messages.ClassTransient,
		504: messages.ClassTransient, 404: messages.ClassUnknown, 418: messages.ClassUnknown,
	} {
		for name, body := range map[string]string{"HTML": "<html><body>proxy</body></html>", "nothing": "", "half": "<Response><Err"} {
			s := newServer(t, answer(status, body))
			_, err := adapter(t, client(t, s.URL), ec2.Template{AMI: "ami-1"}).Launch(t.Context(), request())
			if f := failure(t, err); f.Class != want {
				t.Errorf("HTTP %d with %s: got %v, want class %s", status, name, err, want)
			}
		}
	}
}

// TestBrokenConversations must leave open what EC2 did.
func TestBrokenConversations(t *testing.T) {
	t.Parallel()

	dropping := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = connection.Close()
		}
	})
	cutting := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10000")
		_, _ = io.WriteString(w, launched[:200])
	})
	release := make(chan struct{})
	silent := newServer(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })

	for name, endpoint := range map[string]string{
		"refused": "http://127.0.0.1:1", "dropped": dropping.URL, "cut": cutting.URL, "silent": silent.URL,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := adapter(t, client(t, endpoint), ec2.Template{AMI: "ami-1"}).Launch(ctx, request())
		cancel()
		if f := failure(t, err); f.Class != messages.ClassTransient || f.Definitive() {
			t.Errorf("%s: got %v, want a transient failure", name, err)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := adapter(t, client(t, silent.URL), ec2.Template{AMI: "ami-1"}).Launch(ctx, request())
	if f := failure(t, err); f.Class != messages.ClassTransient || !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v, want a transient failure that is context.Canceled", err)
	}
}

// TestErrorsAreReadable wants one line without EC2's blobs and our secrets.
func TestErrorsAreReadable(t *testing.T) {
	t.Parallel()

	message := "You are not authorized to perform this operation. User: arn:aws:iam::111122223333:user/x is not authorized to perform: " +
		"ec2:RunInstances on resource: *.\nEncoded authorization failure message: " + strings.Repeat("Zm9v", 500) + " " + strings.Repeat("more ", 500)
	s := newServer(t, answer(http.StatusForbidden, refusal("UnauthorizedOperation", message)))
	_, err := adapter(t, client(t, s.URL), ec2.Template{AMI: "ami-1", UserData: []byte("password")}).Launch(t.Context(), request())
	text := err.Error()
	if !strings.HasPrefix(text, `launch 3 "on_demand g5.xlarge in us-east-1a/subnet-0a" of resource "gpu": unauthorized: UnauthorizedOperation: You are`) {
		t.Errorf("got %q", text)
	}
	if len(text) > 1300 || strings.ContainsAny(text, "\n") {
		t.Errorf("%d bytes, or more than a line: %q", len(text), text)
	}
	for _, secret := range []string{"Zm9v", accessKey, secretKey, "password", "cGFzc3dvcmQ"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %q", secret, text)
		}
	}
}

// TestCredentialsThatCannotBeHad never got as far as EC2.
func TestCredentialsThatCannotBeHad(t *testing.T) {
	t.Parallel()

	broken := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no role here")
	})
	flaky := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, context.DeadlineExceeded
	})
	for _, c := range []struct {
		provider aws.CredentialsProvider
		want     messages.FailureClass
	}{{broken, messages.ClassUnauthorized}, {flaky, messages.ClassTransient}} {
		var asked atomic.Int32
		s := newServer(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
		api := client(t, s.URL)
		options := api.Options()
		options.Credentials = ec2.MarkCredentialErrors(c.provider)
		_, err := adapter(t, awsec2.New(options), ec2.Template{AMI: "ami-1"}).List(t.Context())
		if f := failure(t, err); f.Class != c.want || !strings.HasPrefix(f.Message, "getting AWS credentials: ") || asked.Load() != 0 {
			t.Errorf("got %v after %d calls, want class %s and no call", err, asked.Load(), c.want)
		}
	}
}
