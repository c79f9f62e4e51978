package config

import (
	"fmt"
	"strings"
)

// Reference is the table of keys of a part of the file as Markdown: the process, an
// autoscaler, or a resource.
func Reference(part string) string {
	var b strings.Builder
	b.WriteString("| key | type | default | meaning | ClearML's form (and file) |\n|---|---|---|---|---|\n")
	for _, k := range Keys() {
		if partOf(k.Path) != part || k.Kind == KindObject || k.Kind == KindObjects || k.Instead != "" {
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Path, k.typeWords(), k.defaultWords(),
			strings.TrimSpace(k.Text+" "+k.See), orDash(k.ClearML))
	}
	return b.String()
}

// Parts are the parts of the file that Reference knows.
func Parts() []string { return []string{"process", "autoscaler", "resource"} }

func partOf(path string) string {
	switch {
	case strings.HasPrefix(path, "autoscalers[].resources[]."):
		return "resource"
	case strings.HasPrefix(path, "autoscalers[]."):
		return "autoscaler"
	}
	return "process"
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// typeWords is what is written, in words.
func (k Key) typeWords() string {
	switch {
	case k.Type != "":
		return k.Type
	case len(k.Words) > 0:
		return "`" + strings.Join(k.Words, "` `") + "`"
	}
	switch k.Kind {
	case KindFlag:
		return "bool"
	case KindInteger:
		return "number"
	case KindDecimal, KindText, KindSecret, KindScript, KindDuration, KindList:
		return string(k.Kind)
	case KindTags, KindFree, KindObject, KindObjects:
	}
	return "object"
}

// defaultWords is what an absent key means, in words.
func (k Key) defaultWords() string {
	switch {
	case k.Otherwise != "":
		return k.Otherwise
	case k.Default != "":
		return "`" + k.Default + "`"
	case k.Required:
		return "required"
	}
	return "–"
}
