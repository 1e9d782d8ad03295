package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// failingUpserts fail, each after it has read an Upload or given up before.
var failingUpserts = []struct {
	name string
	do   func(t *testing.T, c *catalog.Catalog, up *catalog.Upload) error
}{
	{"a condition", func(t *testing.T, c *catalog.Catalog, up *catalog.Upload) error {
		_, err := c.Upsert(t.Context(), acme, "a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: up}})}, catalog.IfExists())
		require.ErrorIs(t, err, catalog.ErrPreconditionFailed)
		return err
	}},
	{"a condition of one of many", func(t *testing.T, c *catalog.Catalog, up *catalog.Upload) error {
		patch := catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: up}})}
		many := c.UpsertMany(t.Context(), acme, []catalog.UpsertItem{{ExternalID: "a", Patch: patch, Conditions: []catalog.Condition{catalog.IfExists()}}})
		require.ErrorIs(t, many[0].Err, catalog.ErrPreconditionFailed)
		return many[0].Err
	}},
	{"a fault elsewhere", func(t *testing.T, c *catalog.Catalog, up *catalog.Upload) error {
		patch := catalog.Patch{Title: catalog.Null[string](), Images: catalog.Set([]catalog.NewImage{{Upload: up}, {Upload: up}})}
		_, err := c.UpsertInline(t.Context(), acme, "a", patch)
		requireFaults(t, err, map[string]catalog.Code{"title": catalog.CodeValidationFailed})
		return err
	}},
	{"a context that has ended", func(t *testing.T, c *catalog.Catalog, up *catalog.Upload) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Upsert(ctx, acme, "a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: up}})})
		require.ErrorIs(t, err, context.Canceled)
		return err
	}},
}

// An upsert that failed is repeated with the same Upload where its reader can
// seek: each reads from where the reader stood at first.
func TestUploadsAreReadAgain(t *testing.T) {
	large := pngOf(1, 700, 700) // staged, in several chunks
	for name, data := range map[string][]byte{"small": smallImage, "of two chunks": chunkImage, "large": large} {
		behind := append([]byte("skip"), data...)
		file := filepath.Join(t.TempDir(), "image")
		require.NoError(t, os.WriteFile(file, behind, 0o666))
		f, err := os.Open(file)
		require.NoError(t, err)
		defer f.Close()
		for kind, r := range map[string]io.ReadSeeker{
			"bytes": bytes.NewReader(behind), "file": f, "section": io.NewSectionReader(f, 0, int64(len(behind))),
		} {
			_, err := r.Seek(int64(len("skip")), io.SeekStart)
			require.NoError(t, err)
			w := memoryWorld(t)
			up := catalog.NewUpload(r)
			for _, failing := range failingUpserts {
				require.Error(t, failing.do(t, w.c(), up), "%s %s: %s", name, kind, failing.name)
			}
			w.upsert("a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: up}})})
			w.requireBytes(data, "a", 0)
			many := w.c().UpsertMany(t.Context(), acme, []catalog.UpsertItem{
				{ExternalID: "b", Patch: catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: up}})}},
				{ExternalID: "c", Patch: catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: up}})}},
			})
			require.NoError(t, errors.Join(many[0].Err, many[1].Err), "a success does not spend it either")
			w.requireBytes(data, "b", 0)
			w.requireBytes(data, "c", 0)
			w.requireStored(3, 3)
		}
	}
}

// seeksNowhere is a reader whose Seek succeeds and does nothing, as that of some
// devices.
type seeksNowhere struct{ io.Reader }

func (seeksNowhere) Seek(int64, int) (int64, error) { return 0, nil }

// seeksOnce is a reader that tells its position and can't change it.
type seeksOnce struct{ *bytes.Reader }

func (s seeksOnce) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent {
		return 0, errors.New("can't seek")
	}
	return s.Reader.Seek(offset, whence)
}

// Where the reader can't seek, though it be an io.Seeker, the upsert that comes
// second fails with an error that says what to do, is not the client's fault, and
// changes nothing.
func TestUploadsThatAreSpent(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) io.Reader{
		"no seeker":     func(*testing.T) io.Reader { return bytes.NewBuffer(bytes.Clone(chunkImage)) },
		"seeks nowhere": func(*testing.T) io.Reader { return seeksNowhere{bytes.NewReader(chunkImage)} },
		"seeks once":    func(*testing.T) io.Reader { return seeksOnce{bytes.NewReader(chunkImage)} },
		"pipe": func(t *testing.T) io.Reader {
			r, w, err := os.Pipe()
			require.NoError(t, err)
			go func() {
				_, _ = w.Write(chunkImage)
				_ = w.Close()
			}()
			t.Cleanup(func() { _ = r.Close() })
			return r
		},
	} {
		for _, failing := range failingUpserts[:3] {
			w := memoryWorld(t)
			up := catalog.NewUpload(open(t))
			require.Error(t, failing.do(t, w.c(), up), "%s: %s", name, failing.name)
			patch := catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: up}})}
			_, err := w.c().Upsert(t.Context(), acme, "a", patch)
			require.ErrorIs(t, err, catalog.ErrUploadSpent, "%s: %s", name, failing.name)
			var invalid *catalog.ValidationError
			require.False(t, errors.As(err, &invalid), "%s: it is not the input's fault", name)
			many := w.c().UpsertMany(t.Context(), acme, []catalog.UpsertItem{
				{ExternalID: "a", Patch: patch}, {ExternalID: "b", Patch: withImage(catalog.Patch{})},
			})
			require.ErrorIs(t, many[0].Err, catalog.ErrUploadSpent)
			require.NoError(t, many[1].Err)
			w.requireGone("a")
			w.requireStored(1, 0)
		}
	}
}

// An argument of an interface type that holds a nil pointer counts as nil.
func TestTypedNilArguments(t *testing.T) {
	_, err := catalog.Open(t.Context(), (*memory.Store)(nil), nil)
	require.ErrorContains(t, err, "no backend")
	_, err = catalog.Open(t.Context(), backend.Backend(nil), nil)
	require.ErrorContains(t, err, "no backend")
	c, err := catalog.Open(t.Context(), memory.New(nil), &catalog.Options{Clock: (*ttl.ManualClock)(nil)})
	require.NoError(t, err)
	defer c.Close()
	for _, r := range []io.Reader{nil, (*bytes.Reader)(nil), (*bytes.Buffer)(nil), (*os.File)(nil)} {
		_, err = c.Upsert(t.Context(), acme, "a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(r)}})})
		requireFaults(t, err, map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImageInput})
		_, err = c.StageImage(t.Context(), acme, r)
		requireFaults(t, err, map[string]catalog.Code{"": catalog.CodeInvalidImage})
		requireFaults(t, c.InspectUpload(r), map[string]catalog.Code{"": catalog.CodeInvalidImage})
	}
}
