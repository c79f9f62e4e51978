// Package examples tests what lies in the directory examples as its readers would use
// it: the server's configuration file is loaded, the Go program is built and run, and
// the page is built with npm and opened in a browser.
package examples
