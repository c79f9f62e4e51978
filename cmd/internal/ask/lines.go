package ask

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/ebbscale/ebb/cmd/internal/wizard"
)

// lines asks one question after the other in plain text. The form library has such
// a mode, but it shows no help, knows no hidden questions, reads one line where a
// script has several, and takes the end of input for an answer.
type lines struct {
	in     io.Reader
	reader *bufio.Reader
	out    io.Writer
}

func newLines(in io.Reader, out io.Writer) *lines {
	return &lines{in: in, reader: bufio.NewReader(in), out: out}
}

// print writes a text; where that fails the next read will, too.
func (l *lines) print(format string, args ...any) { fmt.Fprintf(l.out, format, args...) }

func (l *lines) page(ctx context.Context, p page) error {
	l.print("\n== %s ==\n", p.title)
	for _, text := range []string{p.wrong, p.help} {
		if text != "" {
			l.print("%s\n", text)
		}
	}
	for _, q := range p.questions {
		if q.hidden() {
			continue
		}
		if err := l.question(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// question asks until the answer is right.
func (l *lines) question(ctx context.Context, q question) error {
	l.print("\n%s\n  %s\n", q.title(), q.Help)
	for i, c := range q.Choices {
		l.print("  %d: %s\n", i+1, c.Label)
	}
	for {
		text, err := l.answer(ctx, q)
		if err != nil {
			return err
		}
		if err := q.check(text); err != nil {
			l.print("  Not right: %v\n", err)
			continue
		}
		*q.value = text
		return nil
	}
}

// answer reads one answer: an empty line keeps what is proposed.
func (l *lines) answer(ctx context.Context, q question) (string, error) {
	if q.Kind == wizard.Multiline {
		return l.paragraph(ctx, *q.value)
	}
	kept := *q.value
	l.propose(q)
	text, err := l.read(ctx, q.masked)
	text = strings.TrimSpace(text)
	switch {
	case err != nil:
		return "", err
	case text == "" && q.Kind == wizard.Bool && kept == "":
		return "false", nil
	case text == "":
		return kept, nil
	case text == "-" && !q.Required:
		return "", nil
	}
	return meant(q, text), nil
}

// propose ends the question with what an empty line means.
func (l *lines) propose(q question) {
	proposed := *q.value
	switch {
	case q.masked && proposed != "":
		proposed = "kept as it is"
	case q.Kind == wizard.Bool:
		proposed = map[bool]string{true: "yes", false: "no"}[proposed == "true"]
	}
	switch {
	case proposed != "" && !q.Required && q.Default == "":
		l.print("[%s; - for none]: ", proposed)
	case proposed != "":
		l.print("[%s]: ", proposed)
	case q.Example != "":
		l.print("(such as %s): ", q.Example)
	default:
		l.print(": ")
	}
}

// meant is yes and no as a truth value, and the number of a choice as the choice.
func meant(q question, text string) string {
	switch strings.ToLower(text) {
	case "y", "yes":
		if q.Kind == wizard.Bool {
			return "true"
		}
	case "n", "no":
		if q.Kind == wizard.Bool {
			return "false"
		}
	}
	if i, err := strconv.Atoi(text); err == nil && i >= 1 && i <= len(q.Choices) {
		return q.Choices[i-1].Value
	}
	return text
}

// paragraph reads lines up to one with a full stop alone.
func (l *lines) paragraph(ctx context.Context, kept string) (string, error) {
	if kept != "" {
		l.print("There are %d lines. An empty line keeps them, - is for none, anything else begins anew.\n", strings.Count(strings.TrimRight(kept, "\n"), "\n")+1)
	}
	l.print("Write lines, at the end one with a full stop alone; an empty first line is for none:\n")
	var b strings.Builder
	for {
		line, err := l.read(ctx, false)
		switch {
		case err != nil:
			return "", err
		case b.Len() == 0 && strings.TrimSpace(line) == "":
			return kept, nil
		case b.Len() == 0 && line == "-":
			return "", nil
		case line == ".":
			return b.String(), nil
		}
		b.WriteString(line + "\n")
	}
}

// choose is a numbered list.
func (l *lines) choose(ctx context.Context, title, text string, options []string) (int, error) {
	l.print("\n== %s ==\n%s\n", title, text)
	for i, o := range options {
		l.print("  %d: %s\n", i+1, o)
	}
	for {
		l.print("[1]: ")
		line, err := l.read(ctx, false)
		if err != nil {
			return 0, err
		}
		line = strings.TrimSpace(line)
		if line == "" {
			return 0, nil
		}
		if n, err := strconv.Atoi(line); err == nil && n >= 1 && n <= len(options) {
			return n - 1, nil
		}
		l.print("  Not right: write a number from 1 to %d\n", len(options))
	}
}

// read is the next line, without echo where that is wanted and there is a terminal.
// The end of input, and that of ctx, end the questions.
func (l *lines) read(ctx context.Context, masked bool) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		if file, ok := l.in.(*os.File); ok && masked && term.IsTerminal(int(file.Fd())) {
			line, err := term.ReadPassword(int(file.Fd()))
			l.print("\n")
			done <- result{string(line), err}
			return
		}
		line, err := l.reader.ReadString('\n')
		if line != "" && errors.Is(err, io.EOF) {
			err = nil
		}
		done <- result{strings.TrimRight(line, "\r\n"), err}
	}()
	select {
	case <-ctx.Done():
		l.print("\n")
		return "", ErrAborted
	case r := <-done:
		if errors.Is(r.err, io.EOF) {
			return "", errors.New("the input ended before the questions; nothing was written (answers for scripts: --set key=value and --yes)")
		}
		if r.err != nil {
			return "", fmt.Errorf("read an answer: %w", r.err)
		}
		return r.line, nil
	}
}
