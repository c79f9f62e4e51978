package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/adapters/clock"
	"github.com/ebbscale/ebb/adapters/dashboard"
	"github.com/ebbscale/ebb/adapters/health"
	"github.com/ebbscale/ebb/cmd/internal/eventtext"
	"github.com/ebbscale/ebb/messages"
)

// tokenFile in the state directory holds the token that was made up.
const tokenFile = "http-token"

// dashboard is the page of the process, with metrics and health beside it.
func (p *Process) dashboard() (*dashboard.Server, error) {
	settings := p.options.File.HTTP
	token, err := p.httpToken()
	if err != nil {
		return nil, err
	}
	ports := dashboardPorts{p}
	return dashboard.New(dashboard.Config{
		Engine: ports, Operator: ports, Events: ports, Wizard: webWizard{},
		Words: func(r messages.Recorded) string { return eventtext.Words(r.Event) }, Reason: eventtext.Reason,
		Clock: p.options.Clock, Wall: clock.System(), Speed: p.options.Speed, Version: p.options.Version,
		Listen: settings.Listen, Token: token, TokenFile: p.tokenFile(), User: settings.User, Password: settings.Password.Reveal(),
		Health: p.troubles, Metrics: p.monitoring.Handler(), Healthz: p.monitoring.probe.Live(), Readyz: p.monitoring.probe.Ready(),
		TLS: settings.TLS.CertFile != "", BehindTLSProxy: settings.BehindTLSProxy, Log: p.log,
	})
}

// troubles are what /readyz says that is wrong, or should be seen to.
func (p *Process) troubles(ctx context.Context) []dashboard.Trouble {
	_, ready := p.monitoring.probe.Judge(ctx)
	var all []dashboard.Trouble
	for _, check := range ready.Checks {
		if check.OK && !check.Notice {
			continue
		}
		trouble := dashboard.Trouble{About: check.Name, Autoscaler: check.Autoscaler, Wrong: !check.OK, Found: check.Found, Cure: check.Cure}
		if file := p.standing.status(); file != nil && check.Name == health.CheckConfiguration {
			trouble.Lines = slices.Concat(file.Unsound, file.Restart)
		}
		all = append(all, trouble)
	}
	return all
}

// tokenFile is where the token of the dashboard is kept; empty when it is configured.
func (p *Process) tokenFile() string {
	if p.options.File.HTTP.Token.IsSet() {
		return ""
	}
	path := filepath.Join(p.options.File.StateDir, tokenFile)
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	return path
}

// httpToken is the configured token, or the one that was made up at the first start
// and is kept, for its owner only, in the state directory.
func (p *Process) httpToken() (string, error) {
	if token := p.options.File.HTTP.Token.Reveal(); token != "" {
		return token, nil
	}
	path := p.tokenFile()
	kept, err := os.ReadFile(path)
	if token := strings.TrimSpace(string(kept)); err == nil && token != "" {
		return token, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the token of the dashboard: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep a token for the dashboard: %w", err)
	}
	token := rand.Text()
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep a token for the dashboard: %w; or set http.token", err)
	}
	p.log.Info().Str("file", path).Msg("a token for the dashboard was made up and is in this file")
	return token, nil
}
