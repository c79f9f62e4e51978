// Package doctor holds ebb doctor against moto, an independent imitation of
// AWS that knows users and their policies. It has tests only.
package doctor
