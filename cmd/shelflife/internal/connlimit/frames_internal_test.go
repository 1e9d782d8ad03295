package connlimit

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// What frames cost, what gives credit, and how long one waits that has none.
func TestFrameMeter(t *testing.T) {
	for name, tt := range map[string]struct {
		write func(f *http2.Framer) error
		cost  int // frames
	}{
		"PING":          {func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) }, 1},
		"SETTINGS":      {func(f *http2.Framer) error { return f.WriteSettings() }, 1},
		"PRIORITY":      {func(f *http2.Framer) error { return f.WritePriority(1, http2.PriorityParam{}) }, 1},
		"WINDOW_UPDATE": {func(f *http2.Framer) error { return f.WriteWindowUpdate(0, 1) }, 1},
		"HEADERS": {func(f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true})
		}, 1},
		"CONTINUATION": {func(f *http2.Framer) error { return f.WriteContinuation(1, true, nil) }, 1},
		"RST_STREAM":   {func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCodeCancel) }, 8},
		"empty DATA":   {func(f *http2.Framer) error { return f.WriteData(1, false, nil) }, 1},
		"small DATA":   {func(f *http2.Framer) error { return f.WriteData(1, false, make([]byte, 63)) }, 1},
		"DATA":         {func(f *http2.Framer) error { return f.WriteData(1, false, make([]byte, 64)) }, 0},
		"unknown":      {func(f *http2.Framer) error { return f.WriteRawFrame(0xbb, 0, 0, []byte("x")) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var m frameMeter
			m.init(time.Hour)
			text := bytes.NewBufferString(http2.ClientPreface)
			require.NoError(t, tt.write(http2.NewFramer(text, nil)))
			require.NoError(t, m.read(text.Bytes()))
			require.Equal(t, int64(firstFrames-tt.cost)*bytesPerFrame, m.credit.Load())
		})
	}
}

// A connection that has nothing left waits for time, for answers, or for requests.
func TestFrameCredit(t *testing.T) {
	var m frameMeter
	m.init(time.Hour)
	pings := func(n int) {
		text := new(bytes.Buffer)
		if m.preface == 0 {
			text.WriteString(http2.ClientPreface)
		}
		for range n {
			require.NoError(t, http2.NewFramer(text, nil).WritePing(false, [8]byte{}))
		}
		for text.Len() > 0 {
			require.NoError(t, m.read(text.Next(7))) // however it comes
		}
	}
	pings(1000)
	require.Zero(t, m.debt(time.Hour))
	pings(500)
	require.InDelta(t, time.Second, m.debt(time.Hour), float64(5*time.Millisecond))
	require.InDelta(t, time.Second/2, m.debt(time.Hour+time.Second/2), float64(5*time.Millisecond))
	m.wrote(200 * bytesPerFrame)
	require.InDelta(t, time.Second/10, m.debt(time.Hour+time.Second/2), float64(5*time.Millisecond))
	for range 13 {
		m.begun()
	}
	require.Zero(t, m.debt(time.Hour+time.Second/2))
	// However long it was quiet, it has no more than this at hand.
	require.Zero(t, m.debt(100*time.Hour))
	pings(maxFrames)
	require.Zero(t, m.debt(100*time.Hour))
	pings(1)
	require.NotZero(t, m.debt(100*time.Hour))
}
