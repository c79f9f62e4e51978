package fakeec2

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// matches tells whether something passes every filter. attribute gives the
// values it has for a filter name.
func matches(filters []Filter, attribute func(name string) []string) bool {
	for _, f := range filters {
		if !slices.ContainsFunc(attribute(f.Name), f.accepts) {
			return false
		}
	}
	return true
}

func (f Filter) accepts(value string) bool {
	return slices.ContainsFunc(f.Values, func(pattern string) bool { return glob(pattern, value) })
}

// checkFilters refuses names that are not in known; an entry that ends in a
// colon stands for every name that begins with it.
func checkFilters(filters []Filter, known []string) error {
	for _, f := range filters {
		ok := slices.ContainsFunc(known, func(k string) bool {
			return k == f.Name || (strings.HasSuffix(k, ":") && strings.HasPrefix(f.Name, k) && f.Name != k)
		})
		if !ok {
			return errorf("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
		}
		if len(f.Values) == 0 {
			return errorf("InvalidParameterValue", "The filter '%s' has no values", f.Name)
		}
		if len(f.Values) > 200 {
			return errorf("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
		}
	}
	return nil
}

// glob matches with * for any text, ? for one character, and a backslash in
// front of either of them, or of itself, for the character itself.
func glob(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	return globRunes(p, t)
}

func globRunes(p, t []rune) bool {
	for len(p) > 0 {
		switch {
		case p[0] == '*':
			for len(p) > 0 && p[0] == '*' {
				p = p[1:]
			}
			if len(p) == 0 {
				return true
			}
			for n := range len(t) + 1 {
				if globRunes(p, t[n:]) {
					return true
				}
			}
			return false
		case len(t) == 0:
			return false
		case p[0] == '?':
		case p[0] == '\\' && len(p) > 1:
			p = p[1:]
			if p[0] != t[0] {
				return false
			}
		case p[0] != t[0]:
			return false
		}
		p, t = p[1:], t[1:]
	}
	return len(t) == 0
}

// pageToken is the opaque text that continues a listing at an item, on a page.
func pageToken(at, page int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "fake:%d:%d", at, page))
}

func readPageToken(token string) (at, page int, err error) {
	text, err := base64.StdEncoding.DecodeString(token)
	if err == nil {
		_, err = fmt.Sscanf(string(text), "fake:%d:%d", &at, &page)
	}
	if err != nil || at < 0 {
		return 0, 0, errorf("InvalidNextToken", "The specified NextToken is not valid: %s", token)
	}
	return at, page, nil
}

// pageOf is the number of the page that a token asks for, from 1.
func pageOf(token string) int {
	if token == "" {
		return 1
	}
	_, page, err := readPageToken(token)
	if err != nil {
		return 1
	}
	return page
}

// paginate cuts one page out of a listing that does not change in front. size 0
// is everything.
func paginate[T any](all []T, size int, token string) ([]T, string, error) {
	at, page := 0, 1
	if token != "" {
		var err error
		if at, page, err = readPageToken(token); err != nil {
			return nil, "", err
		}
	}
	at = min(at, len(all))
	if size == 0 || at+size >= len(all) {
		return all[at:], "", nil
	}
	return all[at : at+size], pageToken(at+size, page+1), nil
}
