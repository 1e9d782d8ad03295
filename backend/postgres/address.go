package postgres

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Address returns what a connection string names, for logs and errors, as
// "HOST:PORT/DATABASE", several hosts with commas between. It has neither the user nor
// the password.
func Address(dsn string) (string, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return "", errConnectionString
	}
	return address(&config.ConnConfig.Config), nil
}

func address(c *pgconn.Config) string {
	hosts := []string{hostPort(c.Host, c.Port)}
	for _, f := range c.Fallbacks { // those with other TLS are among them
		if h := hostPort(f.Host, f.Port); !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	return strings.Join(hosts, ",") + "/" + c.Database
}

func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// whyRefused says where there is no connection to, and of what kind the causes are. What
// pgx and the server say of it is left out: it names the user.
func whyRefused(err *pgconn.ConnectError) string {
	var kinds []string
	var collect func(error)
	collect = func(err error) {
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			for _, one := range several.Unwrap() {
				collect(one)
			}
			return
		}
		if one, ok := errors.Unwrap(err).(interface{ Unwrap() []error }); ok && len(one.Unwrap()) > 0 {
			collect(errors.Unwrap(err))
			return
		}
		if kind := refusal(err); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	collect(err.Unwrap())
	return "no connection to " + address(err.Config) + ": " + strings.Join(kinds, "; ")
}

// refusal is the kind of what has kept one connection from being made.
func refusal(err error) string {
	var (
		unknownHost *net.DNSError
		notTrusted  *tls.CertificateVerificationError
		unknownCA   x509.UnknownAuthorityError
		otherName   x509.HostnameError
	)
	switch code := sqlState(err); {
	case strings.HasPrefix(code, "28"):
		return "the server does not accept the user or the password (SQLSTATE " + code + ")"
	case code == "3D000":
		return "there is no such database (SQLSTATE " + code + ")"
	case code == "42501":
		return "the user may not connect to the database (SQLSTATE " + code + ")"
	case code == "53300":
		return "the server has no connection left (SQLSTATE " + code + ")"
	case code == "57P03":
		return "the server is starting or stopping (SQLSTATE " + code + ")"
	case code != "":
		return "the server has refused (SQLSTATE " + code + ")"
	case errors.Is(err, pgconn.ErrReadOnlyConnection):
		return errNoWrites.Error()
	case errors.As(err, &unknownHost) && unknownHost.IsNotFound:
		return "there is no such host"
	case errors.As(err, &unknownHost):
		return "the name of the host could not be looked up"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there"
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such socket"
	case errors.As(err, &notTrusted), errors.As(err, &unknownCA), errors.As(err, &otherName):
		return "the server's certificate is not accepted"
	case isTimeout(err):
		return "no answer in time"
	}
	return "the connection failed"
}

func isTimeout(err error) bool {
	var timed net.Error
	return pgconn.Timeout(err) || errors.As(err, &timed) && timed.Timeout()
}
