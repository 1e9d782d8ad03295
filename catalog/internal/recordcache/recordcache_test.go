package recordcache

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
)

// wanted has k wanted once, so that the next read of it may fill.
func wanted(c *Cache, k productkey.Key) {
	c.BeforeRead(k)
}

// A record is kept from the second time on that it is read in a while.
func TestTheSecondReadFills(t *testing.T) {
	c := New(1 << 20)
	k := productkey.Of("a", "p")
	require.False(t, c.Fill(k, c.BeforeRead(k), []byte("1")), "wanted once")
	_, ok := c.Get(k)
	require.False(t, ok)
	require.True(t, c.Fill(k, c.BeforeRead(k), []byte("1")))
	record, ok := c.Get(k)
	require.True(t, ok)
	require.Equal(t, "1", string(record))
	require.Positive(t, c.Bytes())
	require.False(t, c.Fill(k, Token{}, []byte("1")), "the zero Token")
}

// What a reader read before or while a writer was at work is never kept.
func TestFillsBesideWriters(t *testing.T) {
	k := productkey.Of("a", "p")
	for name, order := range map[string]func(c *Cache) Token{
		"read, then marked": func(c *Cache) Token {
			token := c.BeforeRead(k)
			c.Mark(k)
			return token
		},
		"read while marked": func(c *Cache) Token {
			c.Mark(k)
			return c.BeforeRead(k)
		},
		"read, then written": func(c *Cache) Token {
			token := c.BeforeRead(k)
			c.Mark(k)
			c.Unmark(k)
			return token
		},
		"read while marked, then written": func(c *Cache) Token {
			c.Mark(k)
			token := c.BeforeRead(k)
			c.Unmark(k)
			return token
		},
		"read between two writers": func(c *Cache) Token {
			c.Mark(k)
			c.Mark(k)
			c.Unmark(k)
			return c.BeforeRead(k)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(1 << 20)
			wanted(c, k)
			require.False(t, c.Fill(k, order(c), []byte("old")))
			_, ok := c.Get(k)
			require.False(t, ok)
		})
	}
}

// A writer takes the entry out before it changes anything, and is told that its
// record is worth being kept.
func TestMark(t *testing.T) {
	c := New(1 << 20)
	k := productkey.Of("a", "p")
	require.False(t, c.Mark(k), "it was not asked for")
	c.Unmark(k)
	require.True(t, c.Mark(k), "wanted for the second time")
	c.Put(k, []byte("1"))
	c.Unmark(k)
	require.True(t, c.Mark(k))
	_, ok := c.Get(k)
	require.False(t, ok)
	c.Put(k, []byte("2"))
	record, ok := c.Get(k)
	require.True(t, ok)
	require.Equal(t, "2", string(record))
	c.Unmark(k)
}

// What is removed leaves the cache, and does not count as wanted.
func TestMarkGone(t *testing.T) {
	c := New(1 << 20)
	k := productkey.Of("a", "p")
	c.MarkGone(k)
	token := c.BeforeRead(k)
	c.Unmark(k)
	require.False(t, token.Fills(), "it is marked, and was not asked for")
	require.True(t, c.Fill(k, c.BeforeRead(k), []byte("1")))
	c.MarkGone(k)
	_, ok := c.Get(k)
	require.False(t, ok)
	require.False(t, c.BeforeRead(k).Fills())
	c.Unmark(k)
	require.True(t, c.BeforeRead(k).Fills())
}

// Under any interleaving of one writer per key with many readers, an entry is
// never older than what was visible before the call of Get.
func TestNeverStale(t *testing.T) {
	const keys, steps = 4, 3000
	c := New(16 << 10)
	var store [keys]atomic.Uint64 // what a read of the store finds
	key := func(i int) productkey.Key { return productkey.Of("a", fmt.Sprint(i)) }
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	for i := range keys {
		writers.Go(func() {
			for n := uint64(1); n <= steps; n++ {
				wanted := c.Mark(key(i))
				store[i].Store(n)
				if wanted && n%2 == 0 {
					c.Put(key(i), fmt.Append(nil, n))
				}
				c.Unmark(key(i))
			}
		})
	}
	for r := range 2 {
		readers.Go(func() {
			for i := r; ; i = (i + 1) % keys {
				select {
				case <-stop:
					return
				default:
				}
				k := key(i)
				least := store[i].Load()
				if record, ok := c.Get(k); ok {
					var n uint64
					if _, err := fmt.Sscan(string(record), &n); err != nil || n < least {
						t.Errorf("key %d: read %q when %d was visible", i, record, least)
						return
					}
					continue
				}
				token := c.BeforeRead(k)
				c.Fill(k, token, fmt.Append(nil, store[i].Load()))
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	for i := range keys {
		if record, ok := c.Get(key(i)); ok {
			require.Equal(t, fmt.Sprint(steps), string(record))
		}
	}
}
