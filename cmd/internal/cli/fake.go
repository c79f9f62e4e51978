package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/cmd/internal/cli/fakes"
	"github.com/ebbscale/ebb/cmd/internal/config"
)

func (i *invocation) fakeCommand() *cobra.Command {
	return group("fake", "Run a fake EC2, ClearML server or metadata service on this machine",
		i.fakeEC2Command(), i.fakeClearMLCommand(), i.fakeIMDSCommand())
}

// fakeServer makes c a command that runs f with a server of the flags that all
// fakes have.
func (i *invocation) fakeServer(c *cobra.Command, listen string, f func(*cobra.Command, fakes.Server) error) {
	address := c.Flags().String("listen", listen, "host:port to listen on, loopback only; port 0 takes a free one")
	level := c.Flags().String("log-level", "info", "trace, debug, info, warn or error; debug shows refused calls")
	c.Args = cobra.NoArgs
	c.RunE = i.does(func(cmd *cobra.Command, _ []string) error {
		if err := fakes.Loopback(*address); err != nil {
			return usageError{err}
		}
		log, err := NewLogger(i.Stderr, config.Log{Level: *level}, i.Now)
		if err != nil {
			return usageError{err}
		}
		return f(cmd, fakes.Server{Listen: *address, Out: i.Stdout, Log: log})
	})
}

func (i *invocation) fakeEC2Command() *cobra.Command {
	var o fakes.EC2
	c := &cobra.Command{
		Use:   "ec2",
		Short: "Run a fake EC2 that the AWS CLI, boto3 and ebb can talk to",
		Long: "Run a fake EC2: the Query API of one region, with capacity, quotas, idempotent\n" +
			"launches and eventual consistency. It checks access key ids when some are given,\n" +
			"never signatures. /_fake/state shows everything; other paths below /_fake/ break\n" +
			"things on purpose.",
	}
	c.Flags().StringVar(&o.Region, "region", "us-east-1", "region to be")
	c.Flags().BoolVar(&o.Buckets, "buckets", false, "throttle as EC2 documents it")
	c.Flags().DurationVar(&o.Boot, "boot", 0, "time from launch to running; default as measured, 8 s in the median")
	c.Flags().DurationVar(&o.Install, "install", 0, "with --agents: time from running to a working agent; default as measured, 75 s in the median")
	c.Flags().BoolVar(&o.Agents, "agents", false, "run simulated agents on running instances, as their user data says")
	c.Flags().BoolVar(&o.Strict, "strict", false, "refuse AMIs, security groups, key pairs and instance profiles that are not in the fake's catalog")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "number that ids and draws are made from")
	c.Flags().StringArrayVar(&o.AccessKeys, "access-key", nil, "access key id to let in; repeatable, default all")
	i.fakeServer(c, "127.0.0.1:4566", func(cmd *cobra.Command, s fakes.Server) error {
		switch {
		case o.Boot < 0 || o.Install < 0:
			return usagef("--boot and --install are durations such as 5s")
		case cmd.Flags().Changed("install") && !o.Agents:
			return usagef("--install has no effect without --agents")
		}
		o.Server = s
		return o.Run(cmd.Context())
	})
	return c
}

func (i *invocation) fakeClearMLCommand() *cobra.Command {
	var o fakes.ClearML
	c := &cobra.Command{
		Use:   "clearml",
		Short: "Run a fake ClearML API server that agents, the SDK and ebb can talk to",
	}
	c.Flags().StringVar(&o.AccessKey, "access-key", "EBBFAKEACCESSKEY", "access key to let in")
	c.Flags().StringVar(&o.SecretKey, "secret-key", "ebb-fake-secret-key", "its secret key")
	c.Flags().DurationVar(&o.WorkerTimeout, "worker-timeout", 10*time.Minute, "how long a silent worker stays listed")
	c.Flags().StringArrayVar(&o.Queues, "queue", nil, "queue to make beside default; repeatable")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "number that ids are made from")
	i.fakeServer(c, "127.0.0.1:8008", func(cmd *cobra.Command, s fakes.Server) error {
		switch {
		case o.AccessKey == "" || o.SecretKey == "":
			return usagef("--access-key and --secret-key must not be empty")
		case o.WorkerTimeout <= 0:
			return usagef("--worker-timeout %s is not a duration above 0", o.WorkerTimeout)
		}
		o.Server = s
		return o.Run(cmd.Context())
	})
	return c
}

func (i *invocation) fakeIMDSCommand() *cobra.Command {
	var o fakes.IMDS
	c := &cobra.Command{
		Use:   "imds",
		Short: "Run a fake instance metadata service (IMDSv2) of one instance",
	}
	c.Flags().StringVar(&o.InstanceID, "instance-id", "i-0123456789abcdef0", "id of the instance")
	c.Flags().StringVar(&o.InstanceType, "instance-type", "g5.xlarge", "type of the instance")
	c.Flags().StringVar(&o.Zone, "zone", "us-east-1a", "availability zone of the instance")
	c.Flags().DurationVar(&o.SpotNoticeAfter, "spot-notice-after", 0, "announce after this while that EC2 takes the instance back two minutes later; default never")
	i.fakeServer(c, "127.0.0.1:1338", func(cmd *cobra.Command, s fakes.Server) error {
		if o.SpotNoticeAfter < 0 {
			return usagef("--spot-notice-after %s is negative", o.SpotNoticeAfter)
		}
		o.SpotNotice = cmd.Flags().Changed("spot-notice-after")
		o.Server = s
		return o.Run(cmd.Context())
	})
	return c
}
