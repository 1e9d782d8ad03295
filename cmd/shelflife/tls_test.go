package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writeCertificate writes a certificate for this machine, of a name, with its key.
func writeCertificate(t *testing.T, dir, name string) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	pool = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool.AddCert(parsed)
	return cert, key, pool
}

// shown returns the name of the certificate that a server shows.
func shown(t *testing.T, addr string) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // what is shown is looked at
	require.NoError(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestHTTPS(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := writeCertificate(t, dir, "first")
	s := startServer(t, "--data", filepath.Join(dir, "store"), "--tls-cert", cert, "--tls-key", key)
	addr, ok := strings.CutPrefix(s.url, "https://")
	require.True(t, ok, s.url)
	only := new(http.Protocols)
	only.SetHTTP2(true)
	for name, transport := range map[string]*http.Transport{
		"HTTP/1.1": {TLSClientConfig: &tls.Config{RootCAs: pool}},
		"HTTP/2.0": {TLSClientConfig: &tls.Config{RootCAs: pool}, Protocols: only},
	} {
		r, err := http.NewRequest("POST", s.url+"/products", strings.NewReader(upsertBody("a")))
		require.NoError(t, err)
		r.Header.Set("X-API-Key", s.key)
		r.Header.Set("Content-Type", "application/json")
		res, err := transport.RoundTrip(r)
		require.NoError(t, err, name)
		require.Less(t, res.StatusCode, 300)
		require.Equal(t, name, res.Proto)
		require.NoError(t, res.Body.Close())

		// A session's cookie is for HTTPS alone.
		r, err = http.NewRequest("POST", s.url+"/dashboard/signin", strings.NewReader("key="+s.key))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err = transport.RoundTrip(r)
		require.NoError(t, err)
		require.NotEmpty(t, res.Cookies())
		require.True(t, res.Cookies()[0].Secure)
		require.NoError(t, res.Body.Close())
	}
	_, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	require.Error(t, err)
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	_, err = c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	n, _ := c.Read(make([]byte, 100)) // an alert, or nothing
	require.Less(t, n, 20)
	require.NoError(t, c.Close())

	if !signal.Ignored(syscall.SIGHUP) {
		require.Equal(t, "first", shown(t, addr))
		require.NoError(t, os.WriteFile(cert, []byte("no certificate"), 0o600))
		s.signal(syscall.SIGHUP)
		s.awaitLog("the certificate could not be read again: the one from before stays in use")
		require.Equal(t, "first", shown(t, addr))
		writeCertificate(t, dir, "second")
		s.signal(syscall.SIGHUP)
		s.awaitLog("certificate read again")
		require.Equal(t, "second", shown(t, addr))
	}
	s.stop()
}

func TestWrongCertificates(t *testing.T) {
	cert, key, _ := writeCertificate(t, t.TempDir(), "a")
	_, other, _ := writeCertificate(t, t.TempDir(), "b")
	folder := t.TempDir() // which is no regular file, as a named pipe is none
	for _, flags := range [][]string{
		{"--tls-cert", cert}, {"--tls-key", key}, {"--tls-cert", cert, "--tls-key", other}, {"--tls-cert", cert, "--tls-key", folder},
		{"--tls-cert", folder, "--tls-key", key}, {"--tls-cert", cert + "x", "--tls-key", key}, {"--tls-cert", key, "--tls-key", cert},
	} {
		data := filepath.Join(t.TempDir(), "store")
		status, _, errs := execute(t, nil, append([]string{"serve", "--addr", "127.0.0.1:0", "--api-key", testAccount + "=" + testKey, "--data", data}, flags...)...)
		require.Equal(t, exitFailure, status)
		require.Contains(t, errs, "--tls-")
		require.NoDirExists(t, data)
	}
}
