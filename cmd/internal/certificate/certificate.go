// Package certificate is the server certificate of the dashboard: a PEM file and the
// key to it, read again when whoever renews them has written new ones.
package certificate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Files are paths to PEM files.
type Files struct {
	Cert string // http.tls.cert_file: the server's certificate, then its intermediates
	Key  string // http.tls.key_file
}

// Load reads a certificate. The error names the setting whose file is at fault.
func (f Files) Load() (*tls.Certificate, error) {
	cert, err := os.ReadFile(f.Cert)
	if err != nil {
		return nil, fmt.Errorf("http.tls.cert_file: %w", err)
	}
	key, err := os.ReadFile(f.Key)
	if err != nil {
		return nil, fmt.Errorf("http.tls.key_file: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("http.tls: %s with %s: %w", f.Cert, f.Key, err)
	}
	return &pair, nil
}

// stamp tells one version of the files from the next.
type stamp struct {
	cert, key         time.Time
	certSize, keySize int64
}

func (f Files) stamp() (stamp, error) {
	cert, err := os.Stat(f.Cert)
	key, keyErr := os.Stat(f.Key)
	if err := errors.Join(err, keyErr); err != nil {
		return stamp{}, err
	}
	return stamp{cert: cert.ModTime(), key: key.ModTime(), certSize: cert.Size(), keySize: key.Size()}, nil
}

// Renewing is a certificate that follows its files. Safe for concurrent use.
type Renewing struct {
	files Files
	log   zerolog.Logger

	mu       sync.Mutex
	read     stamp
	current  *tls.Certificate
	lastFail string // so that each failure is logged once, not at each connection
}

// Open reads the files for the first time; the error is that of [Files.Load].
func Open(files Files, log zerolog.Logger) (*Renewing, error) {
	read, _ := files.stamp() // a file that is not there is Load's error
	current, err := files.Load()
	if err != nil {
		return nil, err
	}
	return &Renewing{files: files, log: log, read: read, current: current}, nil
}

// Get is for [tls.Config.GetCertificate]. While the files cannot be read, or the one
// is written and the other not yet, it goes on with what it has.
func (r *Renewing) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := r.files.stamp()
	if err == nil && now == r.read {
		return r.current, nil
	}
	var renewed *tls.Certificate
	if err == nil {
		renewed, err = r.files.Load()
	}
	if err != nil {
		r.complain(err)
		return r.current, nil
	}
	r.read, r.current, r.lastFail = now, renewed, ""
	r.log.Info().Time("until", Ends(renewed)).Msg("the dashboard's certificate was renewed")
	return r.current, nil
}

func (r *Renewing) complain(err error) {
	if text := err.Error(); text != r.lastFail {
		r.lastFail = text
		r.log.Warn().Err(err).Time("until", Ends(r.current)).Msg("the dashboard's certificate cannot be read again; the one from before is used")
	}
}

// Ends is when a certificate expires.
func Ends(c *tls.Certificate) time.Time { return c.Leaf.NotAfter }
