package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
)

// doctorPatience is how long all checks may take unless --timeout says it.
const doctorPatience = 30 * time.Second

func (i *invocation) doctorCommand() *cobra.Command {
	var asJSON bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "doctor --config FILE",
		Short: "Ask ClearML, AWS and the event server whether a configuration would work",
		Long: "Read a configuration as `ebb run` does and ask everything that it names whether it\n" +
			"would work: ClearML and its queues, the credentials and permissions of AWS, images,\n" +
			"subnets, security groups, key pairs, instance types, each launch that can come up\n" +
			"(as a dry run of EC2), and the event server. Nothing is launched, made or changed.\n\n" +
			"Each check that does not end well says what to do. The exit code is 1 when one has\n" +
			"failed; what ends with \"warn\" does not count. docs/doctor.md explains each check.",
		Example: "  ebb doctor --config ebb.yaml\n" +
			"  ebb doctor --config ebb.yaml --json | jq '.[] | select(.status == \"fail\")'",
		Args: flagsOnly,
	}
	path := i.configFlag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the checks as a JSON array")
	c.Flags().DurationVar(&timeout, "timeout", doctorPatience, "how long all checks together may take")
	config.RegisterFlags(c.Flags())
	c.RunE = i.does(func(cmd *cobra.Command, _ []string) error {
		switch {
		case *path == "":
			return usagef("no configuration file is named; write --config ebb.yaml or set %s", configVariable)
		case timeout <= 0:
			return usagef("--timeout %s is not a duration above 0; write one such as 30s", timeout)
		}
		log, err := NewLogger(i.Stderr, config.Log{Level: "error"}, i.Now)
		if err != nil {
			return err
		}
		f, problems := i.check(config.Source{Path: *path, Environ: i.Environ, Flags: cmd.Flags()})
		report := i.Commands.Doctor(cmd.Context(), doctor.Options{
			Path: *path, File: f, Problems: problems, About: summary(f), Timeout: timeout, Log: log,
		})
		write := report.WriteText
		if asJSON {
			write = report.WriteJSON
		}
		if err := write(i.Stdout); err != nil {
			return err
		}
		if failed := report.Count(doctor.Fail); failed > 0 {
			return fmt.Errorf("%s failed", counted(failed, "check"))
		}
		return nil
	})
	return c
}
