package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/shelflife-db/shelflife/backend"
)

var (
	errTxnEnded  = errors.New("postgres: the transaction has ended")
	errTxnScan   = errors.New("postgres: write through a transaction that is being scanned")
	errOpenRange = errors.New("postgres: DeleteRange needs both bounds")
	errNoLoop    = fmt.Errorf("%w: postgres: all connections for scans and snapshots are in use", backend.ErrUnavailable)
)

// SQLSTATEs that are acted upon.
const (
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
	stateLockTimeout   = "55P03"
	stateWarning       = "01000"
	stateNoTable       = "42P01"
	stateReadOnly      = "25006"
	stateUnique        = "23505"
)

// sqlState returns the SQLSTATE that the server answered with, "" if err is not
// its answer.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// transient reports whether a statement that only reads may be sent again: the
// connection or the server was lost, or the server is not ready.
func transient(err error) bool {
	code := sqlState(err)
	if code == "" {
		return true // not the server's answer
	}
	switch {
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "53"),
		code == stateSerialization, code == stateDeadlock:
		return true
	}
	return false
}

// ended reports whether the outcome of a statement is open: there is no answer, or
// it is that the connection ends.
func ended(err error) bool {
	var pg *pgconn.PgError
	return !errors.As(err, &pg) || pg.SeverityUnlocalized != "ERROR"
}

// refused reports whether there is no connection, whatever the server has against
// it: nothing was asked of it.
func refused(err error) bool {
	var connect *pgconn.ConnectError
	return errors.As(err, &connect)
}

// readError makes the error of a read that is not tried again.
func readError(err error) error {
	code := sqlState(err)
	switch {
	case refused(err), code == "", transient(err), code == stateLockTimeout, strings.HasPrefix(code, "57"), code == stateReadOnly:
		return unavailable(err)
	}
	return fmt.Errorf("postgres: %w", err)
}

// unavailable wraps an error after which nothing has changed.
func unavailable(err error) error {
	if errors.Is(err, backend.ErrUnavailable) || errors.Is(err, backend.ErrClosed) {
		return err
	}
	return &engineError{backend.ErrUnavailable, err}
}

// unknown wraps an error after which a commit may have taken effect.
func unknown(err error) error { return &engineError{backend.ErrUnknownOutcome, err} }

// engineError is cause, classified as what package backend calls it. It does not
// match the context's errors, which would say that the caller had given up.
type engineError struct{ kind, cause error }

func (e *engineError) Error() string {
	return e.kind.Error() + ": postgres: " + describe(e.cause)
}

func (e *engineError) Is(target error) bool {
	return errors.Is(e.kind, target)
}

// As lets callers find the server's answer.
func (e *engineError) As(target any) bool {
	if errors.Is(e.cause, context.Canceled) || errors.Is(e.cause, context.DeadlineExceeded) {
		return false
	}
	return errors.As(e.cause, target)
}

// describe leaves out of an error what pgx says of the connection string.
func describe(err error) string {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return whyRefused(connect)
	}
	return err.Error()
}
