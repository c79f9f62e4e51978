package ec2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
)

const (
	// connectTimeout is for name, connection and TLS, each.
	connectTimeout = 10 * time.Second
	// callTimeout is for a whole call. RunInstances for hundreds of instances
	// takes EC2 some seconds; giving up early only costs a call more, since the
	// same request launches once.
	callTimeout = 60 * time.Second
)

// ClientConfig says how to reach EC2.
type ClientConfig struct {
	// Region is the AWS region, such as us-east-1. It may be empty with
	// UseIAMRole when the environment or the profile names one.
	Region string
	// AccessKeyID and SecretAccessKey are long-lived keys, or with SessionToken
	// temporary ones. With keys given, nothing is read from the environment.
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	// UseIAMRole takes credentials from the SDK's default chain in place of
	// keys: environment, shared files, container, instance profile.
	UseIAMRole bool
	// EndpointURL replaces the endpoint of the region; empty for AWS's own.
	EndpointURL string
	// HTTPClient replaces the SDK's HTTP client; nil for one of [NewHTTPClient].
	HTTPClient aws.HTTPClient
	// Called is told as a call begins, by the name of its action, and what it
	// returns as the call ends: "ok", or the class of its failure. Neither may
	// block; nil tells nobody.
	Called func(action string) (ended func(result string))
}

// NewHTTPClient makes an HTTP client with time-outs. Several clients of AWS may
// have the same one, and then share its connections.
func NewHTTPClient() aws.HTTPClient {
	return awshttp.NewBuildableClient().WithTimeout(callTimeout).
		WithDialerOptions(func(dialer *net.Dialer) { dialer.Timeout = connectTimeout })
}

// NewClient makes an EC2 client that sends every call once: the SDK's retries
// are off. It calls nothing; that credentials work shows at the first call. It
// returns an error when keys and UseIAMRole contradict each other, and when the
// region is missing.
func NewClient(ctx context.Context, config ClientConfig) (*awsec2.Client, error) {
	sdk, err := config.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("make EC2 client: %w", err)
	}
	return awsec2.NewFromConfig(sdk, func(options *awsec2.Options) {
		if config.Called != nil {
			options.APIOptions = append(options.APIOptions, tellCalls(config.Called))
		}
		if config.EndpointURL != "" {
			options.BaseEndpoint = aws.String(config.EndpointURL)
		}
	}), nil
}

// load makes what clients of the SDK are made of: region, credentials whose
// errors are marked, no retries, an HTTP client with time-outs. It calls nothing.
func (c ClientConfig) load(ctx context.Context) (aws.Config, error) {
	if err := c.check(); err != nil {
		return aws.Config{}, err
	}
	sdk := aws.Config{Region: c.Region, HTTPClient: c.HTTPClient}
	if sdk.HTTPClient == nil {
		sdk.HTTPClient = NewHTTPClient()
	}
	if c.UseIAMRole {
		options := []func(*awsconfig.LoadOptions) error{awsconfig.WithHTTPClient(sdk.HTTPClient)}
		if c.Region != "" {
			options = append(options, awsconfig.WithRegion(c.Region))
		}
		loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
		if err != nil {
			return aws.Config{}, fmt.Errorf("load AWS configuration: %w", err)
		}
		if loaded.Region == "" {
			return aws.Config{}, errors.New("no region: give one, such as us-east-1")
		}
		sdk = loaded
	} else {
		sdk.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
	}
	sdk.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	sdk.HTTPClient = wholeBodies{sdk.HTTPClient}
	sdk.Credentials = credentialsProvider{sdk.Credentials}
	sdk.APIOptions = append(sdk.APIOptions, awsmiddleware.AddUserAgentKey("ebb"))
	return sdk, nil
}

// check never repeats a key: its error goes into logs.
func (c ClientConfig) check() error {
	if c.EndpointURL != "" {
		endpoint, err := url.Parse(c.EndpointURL)
		switch {
		case err != nil:
			return errors.New("the endpoint is not a URL: it has the form https://host:port")
		case endpoint.Scheme != "http" && endpoint.Scheme != "https" || endpoint.Host == "":
			return errors.New("the endpoint has no http:// or https:// with a host: it has the form https://host:port")
		case endpoint.User != nil:
			return errors.New("the endpoint has a user name in it: give keys instead")
		}
	}
	keys := c.AccessKeyID != "" || c.SecretAccessKey != "" || c.SessionToken != ""
	switch {
	case c.UseIAMRole && keys:
		return errors.New("both keys and use_iam_role: take one of them out")
	case c.UseIAMRole:
		return nil
	case c.Region == "":
		return errors.New("no region: give one, such as us-east-1")
	case c.AccessKeyID == "" || c.SecretAccessKey == "":
		return errors.New("no credentials: give both access key id and secret access key, or use an IAM role")
	}
	return nil
}

// wholeBodies hands each request body to the HTTP client as bytes in memory.
//
// The SDK hands it over as a stream, and closes that as soon as the answer
// begins. When the answer is quicker than net/http, which still looks for more
// to send, the closed stream says io.EOF where it must say nothing, net/http
// takes that for a failed request and closes the connection in the middle of
// the answer: "use of closed network connection" (aws-sdk-go-v2 issues 1825 and
// 2737). The SDK's retries, which are off here, hide it. Bytes in memory go out
// in one piece together with the header, so there is no stream to race for.
type wholeBodies struct{ below aws.HTTPClient }

// Do sends the request.
func (c wholeBodies) Do(request *http.Request) (*http.Response, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return c.below.Do(request)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	if err := request.Body.Close(); err != nil {
		return nil, fmt.Errorf("close request body: %w", err)
	}
	request.ContentLength = int64(len(body))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	request.Body = io.NopCloser(bytes.NewReader(body))
	return c.below.Do(request)
}

// credentialsProvider marks errors in getting credentials: the call was never
// sent.
type credentialsProvider struct {
	aws.CredentialsProvider
}

// Retrieve asks the provider below.
func (p credentialsProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	value, err := p.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &credentialsError{cause: err}
	}
	return value, nil
}

// credentialsError is an error in getting credentials.
type credentialsError struct{ cause error }

// Error is that of the cause.
func (e *credentialsError) Error() string { return "get AWS credentials: " + e.cause.Error() }

// Unwrap is the cause.
func (e *credentialsError) Unwrap() error { return e.cause }
