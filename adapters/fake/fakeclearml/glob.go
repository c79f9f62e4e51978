package fakeclearml

import "strings"

// globMatch reports whether s matches a Redis pattern: * for anything, ? for one
// byte, [abc], [a-z] and [^a] for a set, and a backslash before a byte that is
// meant as itself.
func globMatch(pattern, s string) bool {
	for pattern != "" {
		if pattern[0] == '*' {
			return matchStar(pattern, s)
		}
		if s == "" {
			return false
		}
		in := true
		switch pattern[0] {
		case '?':
			pattern = pattern[1:]
		case '[':
			in, pattern = matchSet(pattern[1:], s[0])
		case '\\':
			if len(pattern) > 1 {
				pattern = pattern[1:]
			}
			in, pattern = s[0] == pattern[0], pattern[1:]
		default:
			in, pattern = s[0] == pattern[0], pattern[1:]
		}
		if !in {
			return false
		}
		s = s[1:]
	}
	return s == ""
}

// matchStar tries what follows the star at every place.
func matchStar(pattern, s string) bool {
	rest := strings.TrimLeft(pattern, "*")
	if rest == "" {
		return true
	}
	for i := range len(s) + 1 {
		if globMatch(rest, s[i:]) {
			return true
		}
	}
	return false
}

// matchSet looks c up in the set whose text follows the opening bracket, and
// returns what follows the closing one. As in Redis, a set that is never closed
// ends with the pattern.
func matchSet(set string, c byte) (in bool, rest string) {
	negate := set != "" && set[0] == '^'
	if negate {
		set = set[1:]
	}
	for {
		switch {
		case set == "":
			return in != negate, ""
		case set[0] == '\\' && len(set) >= 2:
			in = in || set[1] == c
			set = set[2:]
		case set[0] == ']':
			return in != negate, set[1:]
		case len(set) >= 3 && set[1] == '-':
			lo, hi := min(set[0], set[2]), max(set[0], set[2])
			in = in || (lo <= c && c <= hi)
			set = set[3:]
		default:
			in = in || set[0] == c
			set = set[1:]
		}
	}
}
