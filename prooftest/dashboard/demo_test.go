package dashboard

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// demoSite is what "shelflife serve --demo" serves.
type demoSite struct{ url, key string }

// demo runs the binary. What it says first is where the dashboard is.
func demo(t *testing.T) demoSite {
	t.Helper()
	startChromium(t) // or skip, before anything is built
	dir := t.TempDir()
	binary := filepath.Join(dir, "shelflife")
	build := exec.Command("go", "build", "-o", binary, "./cmd/shelflife")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command(binary, "serve", "--demo", "--addr", "127.0.0.1:0")
	cmd.Dir = dir
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	words := strings.Fields(line)
	require.Len(t, words, 10, line)
	return demoSite{url: words[2], key: words[9]}
}

func (s demoSite) signIn(b *tab) {
	b.t.Helper()
	b.goTo(s.url)
	b.fill("#key", s.key)
	b.click("main form button")
}

// TestDemo signs in where the demo says, and takes the pictures of the README:
// docs/dashboard-light.png and docs/dashboard-dark.png.
func TestDemo(t *testing.T) {
	s := demo(t)
	for name, l := range map[string]look{"dashboard-light": {width: 1100, height: 700}, "dashboard-dark": {width: 1100, height: 700, dark: true}} {
		b := open(t, l)
		s.signIn(b)
		require.Equal(t, 12, b.count(".card img"))
		b.await(`[...document.images].slice(0, 5).every((i) => i.naturalWidth > 0)`)
		b.shoot(name, false)
	}
}
