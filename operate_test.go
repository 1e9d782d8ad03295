package shelflife_test

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOperate runs docs/operate.md, all of its blocks as one script in one folder.
// The server is given a free port, which the blocks after its start ask for.
func TestOperate(t *testing.T) {
	if testing.Short() {
		t.Skip("programs of their own: a run without -short has them")
	}
	for _, tool := range []string{"curl", "openssl", "tar", "zstd"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") == "" {
			t.Skip("docs/operate.md needs " + tool)
		}
	}
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("docs/operate.md sends SIGHUP, which is ignored here, as under nohup")
	}
	text, err := os.ReadFile("docs/operate.md")
	require.NoError(t, err)
	blocks := fence.FindAllSubmatch(text, -1)
	require.Len(t, regexp.MustCompile("(?m)^```").FindAll(text, -1), 2*len(blocks))
	dir := t.TempDir()
	run(t, ".", "go", "build", "-o", filepath.Join(dir, "shelflife"), "./cmd/shelflife")
	var script strings.Builder
	// Job control, as in a shell that a person types into; what is left ends with it.
	script.WriteString("set -m\ntrap 'kill %1 %2 2>/dev/null || true' EXIT\n")
	for _, block := range blocks {
		require.Equal(t, "sh", string(block[1]))
		script.Write(block[2])
	}
	const listens, asks = " --admin-addr unix:admin.sock &", "http://127.0.0.1:8080/"
	commands := script.String()
	require.Equal(t, 1, strings.Count(commands, listens))
	commands = strings.Replace(commands, listens, " --addr 127.0.0.1:0 2>serve.log"+listens, 1)
	commands = strings.ReplaceAll(commands, asks, `"$(sed -n 's/.*msg=serving url=\(\S*\).*/\1/p' serve.log)"/`)
	out := run(t, dir, "bash", "-ec", commands)
	require.Equal(t, 3, strings.Count(out, `"externalId":"shirt-42"`))
	for _, want := range []string{`{"status":"ok"}`, `{"summary":{"lines":1,"created":1,`, `"externalId":"shirt-42"`, "servers:\n  - url: \"/\"\n", "written to      shop.backup", "products        1, of which 0 have expired", "broken          0", "written to      stopped.backup",
		"written to      shop.tar.zst", "created         1\n", "manifest.json\n", "unchanged 1, refused 0; nothing was written", "listed          1\n", "deleted         1 products\n",
	} {
		require.Contains(t, out, want)
	}
}
