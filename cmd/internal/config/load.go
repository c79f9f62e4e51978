package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
)

// Source is where a configuration comes from.
type Source struct {
	// Path is the file; its ending tells the format: .yaml, .yml, .json, .conf or
	// .hocon.
	Path string
	// Environ is the environment as os.Environ gives it.
	Environ []string
	// Flags may be nil. Of its flags only those of RegisterFlags are read.
	Flags *pflag.FlagSet
}

// Load reads the file, lays environment and flags over it and checks the whole.
// The error is Errors whenever the configuration is at fault; the File is then
// empty.
func Load(src Source) (File, error) {
	if src.Path == "" {
		return File{}, Errors{{Message: "no configuration file is named", Fix: "name one, such as --config ebb.yaml"}}
	}
	if info, err := os.Stat(src.Path); err == nil && info.IsDir() {
		return File{}, Errors{{Where: src.Path, Message: "is a directory", Fix: "name the file in it, such as " + filepath.Join(src.Path, "ebb.yaml")}}
	}
	format, known := FormatOf(src.Path)
	if !known {
		return File{}, Errors{{Where: src.Path, Message: "the name does not tell the format", Fix: "name it .yaml, .json or .conf (HOCON)"}}
	}
	data, err := readConfiguration(src.Path)
	if err != nil {
		return File{}, Errors{{Where: src.Path, Message: "cannot be read: " + err.Error(), Fix: "check the path and its permissions"}}
	}
	doc, problems := parse(src.Path, data, format)
	if len(problems) > 0 {
		return File{}, sorted(problems)
	}
	t, problems, err := layer(doc, environmentOf(src.Environ), src)
	if err != nil {
		return File{}, err
	}
	d := newDecoder(t)
	f := d.file()
	for _, p := range append(d.problems, d.validate(f)...) {
		problems = append(problems, t.where(p))
	}
	if err := sorted(problems).orNil(); err != nil {
		return File{}, err
	}
	return f, nil
}

// Check reads each file as Load does, without flags. The error is Errors with the
// problems of all of them.
func Check(environ []string, paths ...string) error {
	var all Errors
	for _, path := range paths {
		_, err := Load(Source{Path: path, Environ: environ})
		switch err := err.(type) { //nolint:errorlint // Load returns Errors as it is
		case nil:
		case Errors:
			all = append(all, err...)
		default:
			return fmt.Errorf("check %s: %w", path, err)
		}
	}
	return all.orNil()
}

// readConfiguration reads a regular file (or what a link to one leads to), so that
// a pipe or device cannot hang or flood the process.
func readConfiguration(path string) ([]byte, error) {
	info, err := os.Stat(filepath.Clean(path))
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case info.IsDir():
		return nil, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Size() > bytesMax:
		return nil, fmt.Errorf("it has %d bytes, at most %d are read", info.Size(), bytesMax)
	}
	data, err := os.ReadFile(path)
	return data, withoutPath(err)
}

// withoutPath is err for a message that names the file already.
func withoutPath(err error) error {
	if about, ok := errors.AsType[*os.PathError](err); ok {
		return about.Err
	}
	return err
}
