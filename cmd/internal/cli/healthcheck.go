package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// healthDefault is what is asked when nothing else is named: the default of
	// http.listen.
	healthDefault = "http://127.0.0.1:8480/readyz"
	// healthPatience is how long an answer may take.
	healthPatience = 3 * time.Second
	// healthAnswerMax is how many bytes of a refusal are shown.
	healthAnswerMax = 300
)

func (i *invocation) healthcheckCommand() *cobra.Command {
	var address string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running ebb whether it is well",
		Long: "Ask a running ebb whether it is well: exit code 0 when it answers with 2xx in\n" +
			"time, else 1 and the reason. For containers without a shell, and for scripts.\n\n" +
			"/readyz says whether it can work, /healthz only that it is alive. With http.tls\n" +
			"ask https://127.0.0.1:…: on loopback the certificate is not checked, since it\n" +
			"is for another name.",
		Example: "  ebb healthcheck\n" +
			"  ebb healthcheck --url http://127.0.0.1:8480/healthz",
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&address, "url", healthDefault, "what to ask")
	c.Flags().DurationVar(&timeout, "timeout", healthPatience, "how long the answer may take")
	c.RunE = i.does(func(cmd *cobra.Command, _ []string) error {
		u, err := url.Parse(address)
		switch {
		case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
			return usagef("--url is not a URL; write one such as %s", healthDefault)
		case u.User != nil:
			return usagef("--url contains a login; write it without: health is told to everyone who can reach it")
		case timeout <= 0:
			return usagef("--timeout %s is not a while; write a duration such as 3s", timeout)
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		if err := askHealth(ctx, u); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("no answer within %s", timeout)
			}
			return fmt.Errorf("ask %s: %w", u.Redacted(), err)
		}
		return nil
	})
	return c
}

// askHealth returns nil when the answer is 2xx. It takes no proxy and follows
// nobody elsewhere: the question is about one process.
func askHealth(ctx context.Context, u *url.URL) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && ip.IsLoopback() {
		// Nobody but this machine is asked, nothing secret is sent, and certificates are
		// for the names that others know.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // see above
	}
	client := http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the caller names the address
		}
		return fmt.Errorf("%w (is ebb running, with http.listen there?)", err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 == 2 {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, healthAnswerMax))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if reason := strings.TrimSpace(string(text)); reason != "" {
		return fmt.Errorf("%s: %q", response.Status, reason)
	}
	return errors.New(response.Status)
}
