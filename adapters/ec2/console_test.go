package ec2_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

func TestConsole(t *testing.T) {
	t.Parallel()

	line := strings.Repeat("x", 99) + "\n"
	for name, c := range map[string]struct{ raw, want string }{
		"nothing yet":     {"", ""},
		"short":           {"boot\nlogin: ", "boot\nlogin: "},
		"line ends":       {"a\r\nb\rc\td", "a\nb\nc\td"},
		"colors":          {"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b(B\x00\x07\x7f", "red x(B"},
		"direction":       {"a\u202eb", "ab"},
		"not UTF-8":       {"a\xff\xfeb", "a\uFFFDb"},
		"whole lines":     {strings.Repeat(line, 100), strings.Repeat(line, 40)},
		"exact line":      {"first\n" + strings.Repeat("y", 4095) + "\n", strings.Repeat("y", 4095) + "\n"},
		"one long line":   {strings.Repeat("z", 5000), strings.Repeat("z", 4096)},
		"long, last line": {strings.Repeat("z", 5000) + "\n", strings.Repeat("z", 4095) + "\n"},
		"wide characters": {strings.Repeat("€", 2000), strings.Repeat("€", 1365)},
	} {
		api := stub{console: func(in *awsec2.GetConsoleOutputInput) (*awsec2.GetConsoleOutputOutput, error) {
			if *in.InstanceId != "i-1" || !aws.ToBool(in.Latest) {
				t.Errorf("asked with %+v", in)
			}
			if c.raw == "" {
				return &awsec2.GetConsoleOutputOutput{}, nil
			}
			return &awsec2.GetConsoleOutputOutput{Output: aws.String(base64.StdEncoding.EncodeToString([]byte(c.raw)))}, nil
		}}
		got, err := adapter(t, api, ec2.Template{AMI: "a"}).Console(t.Context(), "i-1")
		if err != nil || got != c.want || !utf8.ValidString(got) {
			t.Errorf("%s: got %d bytes %.60q, %v, want %d bytes %.60q", name, len(got), got, err, len(c.want), c.want)
		}
	}
}

// TestConsoleOfOldTypes: what is not on Nitro has no latest output.
func TestConsoleOfOldTypes(t *testing.T) {
	t.Parallel()

	api := stub{console: func(in *awsec2.GetConsoleOutputInput) (*awsec2.GetConsoleOutputOutput, error) {
		if in.Latest != nil {
			return nil, &smithy.GenericAPIError{Code: "UnsupportedOperation", Message: "This instance type does not support retrieving the latest console logs."}
		}
		return &awsec2.GetConsoleOutputOutput{Output: aws.String("Ym9vdA==")}, nil
	}}
	got, err := adapter(t, api, ec2.Template{AMI: "a"}).Console(t.Context(), "i-1")
	if err != nil || got != "boot" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestConsoleFailures(t *testing.T) {
	t.Parallel()

	for code, want := range map[string]messages.FailureClass{
		"InvalidInstanceID.NotFound": messages.ClassNotFound, "RequestLimitExceeded": messages.ClassThrottled, "UnsupportedOperation": messages.ClassUnsupported,
	} {
		api := stub{console: func(*awsec2.GetConsoleOutputInput) (*awsec2.GetConsoleOutputOutput, error) {
			return nil, &smithy.GenericAPIError{Code: code}
		}}
		_, err := adapter(t, api, ec2.Template{AMI: "a"}).Console(t.Context(), "i-1")
		if f := failure(t, err); f.Class != want {
			t.Errorf("%s: got %v", code, err)
		}
	}
	api := stub{console: func(*awsec2.GetConsoleOutputInput) (*awsec2.GetConsoleOutputOutput, error) {
		return &awsec2.GetConsoleOutputOutput{Output: aws.String("%%%")}, nil
	}}
	if _, err := adapter(t, api, ec2.Template{AMI: "a"}).Console(t.Context(), "i-1"); err == nil || !strings.Contains(err.Error(), "not base64") {
		t.Errorf("got %v", err)
	}
}
