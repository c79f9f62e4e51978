package config

import (
	"regexp"
	"strconv"
	"strings"
)

// The HOCON library is good at structure (merging, dotted keys, separators), but it
// resolves ${…} from the process's environment, follows includes, loops for ever on
// some unfinished input, keeps escapes in strings, and scans text by Go's rules,
// which ClearML's own files (unquoted URLs, apostrophes) do not follow. So it is
// only given structure: every key segment, string and unquoted value goes in as an
// atom, a word that stands for it, and comes out again afterwards.

// atomMark encloses the number of an atom. It is a letter to the library's scanner
// and in no configuration.
const atomMark = "ꔀ"

type hoconAtom struct {
	text   string
	quoted bool
}

// hoconText is HOCON in atoms.
type hoconText struct {
	text  string
	atoms []hoconAtom
	// missing are the closing braces that were never written, if any: the parse is
	// as if they stood at the end.
	missing string
	// openedAt is the line of the innermost brace that is missing its partner.
	openedAt int
}

// hoconFault is what stops the reading, with its line.
type hoconFault struct {
	line         int
	message, fix string
}

// atomizer is one pass over a source.
type atomizer struct {
	src string
	at  int
	out strings.Builder

	atoms []hoconAtom
	keys  map[string]int // key segment → its atom: equal keys are equal words
	line  int
	open  []rune // the closers that are due
	lines []int  // where each was opened
	// value is true between a key's separator and the end of its value, begun once
	// something of it has been read.
	value, begun bool
	// lenient is for text that another HOCON reader will interpret: substitutions
	// and includes are its business and only have to be well formed.
	lenient bool
	fault   *hoconFault
}

// atomizeHOCON reads src; lenient is for text that ebb passes on.
func atomizeHOCON(src string, lenient bool) (hoconText, *hoconFault) {
	z := &atomizer{src: src, line: 1, lenient: lenient, keys: map[string]int{}}
	if strings.Contains(src, atomMark) {
		return hoconText{}, &hoconFault{1, "contains the letter " + atomMark, "remove it"}
	}
	for z.fault == nil && z.at < len(z.src) {
		z.next()
	}
	if z.fault != nil {
		return hoconText{}, z.fault
	}
	h := hoconText{atoms: z.atoms}
	for len(z.open) > 0 {
		last := len(z.open) - 1
		h.missing += string(z.open[last])
		h.openedAt = max(h.openedAt, z.lines[last])
		z.open = z.open[:last]
	}
	h.text = z.out.String() + "\n" + h.missing + "\n"
	return h, nil
}

func (z *atomizer) rest() string { return z.src[z.at:] }

func (z *atomizer) fail(message, fix string) { z.fault = &hoconFault{z.line, message, fix} }

func (z *atomizer) inArray() bool { return len(z.open) > 0 && z.open[len(z.open)-1] == ']' }

// emit passes structure on and moves past n bytes of source.
func (z *atomizer) emit(text string, n int) {
	z.out.WriteString(text)
	z.at += n
}

// atom stands text in for n bytes of source.
func (z *atomizer) atom(text string, quoted bool, n int) {
	isKey := !z.value && !z.inArray()
	number, known := z.keys[text]
	if !isKey || !known {
		number = len(z.atoms)
		z.atoms = append(z.atoms, hoconAtom{text, quoted})
	}
	if isKey {
		z.keys[text] = number
	}
	z.emit(atomMark+strconv.Itoa(number)+atomMark, n)
	z.begun = true
}

// next reads one token.
func (z *atomizer) next() {
	rest := z.rest()
	if z.blank(rest) {
		return
	}
	switch c := rest[0]; {
	case c == '"':
		z.quoted(rest)
	case c == '{' || c == '[':
		z.openBrace(c)
	case c == '}' || c == ']':
		z.closeBrace(c)
	case c == ',':
		z.emit(",", 1)
		z.value = false
	case !z.value && !z.inArray() && separatorOf(rest) != "":
		separator := separatorOf(rest)
		z.emit(strings.ReplaceAll(separator, ":", "="), len(separator))
		z.value, z.begun = true, false
	case strings.HasPrefix(rest, "${"):
		z.substitution(rest)
	default:
		z.bare(rest)
	}
}

// separatorOf is what rest begins with between a key and its value, "" if nothing.
func separatorOf(rest string) string {
	for _, separator := range []string{":", "=", "+="} {
		if strings.HasPrefix(rest, separator) {
			return separator
		}
	}
	return ""
}

// blank reads white space or a comment; false when there is neither.
func (z *atomizer) blank(rest string) bool {
	switch c := rest[0]; {
	case c == '\n':
		z.emit("\n", 1)
		z.line++
		if z.begun {
			z.value = false
		}
	case c == ' ' || c == '\t' || c == '\r':
		z.emit(" ", 1)
	case c == '#' || strings.HasPrefix(rest, "//"):
		z.at += lineLength(rest)
	default:
		return false
	}
	return true
}

