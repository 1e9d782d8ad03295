package pebble_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

const shop = "shop"

// roomMark is a string that is found in files unless it was compressed.
func roomMark(what string, i int) string {
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, what, i)))[:24]
}

var roomFields = []string{"title", "description", "metadata", "url", "image"}

// roomPatch makes a product that is marked in all that it consists of, with an
// image of so many bytes.
func roomPatch(t testing.TB, i, size int) catalog.Patch {
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))))
	rest := make([]byte, size)
	rng := rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, i)))
	_, err := rng.Read(rest)
	require.NoError(t, err)
	picture.Write(append(rest, roomMark("image", i)...))
	return catalog.Patch{
		Title: catalog.Set(roomMark("title", i)), Description: catalog.Set(roomMark("description", i)),
		Metadata: catalog.Set(json.RawMessage(fmt.Sprintf("%q", roomMark("metadata", i)))),
		Images: catalog.Set([]catalog.NewImage{
			{URL: "https://cdn.example/" + roomMark("url", i)}, {Upload: catalog.NewUpload(bytes.NewReader(picture.Bytes()))},
		}),
	}
}

// storedIn returns how many bytes the files in a store's folder have, and how many
// of the marks of the products from one to another are in them. It may miss what
// moves from one file to another meanwhile.
func storedIn(t testing.TB, dir string, from, to int) (size int64, found int) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if os.IsNotExist(err) {
			continue // Pebble was faster
		}
		require.NoError(t, err)
		size += int64(len(data))
		for i := from; i < to; i++ {
			for _, f := range roomFields {
				found += bytes.Count(data, []byte(roomMark(f, i)))
			}
		}
	}
	return size, found
}

// TestRoomAndErasureOfAnOpenStore: what the contract promises of deleted products
// holds for the files of a store that is open, in which nothing else happens: room
// ten minutes after a substantial removal and its grace, erasure a day after.
func TestRoomAndErasureOfAnOpenStore(t *testing.T) {
	const (
		mib   = 1 << 20
		image = 2 * mib
		all   = 60
		live  = 4
		last  = live + 4 // of those that are looked for, since looking takes long
	)
	dir, clock, tick := t.TempDir(), ttl.NewManualClock(time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)), make(chan time.Time)
	o := &pebble.Options{DiskReserve: -1}
	o.SetTick(tick)
	engine, err := pebble.Open(t.Context(), dir, o)
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), engine, &catalog.Options{Clock: clock, Durability: catalog.Buffered})
	require.NoError(t, err)
	now := clock.Now()
	pass := func(d time.Duration) {
		now = now.Add(d)
		tick <- now
	}
	eventually := func(ok func() bool) {
		t.Helper()
		require.Eventually(t, func() bool { pass(time.Millisecond); return ok() }, 2*time.Minute, 50*time.Millisecond)
	}
	pass(0)
	for i := range all {
		_, err := c.Upsert(t.Context(), shop, fmt.Sprint(i), roomPatch(t, i, image))
		require.NoError(t, err)
	}
	var before int64
	eventually(func() (ok bool) {
		var marks int
		before, marks = storedIn(t, dir, live, last)
		return marks > 0 && before > int64(all*image)*9/10
	})

	for i := live; i < all; i++ {
		require.NoError(t, c.Delete(t.Context(), shop, fmt.Sprint(i)))
	}
	clock.Advance(16 * time.Minute) // the images' grace
	_, err = c.Sweep(t.Context())
	require.NoError(t, err)
	removed := now
	pass(time.Second)
	pass(2*time.Minute + time.Second)
	bound := int64(live*image)*3/2 + 64*mib
	require.Greater(t, before, bound+20*mib)
	eventually(func() bool { size, _ := storedIn(t, dir, 0, 0); return size <= bound })
	require.Less(t, now.Sub(removed), 10*time.Minute)

	pass(18 * time.Hour)
	eventually(func() bool { _, found := storedIn(t, dir, live, last); return found == 0 })
	_, found := storedIn(t, dir, live, last)
	require.Zero(t, found)
	require.Less(t, now.Sub(removed), 24*time.Hour)
	eventually(func() bool { _, found := storedIn(t, dir, 0, live); return found > 0 }) // what lives
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.NoError(t, c.Close())
}
