package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// tls is nil where no flag asks for it: an endpoint with https:// is encrypted all the same, with the system's CAs.
func (c *connection) tls() (*tls.Config, error) {
	if c.cacert == "" && c.cert == "" && c.key == "" && !c.skipVerify {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.skipVerify}
	if c.cacert != "" {
		pem, err := os.ReadFile(c.cacert)
		if err != nil {
			return nil, fmt.Errorf("--cacert: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--cacert: %s: no certificate in it", c.cacert)
		}
	}
	if c.cert != "" || c.key != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			return nil, fmt.Errorf("--cert %q, --key %q: %w", c.cert, c.key, err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