// lineLength counts the bytes of rest before its first line break.
func lineLength(rest string) int {
	if end := strings.IndexByte(rest, '\n'); end >= 0 {
		return end
	}
	return len(rest)
}

func (z *atomizer) openBrace(c byte) {
	if len(z.open) == depthMax {
		z.fail("is nested too deeply", "write at most "+strconv.Itoa(depthMax)+" levels")
		return
	}
	closer := '}'
	if c == '[' {
		closer = ']'
	}
	z.open, z.lines = append(z.open, closer), append(z.lines, z.line)
	z.emit(string(c), 1)
	z.value = false
}

func (z *atomizer) closeBrace(c byte) {
	last := len(z.open) - 1
	if last < 0 || z.open[last] != rune(c) {
		z.fail("a "+string(c)+" closes nothing", "remove it, or open it before")
		return
	}
	z.open, z.lines = z.open[:last], z.lines[:last]
	z.emit(string(c), 1)
	z.value = false
}

// quoted reads "…" with JSON's escapes, or """…""" without any.
func (z *atomizer) quoted(rest string) {
	if strings.HasPrefix(rest, `"""`) {
		end := strings.Index(rest[3:], `"""`)
		if end < 0 {
			z.fail(`""" is never closed`, `close it with """`)
			return
		}
		end += 3
		for strings.HasPrefix(rest[end+1:], `"""`) { // of a longer run the last three close
			end++
		}
		text := rest[3:end]
		z.atom(text, true, end+3)
		z.line += strings.Count(text, "\n")
		return
	}
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '\n':
			z.fail("a string is not closed on its line", `close it with ", or write """ for several lines`)
			return
		case '"':
			text, err := strconv.Unquote(jsonToGo(rest[:i+1]))
			if err != nil {
				z.fail("a string has an escape that does not exist", `write \\ for a backslash`)
				return
			}
			z.atom(text, true, i+1)
			return
		}
	}
	z.fail("a string is not closed", `close it with "`)
}

// jsonToGo rewrites the one escape of JSON that Go lacks.
func jsonToGo(quoted string) string {
	return regexp.MustCompile(`\\.`).ReplaceAllStringFunc(quoted, func(escape string) string {
		if escape == `\/` {
			return "/"
		}
		return escape
	})
}

// substitution reads ${path}. What ebb passes on may have it; ebb's own files have
// ${ENV:NAME}, in quotes.
func (z *atomizer) substitution(rest string) {
	end := strings.IndexAny(rest, "}\n")
	switch {
	case end < 0 || rest[end] == '\n':
		z.fail("a ${ is never closed", "close it with }")
	case !z.lenient:
		z.fail("a substitution stands outside quotes", `write "${ENV:NAME}" or "${FILE:/path}", in quotes, or the value itself`)
	default:
		// Next to a brace it stands for an object or a list, which a word cannot be
		// joined to.
		after := strings.TrimLeft(rest[end+1:], " \t")
		before := strings.TrimRight(z.out.String(), " ")
		if strings.HasPrefix(after, "{") || strings.HasPrefix(after, "[") || strings.HasSuffix(before, "}") || strings.HasSuffix(before, "]") {
			z.at += end + 1
			return
		}
		z.atom(rest[:end+1], true, end+1)
	}
}

// bare reads unquoted text: a value as far as it goes, a key segment by segment.
func (z *atomizer) bare(rest string) {
	stop := " \t\r\n,{}[]\"#="
	inValue := z.value || z.inArray()
	if !inValue {
		stop += ":+"
	}
	end := strings.IndexAny(rest, stop)
	if end < 0 {
		end = len(rest)
	}
	if i := strings.Index(rest, "${"); i > 0 && i < end {
		end = i
	}
	word := rest[:end]
	switch {
	case end == 0:
		z.fail("a "+rest[:1]+" stands where a value or key should", "write the text around it in quotes")
	case inValue:
		z.atom(word, false, end)
	case word == "include":
		z.include(rest)
	default:
		for i, segment := range strings.Split(word, ".") {
			if segment == "" {
				z.fail("a key begins or ends with a dot, or has two together", "write the key in quotes")
				return
			}
			if i > 0 {
				z.emit(".", 1)
			}
			z.atom(segment, false, len(segment))
		}
		z.begun = false
	}
}

// include reads a line that names another file, which the reader of the text may
// have and ebb has not.
func (z *atomizer) include(rest string) {
	if !z.lenient {
		z.fail("include is not supported", "write the configuration in one file, secrets as \"${FILE:/path}\"")
		return
	}
	z.at += lineLength(rest)
}
