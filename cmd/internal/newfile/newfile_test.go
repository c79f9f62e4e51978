package newfile_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ebbscale/ebb/cmd/internal/newfile"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// holds checks the only file of a directory.
func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ebb.yaml")
	if err := newfile.Write(path, false, text("one")); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "one")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := newfile.Write(path, false, text("two")); err == nil || !strings.Contains(err.Error(), "it exists already") {
		t.Errorf("wrote over it: %v", err)
	}
	holds(t, path, "one")
	if err := newfile.Write(path, true, text("three")); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "three")
}

// TestFullDisk fails in the middle of the text: nothing of it is left, and the file
// before it is whole.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	half := func(w io.Writer) error {
		_, err := io.WriteString(w, "hal")
		return errors.Join(err, syscall.ENOSPC)
	}
	for _, force := range []bool{false, true} {
		directory := t.TempDir()
		path := filepath.Join(directory, "ebb.yaml")
		if err := newfile.Write(path, force, half); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("error is %v", err)
		}
		if entries, err := os.ReadDir(directory); err != nil || len(entries) != 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
		if err := newfile.Write(path, force, text("whole")); err != nil {
			t.Fatal(err)
		}
		if err := newfile.Write(path, true, half); err == nil {
			t.Error("no error")
		}
		holds(t, path, "whole")
	}
}

// TestRace lets many write the same new file: one of them does.
func TestRace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ebb.yaml")
	var all sync.WaitGroup
	won := make(chan string, 8)
	for i := range 8 {
		all.Go(func() {
			if newfile.Write(path, false, text(fmt.Sprint(i))) == nil {
				won <- fmt.Sprint(i)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d wrote it", len(won))
	}
	holds(t, path, <-won)
}

func TestNoPlace(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(directory, "none", "ebb.yaml"): "no such file or directory",
		directory: "it exists already",
	} {
		if err := newfile.Write(path, false, text("x")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := newfile.Write(directory, true, text("x")); err == nil {
		t.Error("replaced a directory")
	}
}
