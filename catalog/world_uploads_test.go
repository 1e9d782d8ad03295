package catalog_test

import (
	"bytes"
	"io"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

func upload(data []byte) *catalog.Upload { return catalog.NewUpload(bytes.NewReader(data)) }

// uploads returns a patch with one image for each of the given bytes.
func uploads(images ...[]byte) catalog.Patch {
	list := []catalog.NewImage{}
	for _, data := range images {
		list = append(list, catalog.NewImage{Upload: upload(data)})
	}
	return catalog.Patch{Images: catalog.Set(list)}
}

// bytesOf returns the uploaded bytes of an image.
func (w *world) bytesOf(id string, order int) []byte {
	w.t.Helper()
	r, err := w.c().OpenImage(w.t.Context(), acme, id, order)
	require.NoError(w.t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(w.t, err)
	return data
}

// requireBytes checks the uploaded bytes of an image, without printing them.
func (w *world) requireBytes(want []byte, id string, order int) {
	w.t.Helper()
	require.True(w.t, bytes.Equal(want, w.bytesOf(id, order)), "image %d of %q has other bytes", order, id)
}

// stage takes in bytes for the account.
func (w *world) stage(data []byte) catalog.StagedImage {
	w.t.Helper()
	img, err := w.c().StageImage(w.t.Context(), acme, bytes.NewReader(data))
	require.NoError(w.t, err)
	return img
}
