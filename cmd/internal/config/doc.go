// Package config reads what an operator wants: one [File] with the process's own
// settings and its autoscalers.
//
// [Load] puts four layers on top of each other with koanf, the later one winning:
//
//	defaults → file (YAML, JSON or HOCON) → environment → command-line flags
//
// The environment and the flags are arguments, never read inside. What comes out
// is complete and checked: no key is unknown, every value has its type and its
// form, the parts agree with each other. When anything is wrong, nothing comes
// out but [Errors]: every problem at once, each with the key's path, the place it
// was written, what is wrong and what to write instead.
//
// Values become a File in four steps, one file of this package each:
//
//	document*.go   text → ordered tree with line numbers (no meaning yet)
//	references.go  ${ENV:NAME} and ${FILE:/path} in the tree → their text
//	layers.go      defaults, tree, environment, flags → one tree
//	decode*.go     tree → File: types, unknown keys, other spellings
//	validate*.go   File → problems: form of values, agreement of the parts
//
// keys*.go is the one table of all keys: their kinds, defaults, words, forms, limits
// and what they mean. The steps above take them from there, and so do the JSON
// Schema and the tables of docs/configuration.md, which the tests of this package
// compare and, with -update, write. draft*.go is a file that is being written: what
// package wizard works on, with references left as they are.
//
// [Import] turns the configurations of ClearML's own autoscalers into the same
// tree and takes the last two steps; what has no equivalent becomes a [Note].
// [Export] writes a File so that Import gives the same File back.
//
// Secrets have the type [Secret], which every printer, encoder and logger sees
// redacted; only [Secret.Reveal] gives the text.
package config
