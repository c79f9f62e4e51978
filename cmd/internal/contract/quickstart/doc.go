// Package quickstart runs the commands of docs/quickstart.md as a newcomer would.
package quickstart
