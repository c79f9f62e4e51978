package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/cmd/internal/config"
)

// natsDefault is where a server is looked for when nothing says where: the
// default of nats.listen.
const natsDefault = "nats://127.0.0.1:4222"

// The flags that say where an event server is, named as those of `ebb run` are.
const (
	natsURLFlag   = "nats-url"
	natsLoginFlag = "nats-creds-file"
)

// serverOptions say where the event server of a running ebb is.
type serverOptions struct{ config, nats, creds string }

// serverFlags adds the flags that say so.
func (i *invocation) serverFlags(c *cobra.Command, o *serverOptions) {
	c.Flags().StringVar(&o.config, "config", i.variable(configVariable), "configuration file of the running ebb; default $"+configVariable)
	_ = c.MarkFlagFilename("config", "yaml", "yml", "json", "conf", "hocon")
	c.Flags().StringVar(&o.nats, natsURLFlag, "", "address of the event server (NATS), such as "+natsDefault)
	c.Flags().StringVar(&o.creds, natsLoginFlag, "", "credentials file for the server of --nats-url")
}

// server says how to connect. Nothing is made or changed there.
func (i *invocation) server(cmd *cobra.Command, o serverOptions) (bus.ConnConfig, error) {
	if cmd.Flags().Changed(natsURLFlag) && !cmd.Flags().Changed("config") {
		o.config = "" // --nats-url wins over the environment's file
	}
	switch {
	case o.config != "" && o.nats != "":
		return bus.ConnConfig{}, usagef("--config and --nats-url both say where the event server is; write one of them")
	case o.creds != "" && o.nats == "":
		return bus.ConnConfig{}, usagef("--nats-creds-file belongs to --nats-url; a configuration has its own login")
	}
	if o.nats != "" {
		if err := config.CheckNATSURL(o.nats); err != nil {
			return bus.ConnConfig{}, usagef("--nats-url %w", err)
		}
	}
	log, err := NewLogger(i.Stderr, config.Log{Level: "warn"}, i.Now)
	if err != nil {
		return bus.ConnConfig{}, err
	}
	conn := bus.ConnConfig{URL: natsDefault, Name: "ebb " + cmd.Name(), ReadOnly: true, Log: log}
	switch {
	case o.nats != "":
		conn.URL, conn.CredsFile = o.nats, o.creds
	case o.config != "":
		f, err := i.load(cmd, o.config)
		if err != nil {
			return bus.ConnConfig{}, err
		}
		n := f.NATS
		if n.URL == "" {
			conn.URL = "nats://" + n.Listen
			break
		}
		conn.URL, conn.CredsFile, conn.NKeyFile = n.URL, n.CredsFile, n.NKeyFile
		conn.User, conn.Password, conn.Token = n.User, n.Password.Reveal(), n.Token.Reveal()
		conn.TLS = bus.TLSFiles{CA: n.TLS.CAFile, Cert: n.TLS.CertFile, Key: n.TLS.KeyFile}
	}
	return conn, nil
}

// dial connects to the event server of a running ebb.
func dial(ctx context.Context, conn bus.ConnConfig) (*bus.Bus, error) {
	server, err := bus.Connect(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("%w (is ebb running there? --nats-url or --config say where else)", err)
	}
	return server, nil
}
