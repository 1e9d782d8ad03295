//go:build unix

package postgrestest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A Secured is a server that takes connections over TCP with TLS and a password
// alone, from the role "keeper".
type Secured struct {
	*Server
	// Addr is where it listens; its certificate is for "localhost", not for the IP
	// address. CA is a file with the certificate of what signed that.
	Addr, CA string
}

// StartSecured starts such a server for one test alone.
func StartSecured(t testing.TB, password string, settings ...string) *Secured {
	t.Helper()
	s, err := prepare()
	if err != nil {
		unavailable(t, err)
	}
	s.until(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = taken.Addr().(*net.TCPAddr).Port
	out := &Secured{Server: s, Addr: taken.Addr().String(), CA: filepath.Join(s.dir, "ca.pem")}
	err = errors.Join(taken.Close(), s.initialize(), s.sign(out.CA), os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"),
		[]byte("local all shelflife trust\nhostssl all keeper 127.0.0.1/32 scram-sha-256\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	s.settings = append(settings, "listen_addresses=127.0.0.1", "ssl=on", "ssl_cert_file="+s.dir+"/server.pem", "ssl_key_file="+s.dir+"/server.key")
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := execute(s.DSN("postgres"), fmt.Sprintf("CREATE ROLE keeper LOGIN CREATEDB PASSWORD '%s'", password)); err != nil {
		t.Fatal("the role could not be created") // the statement has the password
	}
	if err := execute(s.DSN("postgres"), "CREATE DATABASE vault OWNER keeper"); err != nil {
		t.Fatal(err)
	}
	return out
}

// sign writes the certificate of an authority of the test's own, and one that it has
// signed, with its key.
func (s *Server) sign(ca string) error {
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	from, to := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the tests' authority"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &authority.PublicKey, authority)
	if err != nil {
		return err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, authority)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	write := func(path, kind string, der []byte, mode os.FileMode) error {
		return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
	}
	keyFile := filepath.Join(s.dir, "server.key")
	err = errors.Join(write(ca, "CERTIFICATE", rootDER, 0o644),
		write(filepath.Join(s.dir, "server.pem"), "CERTIFICATE", leafDER, 0o644), write(keyFile, "PRIVATE KEY", keyDER, 0o600))
	if err == nil && s.user != nil {
		err = os.Chown(keyFile, int(s.user.Uid), int(s.user.Gid))
	}
	return err
}
