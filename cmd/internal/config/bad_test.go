package config_test

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// TestBad loads one file per rule; its name is the rule that it breaks, and the
// golden text beside it is what a person is told.
func TestBad(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d fixtures: %v", len(files), err)
	}
	for _, path := range files {
		rule := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			f, err := config.Load(config.Source{Path: path, Environ: []string{"A_SECRET=hunter2"}})
			if err == nil {
				t.Fatalf("loaded a file that breaks the rule %s", rule)
			}
			var problems config.Errors
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("error is %T, want Errors: %v", err, err)
			}
			if !reflect.DeepEqual(f, config.File{}) {
				t.Error("a file came out beside the error")
			}
			for _, p := range problems {
				if p.Message == "" || p.Fix == "" || p.Where == "" {
					t.Errorf("a problem lacks its place, message or cure: %+v", p)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the message contains a secret: %v", err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}
