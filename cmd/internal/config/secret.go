package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what is printed, logged and exported in place of a secret. A file
// that contains it as a value is refused: it was exported without secrets.
const Redacted = "<redacted>"

// Secret is text that must not be printed: a password, a key, a token, or a script
// that may contain one. fmt (every verb), encoding/json, YAML, zerolog and slog all
// show [Redacted], or nothing when it is empty. Use Reveal where the text itself
// is needed, as late as possible.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// IsSet reports whether there is any text.
func (s Secret) IsSet() bool { return s != "" }

// String returns [Redacted], or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Redacted
}

// GoString is String in quotes, for %#v.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// Format prints String for every verb, because verbs that do not suit a Stringer
// would otherwise print the text itself as part of their complaint.
func (s Secret) Format(f fmt.State, verb rune) {
	out := s.String()
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		out = s.GoString()
	}
	_, _ = io.WriteString(f, out)
}

// MarshalJSON encodes String. zerolog's Interface, Any and Fields use it.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText encodes String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML encodes String.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue is what log/slog prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
