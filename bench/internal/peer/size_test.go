package peer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/encoding"
)

func TestRecordsAreOfTheIntendedSize(t *testing.T) {
	s := dataset.New(5000, 1)
	total := 0
	for i := range s.Len() {
		p := s.Product(i)
		total += len(encoding.AppendRecord(nil, peer.NewRecord(&p, 0)))
	}
	require.InDelta(t, 1100, float64(total)/float64(s.Len()), 100)
}

func TestRecordsKeepProducts(t *testing.T) {
	want := dataset.New(10, 1).Product(3)
	r := peer.NewRecord(&want, 1000)
	got, err := peer.ProductOf(r)
	require.NoError(t, err)
	require.NoError(t, dataset.Same(&want, &got))
	require.False(t, got.Used)
	peer.Used(r, 2000)
	got, err = peer.ProductOf(r)
	require.NoError(t, err)
	require.True(t, got.Used)
	_, err = peer.ProductOf(nil)
	require.Error(t, err)
	_, err = peer.ProductsOf(3)
	require.Error(t, err)
}

func TestLive(t *testing.T) {
	p := dataset.New(10, 1).Mortal("m").Product(3)
	r := peer.NewRecord(&p, 1000)
	end := 1000 + peer.Day.Milliseconds()
	require.True(t, peer.Live(r, end-1))
	require.False(t, peer.Live(r, end))
}
