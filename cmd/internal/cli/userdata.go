package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/cmd/internal/app"
	"github.com/ebbscale/ebb/messages"
)

// hidden stands for a secret in a script that is shown.
const hidden = "***"

func (i *invocation) userdataCommand() *cobra.Command {
	var autoscaler, resource string
	var withSecrets bool
	c := &cobra.Command{
		Use:   "userdata --config FILE --resource NAME",
		Short: "Print the script that the instances of a resource type run at boot",
		Long: "Print the script that the instances of a resource type run at boot (their EC2\n" +
			"user data). What is or may hold a secret is replaced by " + hidden + " unless asked for.",
		Args: flagsOnly,
	}
	path := i.configFlag(c)
	c.Flags().StringVar(&autoscaler, "autoscaler", "", "name of the autoscaler; needed when the file has several")
	c.Flags().StringVar(&resource, "resource", "", "name of the resource type")
	c.Flags().BoolVar(&withSecrets, "with-secrets", false, "print secrets too")
	c.RunE = i.does(func(cmd *cobra.Command, _ []string) error {
		if resource == "" {
			return usagef("no resource type is named; write --resource NAME")
		}
		f, err := i.load(cmd, *path)
		if err != nil {
			return err
		}
		a, err := autoscalerOf(f, autoscaler)
		if err != nil {
			return err
		}
		translated, err := app.Translate(a)
		if err != nil {
			return err
		}
		r, ok := translated.ResourceNamed(messages.ResourceName(resource))
		if !ok {
			return usagef("autoscaler %s has no resource type %q; it has %s", a.Name, resource, names(translated))
		}
		return i.printScript(r, withSecrets)
	})
	return c
}

func (i *invocation) printScript(r app.Resource, withSecrets bool) error {
	script := r.Script
	if withSecrets {
		fmt.Fprintln(i.Stderr, "note: the script is printed with its secrets: keep it private")
	} else {
		spec, replaced := redact(r.Spec)
		shown, err := bootstrap.Render(spec)
		if err != nil {
			return fmt.Errorf("hide secrets: %w", err)
		}
		script = shown
		if len(replaced) > 0 {
			fmt.Fprintf(i.Stderr, "note: %s stands for %s; --with-secrets prints them\n", hidden, strings.Join(replaced, ", "))
		}
	}
	fmt.Fprintf(i.Stderr, "note: the real script has %d bytes and goes to EC2 in %d of at most %d\n", len(r.Script.Text), len(r.Script.UserData), bootstrap.Limit)
	_, err := i.Stdout.Write([]byte(script.Text))
	return err
}

// redact replaces what is or may hold a secret, and names what it replaced.
func redact(spec bootstrap.Spec) (shown bootstrap.Spec, replaced []string) {
	hide := func(name string, value *string) {
		if *value != "" {
			*value = hidden
			replaced = append(replaced, name)
		}
	}
	hide("access_key", &spec.AccessKey)
	hide("secret_key", &spec.SecretKey)
	hide("auth_token", &spec.AuthToken)
	hide("git user", &spec.GitUser)
	hide("git password", &spec.GitPassword)
	hide("clearml_conf", &spec.ClearMLConf)
	hide("init_script", &spec.InitScript)
	// Arguments of docker run may set variables; the image itself is no secret.
	if image, arguments, ok := strings.Cut(spec.DockerImage, " "); ok && arguments != "" {
		spec.DockerImage = image + " " + hidden
		replaced = append(replaced, "docker arguments")
	}
	return spec, replaced
}

func names(t app.Translated) string {
	list := make([]string, 0, len(t.Resources))
	for _, r := range t.Resources {
		list = append(list, string(r.Name))
	}
	return strings.Join(list, ", ")
}
