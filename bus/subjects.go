package bus

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ebbscale/ebb/messages"
)

// The names on the wire. They are part of the law in doc.go and of
// docs/asyncapi.yaml; changing one is a new version of the bus.
const (
	// EventStream is the JetStream stream that keeps the events.
	EventStream = "EBB_EVENTS"
	// EventSubjects matches every event of every autoscaler.
	EventSubjects = eventRoot + ".>"
	// LedgerStream is the JetStream stream that keeps the launch ledger.
	LedgerStream = "EBB_LEDGER"
	// LedgerSubjects matches every record of the launch ledger.
	LedgerSubjects = ledgerRoot + ".>"

	eventRoot  = "ebb.v1"
	ledgerRoot = "ebb.ledger.v1"

	// emptyToken stands for the empty string, which NATS refuses as a token.
	// No other string is escaped to it.
	emptyToken = "%"
	upperHex   = "0123456789ABCDEF"

	// ledgerToken ends the subject of an autoscaler's ledger. No name is escaped
	// to it.
	ledgerToken = "%launches"
)

// EscapeToken turns any string into one token of a subject. Space, the dot, the
// wildcards, the percent sign and what cannot be printed become %XX, byte by
// byte; the empty string becomes a lone percent sign. [UnescapeToken] gives the
// string back.
func EscapeToken(text string) string {
	if text == "" {
		return emptyToken
	}
	var token strings.Builder
	for i := 0; i < len(text); {
		char, size := utf8.DecodeRuneInString(text[i:])
		if plainInToken(char, size) {
			token.WriteString(text[i : i+size])
		} else {
			for _, octet := range []byte(text[i : i+size]) {
				token.WriteByte('%')
				token.WriteByte(upperHex[octet>>4])
				token.WriteByte(upperHex[octet&0xf])
			}
		}
		i += size
	}
	return token.String()
}

// plainInToken says whether a rune may stand in a token as it is.
func plainInToken(char rune, size int) bool {
	if char == utf8.RuneError && size <= 1 {
		return false
	}
	switch char {
	case ' ', '.', '*', '>', '%':
		return false
	}
	return unicode.IsPrint(char)
}

// UnescapeToken is the inverse of [EscapeToken]. A token that EscapeToken never
// writes is an error, so that two different tokens never mean the same.
func UnescapeToken(token string) (string, error) {
	if token == emptyToken {
		return "", nil
	}
	var text strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '%' {
			text.WriteByte(token[i])
			continue
		}
		if i+2 >= len(token) {
			return "", fmt.Errorf("unescape token %q: %%XX is cut off at byte %d", token, i)
		}
		high, low := strings.IndexByte(upperHex, token[i+1]), strings.IndexByte(upperHex, token[i+2])
		if high < 0 || low < 0 {
			return "", fmt.Errorf("unescape token %q: no upper-case hex after %% at byte %d", token, i)
		}
		text.WriteByte(byte(high<<4 | low))
		i += 2
	}
	if EscapeToken(text.String()) != token {
		return "", fmt.Errorf("unescape token %q: it is not how %q is written", token, text.String())
	}
	return text.String(), nil
}

// EventSubject is where an event of the given kind is published:
// ebb.v1.<autoscaler>.<noun>.<verb>. kind is noun.verb, as
// [messages.Event] has it.
func EventSubject(autoscaler messages.AutoscalerName, kind string) string {
	return eventRoot + "." + EscapeToken(string(autoscaler)) + "." + kind
}

// ParseEventSubject takes a subject apart that [EventSubject] put together.
func ParseEventSubject(subject string) (autoscaler messages.AutoscalerName, kind string, err error) {
	rest, ok := strings.CutPrefix(subject, eventRoot+".")
	if !ok {
		return "", "", fmt.Errorf("parse subject %q: it does not begin with %s", subject, eventRoot)
	}
	token, kind, _ := strings.Cut(rest, ".")
	if !validKind(kind) {
		return "", "", fmt.Errorf("parse subject %q: %q is not noun.verb", subject, kind)
	}
	name, err := UnescapeToken(token)
	if err != nil {
		return "", "", fmt.Errorf("parse subject %q: %w", subject, err)
	}
	return messages.AutoscalerName(name), kind, nil
}

// eventFilter is the subject filter of a query: an empty autoscaler or kind
// matches all, a noun alone matches all its verbs.
func eventFilter(autoscaler messages.AutoscalerName, kind string) (string, error) {
	who := "*"
	if autoscaler != "" {
		who = EscapeToken(string(autoscaler))
	}
	switch {
	case kind == "":
		return eventRoot + "." + who + ".>", nil
	case validKind(kind):
		return eventRoot + "." + who + "." + kind, nil
	case validWord(kind):
		return eventRoot + "." + who + "." + kind + ".*", nil
	}
	return "", fmt.Errorf("event kind %q: want noun.verb such as instance.launched, or a noun such as instance", kind)
}

// ledgerSubject is where every record of an autoscaler is appended.
func ledgerSubject(autoscaler messages.AutoscalerName) string {
	return ledgerRoot + "." + EscapeToken(string(autoscaler)) + "." + ledgerToken
}

// ledgerFilter matches every record of an autoscaler, also those that versions
// before the claim appended to one subject per resource type, the escaped name
// of the type in the place of ledgerToken.
func ledgerFilter(autoscaler messages.AutoscalerName) string {
	return ledgerRoot + "." + EscapeToken(string(autoscaler)) + ".*"
}

// validKind says whether kind is noun.verb in lower-case words.
func validKind(kind string) bool {
	noun, verb, ok := strings.Cut(kind, ".")
	return ok && validWord(noun) && validWord(verb)
}

// validWord says whether word is a non-empty run of a-z, 0-9 and underscores.
func validWord(word string) bool {
	for _, char := range []byte(word) {
		if (char < 'a' || char > 'z') && (char < '0' || char > '9') && char != '_' {
			return false
		}
	}
	return word != ""
}
