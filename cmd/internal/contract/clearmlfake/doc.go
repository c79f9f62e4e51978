// Package clearmlfake holds the ClearML adapter to the contract of the actors'
// port, against the fake ClearML server over HTTP. Both were written from the
// same recordings, and neither knows the other.
package clearmlfake
