package dump

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

// FuzzVerify reads any bytes: they are an intact dump, or are refused.
func FuzzVerify(f *testing.F) {
	intact := archiveOf(f, seedLines, []byte(seedImage), 3)
	f.Add(intact)
	f.Add(intact[:len(intact)-1])
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		info, err := Verify(context.Background(), bytes.NewReader(text))
		if err != nil {
			require.ErrorIs(t, err, ErrNotIntact)
			return
		}
		require.EqualValues(t, len(text), info.Bytes)
	})
}

const (
	seedImage = "any bytes will do"
	seedLines = `{"account":"a","externalId":"p","images":[{"url":"https://cdn.example/1.jpg","classifications":{"a":1}}],"metadata":[1.0],"listed":true,"createdAt":1,"updatedAt":2,"anchor":3,"incarnation":"0000000000000001","edit":"00000000000000ff","revision":1}
{"account":"a","externalId":"q","images":[{"upload":{"id":"000102030405060708090a0b0c0d0e0f","sha256":"SUM","contentType":"image/png","size":17,"width":1,"height":1,"new":true,"again":true}}],"validForDays":30,"createdAt":1,"updatedAt":2,"lastUsedAt":5,"anchor":99999999999999,"incarnation":"0000000000000002","edit":"00000000000000fe","revision":7}
{"account":"b","externalId":"_anon_1","images":[{"upload":{"id":"000102030405060708090a0b0c0d0e0f","sha256":"SUM","contentType":"image/png","size":17,"width":1,"height":1}}],"oneShot":true,"createdAt":1,"updatedAt":2,"anchor":3,"incarnation":"0000000000000003","edit":"00000000000000fd","revision":1,"flags":32768,"unknown":"wA=="}
`
)

// archiveOf makes an archive, with right sums, of a file of the lines up to one with
// new bytes, these bytes, and a file of the other lines.
func archiveOf(t testing.TB, lines string, image []byte, products int) []byte {
	t.Helper()
	var b bytes.Buffer
	a, err := newArchiveWriter(&b)
	require.NoError(t, err)
	sum := sha256.Sum256(image)
	text := bytes.ReplaceAll([]byte(lines), []byte("SUM"), []byte(hex.EncodeToString(sum[:])))
	m := manifest{Products: products}
	account := ""
	for _, l := range strings.SplitAfter(lines, "\n") {
		var named struct{ Account string }
		if json.Unmarshal([]byte(l), &named) == nil && (m.Accounts == 0 || named.Account != account) {
			account = named.Account
			m.Accounts++
		}
	}
	for len(text) > 0 {
		file, rest := text, []byte(nil)
		news := false
		for i, n := 0, 0; i < len(text); i = n {
			if n = i + 1 + bytes.IndexByte(text[i:], '\n'); n == i {
				break
			}
			if bytes.Contains(text[i:n], []byte(`"new":true`)) {
				file, rest, news = text[:n], text[n:], true
				break
			}
		}
		require.NoError(t, a.addProducts(file))
		if news {
			require.NoError(t, a.add(imageName(sum), int64(len(image))))
			_, err := a.tar.Write(image)
			require.NoError(t, err)
			m.Images, m.ImageBytes = m.Images+1, m.ImageBytes+int64(len(image))
		}
		text = rest
	}
	require.NoError(t, a.end(m))
	return b.Bytes()
}

// FuzzLoad loads lines that come in a dump whose sums are right. Whatever they hold,
// the catalog is sound afterwards, and what was loaded is dumped, loaded and dumped
// again as the same.
func FuzzLoad(f *testing.F) {
	f.Add(seedLines, []byte(seedImage), 3)
	f.Add(seedLines[:len(seedLines)/3], []byte(seedImage), 1)
	f.Add("{}\n", []byte{}, 0)
	f.Add(`{"account":"a","externalId":"_anon_","images":[{"url":""}],"listed":true,"createdAt":0,"updatedAt":0,"anchor":0,"incarnation":"0","edit":"","revision":1}`+"\n", []byte{}, 1)
	f.Fuzz(func(t *testing.T, lines string, image []byte, products int) {
		text := archiveOf(t, lines, image, products)
		first := loaded(t, text)
		dumped := dumpOf(t, first)
		second := loaded(t, dumped)
		require.True(t, bytes.Equal(dumped, dumpOf(t, second)))
	})
}

// loaded returns a catalog into which a dump was loaded as far as it goes.
func loaded(t *testing.T, text []byte) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	if _, err := Load(t.Context(), c, bytes.NewReader(text), nil); err != nil && !errors.Is(err, ErrNotIntact) {
		require.NotErrorIs(t, err, catalog.ErrDamaged)
		require.NotErrorIs(t, err, catalog.ErrUnavailable)
	}
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	require.True(t, report.Sound(), "%v", report.Problems)
	require.NoError(t, c.Damage())
	return c
}

func dumpOf(t *testing.T, c *catalog.Catalog) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := Write(t.Context(), &b, c, nil)
	require.NoError(t, err)
	return b.Bytes()
}

