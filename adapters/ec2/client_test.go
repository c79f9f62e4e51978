package ec2_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

func TestNewClientRefuses(t *testing.T) {
	t.Parallel()

	good := ec2.ClientConfig{Region: "us-east-1", AccessKeyID: accessKey, SecretAccessKey: secretKey}
	for name, c := range map[string]struct {
		spoil func(*ec2.ClientConfig)
		want  string
	}{
		"no region":   {func(c *ec2.ClientConfig) { c.Region = "" }, "no region"},
		"no keys":     {func(c *ec2.ClientConfig) { c.AccessKeyID, c.SecretAccessKey = "", "" }, "no credentials"},
		"half a key":  {func(c *ec2.ClientConfig) { c.SecretAccessKey = "" }, "give both"},
		"both":        {func(c *ec2.ClientConfig) { c.UseIAMRole = true }, "take one of them out"},
		"no scheme":   {func(c *ec2.ClientConfig) { c.EndpointURL = "localhost:5000" }, "https://host:port"},
		"no URL":      {func(c *ec2.ClientConfig) { c.EndpointURL = "http://x:y:z/" + secretKey + "%zz" }, "not a URL"},
		"user in URL": {func(c *ec2.ClientConfig) { c.EndpointURL = "http://me:" + secretKey + "@localhost" }, "user name"},
	} {
		config := good
		c.spoil(&config)
		_, err := ec2.NewClient(t.Context(), config)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secretKey) {
			t.Errorf("%s: got %v, want an error that says %q and no key", name, err, c.want)
		}
	}
}

// TestNewClientCalls looks at one call as the endpoint gets it.
func TestNewClientCalls(t *testing.T) {
	t.Parallel()

	var header http.Header
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		answer(http.StatusInternalServerError, refusal("InternalError", "oops"))(w, r)
	})
	api, err := ec2.NewClient(t.Context(), ec2.ClientConfig{
		Region: "eu-central-1", AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: "session-1", EndpointURL: s.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adapter(t, api, ec2.Template{AMI: "a"}).List(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if n := len(s.sent()); n != 1 {
		t.Errorf("%d calls, want one: retries are for the provisioner", n)
	}
	if got := header.Get("Authorization"); !strings.Contains(got, accessKey) || !strings.Contains(got, "/eu-central-1/ec2/") {
		t.Errorf("signed with %q", got)
	}
	if header.Get("X-Amz-Security-Token") != "session-1" || !strings.Contains(header.Get("User-Agent"), "ebb") {
		t.Errorf("headers %v", header)
	}
}

// TestAnswersQuickerThanTheRequest: an answer that comes while the HTTP client
// is still at work on the request must not be cut off. The SDK on its own loses
// every fourth of these calls, with the race detector on.
func TestAnswersQuickerThanTheRequest(t *testing.T) {
	t.Parallel()

	body := "<DescribeInstancesResponse><reservationSet>" +
		strings.Repeat("<item><reservationId>r-1</reservationId></item>", 300) + "</reservationSet></DescribeInstancesResponse>"
	s := newServer(t, answer(http.StatusOK, body))
	a := adapter(t, client(t, s.URL), ec2.Template{AMI: "a"})
	for range 200 {
		if _, err := a.List(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestIAMRole takes keys and region from where the SDK finds them; the test
// says where that is.
func TestIAMRole(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDFROMENV", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_REGION": "eu-west-1",
		"AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_DEFAULT_PROFILE": "", "AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere,
		"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_EC2": "", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "5",
	} {
		t.Setenv(name, value)
	}
	var signed string
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		signed = r.Header.Get("Authorization")
		answer(http.StatusInternalServerError, refusal("InternalError", "oops"))(w, r)
	})
	api, err := ec2.NewClient(t.Context(), ec2.ClientConfig{UseIAMRole: true, EndpointURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adapter(t, api, ec2.Template{AMI: "a"}).List(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if !strings.Contains(signed, "AKIDFROMENV") || !strings.Contains(signed, "/eu-west-1/ec2/") || len(s.sent()) != 1 {
		t.Errorf("%d calls, signed with %q", len(s.sent()), signed)
	}

	t.Setenv("AWS_REGION", "")
	if _, err := ec2.NewClient(t.Context(), ec2.ClientConfig{UseIAMRole: true}); err == nil || !strings.Contains(err.Error(), "no region") {
		t.Errorf("got %v, want an error about the region", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	api, err = ec2.NewClient(t.Context(), ec2.ClientConfig{Region: "eu-west-1", UseIAMRole: true, EndpointURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = adapter(t, api, ec2.Template{AMI: "a"}).List(t.Context())
	if f := failure(t, err); f.Class != messages.ClassUnauthorized || !strings.HasPrefix(f.Message, "getting AWS credentials: ") {
		t.Errorf("got %v, want unauthorized for want of credentials", err)
	}
}
