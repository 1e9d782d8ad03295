package main

import (
	"bytes"
	"encoding/json"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSamples(t *testing.T) {
	sizes := map[image.Point]bool{}
	previous := ""
	all := samples()
	require.Len(t, all, 12)
	for _, s := range all {
		require.Greater(t, s.id, previous, "in the order of a list")
		previous = s.id
		require.NotEmpty(t, s.title)
		require.True(t, json.Valid([]byte(s.metadata)), s.id)
		require.NotEmpty(t, s.pictures)
		for _, p := range s.pictures {
			var data bytes.Buffer
			require.NoError(t, p.encode(&data))
			img, format, err := image.Decode(&data)
			require.NoError(t, err)
			require.Equal(t, p.jpeg, format == "jpeg")
			require.Equal(t, image.Pt(p.width, p.height), img.Bounds().Size())
			sizes[img.Bounds().Size()] = true
			colors := map[any]bool{}
			for y := range p.height {
				for x := range p.width {
					colors[img.At(x, y)] = true
				}
			}
			require.Greater(t, len(colors), 20, "%s is not blank", s.id)
		}
	}
	require.Greater(t, len(sizes), 5)
}

func TestDemo(t *testing.T) {
	dir := t.TempDir()
	demo := func() *server {
		s := startServerIn(t, dir, "--demo")
		s.key = demoKey
		return s
	}
	s := demo()
	ids, first := s.list()
	require.Len(t, ids, len(samples()))
	for i, want := range samples() {
		require.Equal(t, want.id, ids[i])
	}
	etag := s.do("GET", "/products/mug-blue", "").header.Get("ETag")
	s.stop()
	out := s.stdout.String()
	lines := curlLines(out)
	golden(t, filepath.Join("testdata", "demo.txt"), strings.ReplaceAll(out, s.url, "http://127.0.0.1:8080"))
	ignored, err := os.ReadFile(filepath.Join(dir, demoDir, ".gitignore"))
	require.NoError(t, err)
	require.Equal(t, "*\n", string(ignored))

	s = demo()
	_, again := s.list()
	require.Equal(t, first, again, "a second start changes nothing")
	require.Equal(t, etag, s.do("GET", "/products/mug-blue", "").header.Get("ETag"))

	// As they are printed by a server, twice in a row. The port is another
	// one than that of the first start.
	old := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	for range 2 {
		for i, l := range lines {
			tryCurl(t, dir, demoSteps[i].what, old.ReplaceAllString(l, s.url))
		}
	}
	_, after := s.list()
	require.Equal(t, first, after)
	s.stop()
}

func curlLines(text string) (lines []string) {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "curl ") {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	return lines
}

// curlShows are patterns of what the lines of the demo show, in their order.
var curlShows = []string{
	`^\{"items":\[\{"externalId":"bag/canvas".*"count":3\}\n$`,
	`(?s)^HTTP/1.1 200 OK.*"externalId":"mug-blue"`,
	`^HTTP/1.1 304 Not Modified`,
	`^\{"externalId":"bag/canvas"`,
	`^\n$`,
	`^\{"externalId":"my-tee","title":"Red tee".*"metadata":\{"price":19.90\}`,
	`^\{"externalId":"my-mug".*"contentType":"image/png","size":\d+,"width":400,"height":320.*"validForDays":30,"listed":true`,
	`^\{"externalId":"my-tee","title":"Blue tee".*"sourceUrl":"https://cdn.example/tee.jpg".*"metadata":null`,
	`^\{"externalId":"my-mug".*"lastUsedAt":"2`,
	`^\{"externalId":"_anon_.*"validForDays":7,"listed":false`,
	`^HTTP/1.1 204 No Content`,
	`^HTTP/1.1 204 No Content`,
}

// tryCurl runs a line as a shell does and looks at what it shows.
func tryCurl(t *testing.T, dir, what, text string) {
	t.Helper()
	for i, step := range demoSteps {
		if step.what != what {
			continue
		}
		cmd := exec.Command("sh", "-c", text)
		cmd.Dir = dir
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		require.NoError(t, cmd.Run(), "%s\n%s", text, errs.String())
		require.Empty(t, errs.String(), text)
		require.Regexp(t, curlShows[i], strings.ReplaceAll(out.String(), "\r", ""), text)
		if strings.Contains(text, "-o mug.png") {
			data, err := os.ReadFile(filepath.Join(dir, "mug.png"))
			require.NoError(t, err)
			_, format, err := image.DecodeConfig(bytes.NewReader(data))
			require.NoError(t, err)
			require.Equal(t, "png", format)
		}
	}
}

func TestDemoDefaults(t *testing.T) {
	// The address of the demo may be taken on this machine: what it would be is
	// in the help, and in the golden file of what it prints.
	require.Len(t, curlShows, len(demoSteps))
	s := startServerIn(t, t.TempDir(), "--demo", "--prefix", "/shop")
	s.key = demoKey
	require.Equal(t, http.StatusOK, s.do("GET", "/products/bag%2Fcanvas/images/0", "").status)
	s.stop()
	for _, l := range curlLines(s.stdout.String()) {
		require.Contains(t, l, s.url+"/")
	}
}