// TestSeeds: the seeds of the fuzzers are what they are meant to be.
func TestSeeds(t *testing.T) {
	text := archiveOf(t, seedLines, []byte(seedImage), 3)
	_, err := Verify(t.Context(), bytes.NewReader(text))
	require.NoError(t, err)
	c := loaded(t, text)
	for _, want := range []struct {
		account, id, etag string
	}{{"a", "p", `"AAAAAAAAAAEAAAAAAAAA_w.2.-1.-1"`}, {"a", "q", ""}} {
		p, err := c.Get(t.Context(), want.account, want.id)
		require.NoError(t, err)
		if want.etag != "" {
			require.Equal(t, want.etag, p.ETag())
		}
	}
	_, err = c.Get(t.Context(), "b", "_anon_1")
	require.NoError(t, err, "it is kept forever, and has the same bytes")
	again := dumpOf(t, c)
	info, err := Verify(t.Context(), bytes.NewReader(again))
	require.NoError(t, err)
	require.Equal(t, 3, info.Products)
	require.Equal(t, 1, info.Images)
}

// TestLinesThatAreRefused: sums that are right do not make a dump of them.
func TestLinesThatAreRefused(t *testing.T) {
	lines := strings.SplitAfter(seedLines, "\n")
	for name, c := range map[string]struct {
		lines    string
		products int
	}{
		"not in order":      {strings.Replace(lines[0], `"externalId":"p"`, `"externalId":"q"`, 1) + lines[0], 2},
		"twice":             {lines[0] + lines[0], 2},
		"manifest":          {seedLines, 2},
		"bytes are missing": {strings.Replace(seedLines, `"new":true,`, "", 1), 3},
		"unknown name":      {strings.Replace(lines[0], `"listed"`, `"listad"`, 1), 1},
		"two values":        {strings.Replace(lines[0], "\n", "{}\n", 1), 1},
		"no image":          {strings.Replace(lines[0], `{"url":"https://cdn.example/1.jpg","classifications":{"a":1}}`, "", 1), 1},
		"no number":         {strings.Replace(lines[0], `00000000000000ff`, "ff", 1), 1},
		"lifetime":          {strings.Replace(lines[0], `"listed":true`, `"validForDays":366`, 1), 1},
		"listed one-shot":   {strings.Replace(lines[0], `"listed":true`, `"listed":true,"oneShot":true`, 1), 1},
		"reserved ID":       {strings.Replace(lines[0], `"externalId":"p"`, `"externalId":"_anon_p"`, 1), 1},
		"control character": {strings.Replace(lines[0], `"externalId":"p"`, `"externalId":"\u0001"`, 1), 1},
		"unknown elements":  {strings.Replace(seedLines, `"wA=="`, `"/w=="`, 1) + strings.Replace(lines[0], `"revision":1`, `"revision":1,"unknown":"3Q=="`, 1), 4},
	} {
		t.Run(name, func(t *testing.T) {
			cat, err := catalog.Open(t.Context(), memory.New(nil), nil)
			require.NoError(t, err)
			defer cat.Close()
			_, err = Load(t.Context(), cat, bytes.NewReader(archiveOf(t, c.lines, []byte(seedImage), c.products)), nil)
			require.Error(t, err)
			if name != "bytes are missing" {
				require.ErrorIs(t, err, ErrNotIntact)
			}
			require.NoError(t, cat.Damage())
		})
	}
}

// TestNamesThatLie: a file that holds other bytes than its name says is refused, though
// all other sums are right.
func TestNamesThatLie(t *testing.T) {
	lines := []byte(strings.SplitAfter(seedLines, "\n")[0])
	image := []byte(seedImage)
	sum := sha256.Sum256(image)
	withImage := []byte(strings.ReplaceAll(strings.SplitAfter(seedLines, "\n")[1], "SUM", hex.EncodeToString(sum[:])))
	for name, c := range map[string]struct {
		write func(a *archiveWriter) error
		m     manifest
	}{
		"lines": {func(a *archiveWriter) error {
			name := fmt.Sprintf("products/00000001.%x.ndjson", sha256.Sum256(nil))
			return cmp.Or(a.add(name, int64(len(lines))), writeAll(a, lines))
		}, manifest{Accounts: 1, Products: 1}},
		"image": {func(a *archiveWriter) error {
			other := bytes.Repeat([]byte("x"), len(image))
			return cmp.Or(a.addProducts(withImage), a.add(imageName(sum), int64(len(other))), writeAll(a, other))
		}, manifest{Accounts: 1, Products: 1, Images: 1, ImageBytes: int64(len(image))}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			a, err := newArchiveWriter(&b)
			require.NoError(t, err)
			require.NoError(t, c.write(a))
			require.NoError(t, a.end(c.m))
			_, err = Verify(t.Context(), bytes.NewReader(b.Bytes()))
			require.ErrorIs(t, err, ErrNotIntact)
			require.ErrorContains(t, err, "name says")
		})
	}
}

func writeAll(a *archiveWriter, text []byte) error {
	_, err := a.tar.Write(text)
	return err
}
