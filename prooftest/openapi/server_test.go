package openapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const key = "0123456789abcdef-openapi"

// pixel is an image, in base 64.
var pixel = func() string {
	var buf bytes.Buffer
	_ = png.Encode(&buf, image.NewGray(image.Rect(0, 0, 1, 1))) // a buffer takes everything
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}()

// said is what a process writes.
type said struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// serve builds shelflife and runs a server of a store of its own, below a prefix.
func serve(t *testing.T) (url string) {
	t.Helper()
	dir := t.TempDir()
	run(t, "../..", "go", "build", "-o", filepath.Join(dir, "shelflife"), "./cmd/shelflife")
	ctx, stop := context.WithCancel(t.Context())
	log := new(said)
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "shelflife"), "serve", "--data", filepath.Join(dir, "store"),
		"--addr", "127.0.0.1:0", "--prefix", "/shop/v1", "--api-key", "shop="+key)
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was told to end
	})
	require.Eventually(t, func() bool {
		found := regexp.MustCompile(`msg=serving url=(\S+)`).FindStringSubmatch(log.String())
		if found != nil {
			url = found[1]
		}
		return found != nil
	}, time.Minute, 10*time.Millisecond, "%s", log)
	return url
}

// run runs a command in a folder and returns what it writes.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

// get reads a URL, without a key.
func get(t *testing.T, url string) []byte {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return text
}
