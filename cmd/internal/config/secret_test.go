package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.yaml.in/yaml/v3"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

const hunter = config.Secret("hunter2")

// TestSecretIsNeverPrinted tries every way in which text usually gets out.
func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	whole := load(t, config.Source{Path: exampleFile, Environ: []string{"CLEARML_SECRET=hunter2", "GIT_TOKEN=hunter2"}})
	holder := struct {
		S config.Secret
		P *config.Secret
		M map[string]config.Secret
		L []config.Secret
	}{hunter, new(hunter), map[string]config.Secret{"k": hunter}, []config.Secret{hunter}}

	var outs []string
	for _, v := range []any{hunter, &holder, holder, whole, &whole, whole.Autoscalers} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10s", "%c"} {
			outs = append(outs, fmt.Sprintf(verb, v))
		}
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		y, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var z, s bytes.Buffer
		logger := zerolog.New(&z)
		logger.Info().Interface("i", v).Any("a", v).Fields(map[string]any{"f": v}).Stringer("s", hunter).Err(fmt.Errorf("with %v", v)).Send()
		slog.New(slog.NewJSONHandler(&s, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&s, nil)).Info("x", "v", v)
		outs = append(outs, string(j), string(y), z.String(), s.String())
	}
	for _, out := range outs {
		if strings.Contains(out, "hunter2") || strings.Contains(out, "68756e746572") {
			t.Errorf("printed: %s", out)
		}
	}
	if hunter.Reveal() != "hunter2" || !hunter.IsSet() {
		t.Error("Reveal does not give the text")
	}
	var empty config.Secret
	if empty.String() != "" || empty.IsSet() || fmt.Sprintf("%#v", empty) != `""` {
		t.Error("an empty secret shows as set")
	}
}

// TestExportHidesSecrets exports without them and finds none.
func TestExportHidesSecrets(t *testing.T) {
	t.Parallel()
	f := load(t, config.Source{Path: exampleFile, Environ: []string{"CLEARML_SECRET=hunter2", "GIT_TOKEN=hunter2"}})
	for _, format := range []config.Format{config.YAML, config.JSON} {
		out, err := config.Export(f, format, false)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "hunter2") || !strings.Contains(string(out), config.Redacted) {
			t.Errorf("%s export:\n%s", format, out)
		}
		if _, err := config.Load(config.Source{Path: write(t, "x."+string(format), string(out))}); err == nil || !strings.Contains(err.Error(), "the mark of an export without secrets") {
			t.Errorf("loading a redacted export gives %v", err)
		}
	}
}
