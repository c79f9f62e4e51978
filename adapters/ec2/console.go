package ec2

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ebbscale/ebb/messages"
)

// consoleMax is how many bytes of console output are kept, of the 64 KiB that
// EC2 has.
const consoleMax = 4 << 10

// Console answers the end of the instance's console output: at most 4 KiB of
// text in whole lines where there are lines, without control characters. It is
// empty when EC2 has none yet, which can take minutes after the launch.
func (a *Adapter) Console(ctx context.Context, id messages.InstanceID) (string, error) {
	what := fmt.Sprintf("get console output of %s", id)
	input := &awsec2.GetConsoleOutputInput{InstanceId: aws.String(string(id)), Latest: aws.Bool(true)}
	output, err := a.client.GetConsoleOutput(ctx, input)
	if err != nil {
		failure := failureOf(err)
		if failure.Class != messages.ClassUnsupported && failure.Class != messages.ClassInvalid {
			return "", failing(what, failure, err)
		}
		// Instances that are not on Nitro have no latest output, only that of
		// their last change of state.
		input.Latest = nil
		if output, err = a.client.GetConsoleOutput(ctx, input); err != nil {
			return "", failing(what, failureOf(err), err)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(aws.ToString(output.Output))
	if err != nil {
		return "", failing(what, &messages.Failure{Class: messages.ClassUnknown, Message: "EC2's answer is not base64: " + err.Error()}, err)
	}
	return tail(printable(string(raw)), consoleMax), nil
}

// printable is the text without terminal control: escape sequences, control
// characters but for newline and tab, and characters that change the direction
// of text.
func printable(text string) string {
	escapes := regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])`)
	text = escapes.ReplaceAllString(strings.ToValidUTF8(text, "\uFFFD"), "")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
}

// tail is the end of the text, at most limit bytes, from the beginning of a
// line if one begins there, else from the beginning of a character.
func tail(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	start := len(text) - limit
	if text[start-1] == '\n' {
		return text[start:]
	}
	for start < len(text) && !utf8.RuneStart(text[start]) {
		start++
	}
	if newline := strings.IndexByte(text[start:], '\n'); newline >= 0 && start+newline+1 < len(text) {
		return text[start+newline+1:]
	}
	return text[start:]
}
