//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestImportToldToStop: wherever the signal meets an import, that says that it
// was stopped, and what it counts is there.
func TestImportToldToStop(t *testing.T) {
	path, err := binary()
	require.NoError(t, err)
	for round, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if signal.Ignored(sig) {
			t.Logf("%v is ignored here, as under nohup", sig)
			continue
		}
		data := filepath.Join(t.TempDir(), "store")
		cmd := exec.CommandContext(t.Context(), path, "import", "--data", data, "--account", testAccount, "-")
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		require.NoError(t, cmd.Start())
		go func() {
			for i := 0; ; i++ {
				// A few hundred are in the pipe and in memory besides.
				if i == 1500*(round+1) {
					_ = cmd.Process.Signal(sig)
				}
				if _, err := io.WriteString(stdin, upsertBody(fmt.Sprint("p", i))+"\n"); err != nil {
					return
				}
			}
		}()
		_ = cmd.Wait()
		require.Equal(t, exitFailure, cmd.ProcessState.ExitCode(), "%v: %s%s", sig, &out, &errs)
		require.Regexp(t, `^shelflife: the import stopped after line [1-9]\d*: interrupted; --from-line [1-9]\d* goes on behind it\n$`, errs.String())
		var created, last int
		_, err = fmt.Sscanf(out.String(), "created %d,", &created)
		require.NoError(t, err)
		_, err = fmt.Sscanf(errs.String(), "shelflife: the import stopped after line %d:", &last)
		require.NoError(t, err)
		require.Equal(t, last, created)
		_, stored, _ := spawn(t, "check", "--data", data)
		require.Contains(t, stored, fmt.Sprintf("products        %d\n", created))
	}
}

// TestHangUpReadsKeysAgain: a rotation fails no request, and a bad file changes
// nothing.
func TestHangUpReadsKeysAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	const old, next = "the-old-key-of-acme", "the-new-key-of-acme"
	write(testAccount + "=" + old)
	data := filepath.Join(t.TempDir(), "store")
	s := startServerIn(t, "", "--data", data, "--api-key-file", file)
	ask := func(key string) int {
		s.key = key
		return s.do("GET", "/products", "").status
	}
	require.Equal(t, 200, ask(old))
	require.Equal(t, 401, ask(next))
	s.key = old
	body, answered := s.beginUpsert()

	write(testAccount + "=" + next + "\n" + testAccount + "=" + old)
	s.signal(syscall.SIGHUP)
	require.Eventually(t, func() bool { return ask(next) == 200 }, patience, time.Millisecond)
	require.Equal(t, 200, ask(old))
	sum := sha256.Sum256([]byte(next))
	write(testAccount + "=sha256:" + hex.EncodeToString(sum[:]))
	s.signal(syscall.SIGHUP)
	require.Eventually(t, func() bool { return ask(old) == 401 }, patience, time.Millisecond)
	require.Equal(t, 200, ask(next))
	_, err := io.WriteString(body, upsertBody("b"))
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.Equal(t, http.StatusCreated, (<-answered).status, "it began with a key that was good")

	write("no key at all: " + old)
	s.signal(syscall.SIGHUP)
	line := s.awaitLog("the API keys could not be read again: those from before stay valid")
	require.NotContains(t, line["error"], old)
	require.Equal(t, 200, ask(next))
	s.stop()
}

// TestHangUpUnderNohup goes unheard.
func TestHangUpUnderNohup(t *testing.T) {
	path, err := binary()
	require.NoError(t, err)
	args := serveArgs([]string{"--data", t.TempDir(), "--api-key", testAccount + "=" + testKey})
	s := startCommand(t, exec.Command("sh", append([]string{"-c", `trap "" HUP; exec "$0" "$@"`, path}, args...)...))
	s.signal(syscall.SIGHUP)
	require.Equal(t, http.StatusOK, s.do("GET", "/healthz", "").status)
	s.stop()
	for _, line := range s.logged() {
		var l struct{ Msg string }
		require.NoError(t, json.Unmarshal([]byte(line), &l))
	}
}

// TestLogWithoutAReader: a server whose log can't be written any more goes on,
// and stops as any other.
func TestLogWithoutAReader(t *testing.T) {
	path, err := binary()
	require.NoError(t, err)
	data := filepath.Join(t.TempDir(), "store")
	cmd := exec.Command(path, serveArgs([]string{"--data", data, "--use-window", "1h", "--api-key", testAccount + "=" + testKey})...)
	log, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	s := &server{t: t, cmd: cmd, key: testKey}
	for lines := bufio.NewScanner(log); s.url == "" && lines.Scan(); {
		var l struct{ Msg, URL string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &l))
		s.url = l.URL
	}
	require.NotEmpty(t, s.url)
	require.NoError(t, log.Close())
	require.Equal(t, http.StatusCreated, s.do("POST", "/products", upsertBody("a")).status)
	used := s.do("POST", "/products/a/use", "")
	require.Equal(t, http.StatusOK, used.status)
	s.signal(syscall.SIGTERM)
	require.NoError(t, cmd.Wait(), "exit status 0")

	s = startServer(t, "--data", data)
	require.Equal(t, used.body, s.do("GET", "/products/a", "").body)
	s.stop()
}
