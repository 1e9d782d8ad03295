package connlimit

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"
)

// What a connection of HTTP/2 sends costs the server something before any handler of
// ours begins, so nothing else here counts it:
//
//   - Header lists that are too long are answered by net/http itself. A stream may be
//     that for 10 KB, each costs what its fields take in memory, and a connection has
//     a hundred at once.
//   - A frame that neither asks for anything nor carries a body, such as a PING, may
//     have 9 bytes, and most are answered: a client that sends nothing else keeps the
//     processors from the others.
//
// So both are metered. A connection that has sent too much of the first is closed. One
// that sends too much of the second is read no faster than the server can bear: it may
// be a proxy's, which many clients share, and of which one takes back what it asks for.

// maxHeaderBacklog is how many bytes of header blocks a connection may send since
// a handler of it began last. A browser's hundred requests at once are far below
// it, also where the handlers are late.
const maxHeaderBacklog = 64 << 10

// A connection may send firstFrames at once, and framesPerSecond in the long run. It
// earns framesPerRequest more when a handler of it begins, and one for each
// bytesPerFrame that the server sends to it, never more than maxFrames at hand:
// clients acknowledge what they read with two frames for each 4 KiB (Go's own) at
// most, and may have megabytes to read when the server has sent all. Beyond that its
// reads wait.
//
// A request that its client takes back counts as framesPerReset: the place of its
// stream is free for the next one at once, but not that of its handler. Frames of a
// body count where they are so small that they cost more than what they carry.
const (
	firstFrames      = 1000
	framesPerSecond  = 500
	framesPerRequest = 4
	framesPerReset   = 8
	bytesPerFrame    = 512
	maxFrames        = 16 << 10 // what 8 MiB earn
	smallData        = 64       // bytes
)

// errHeaderBacklog is what the server reads from a connection beyond maxHeaderBacklog.
var errHeaderBacklog = errors.New("connlimit: header blocks, and no request that can be handled")

// http2Preface is what a connection of HTTP/2 begins with (RFC 9113, section 3.4).
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Types of frames, and what stands before each one's payload: 3 bytes of length, one of type, one of flags, 4 of the stream (RFC
// 9113, sections 4.1 and 6).
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameContinuation = 0x9
	frameHeaderLen    = 9
)

// frameMeter counts what a connection of HTTP/2 sends beside requests that are
// handled and their bodies. read and debt belong to one goroutine at a time; begun and
// wrote may be called by any.
type frameMeter struct {
	headers atomic.Int64 // bytes of header blocks since a handler began
	// credit is what frames may still cost, in bytes that the server would have to
	// send for them; below zero where it sent too many.
	credit atomic.Int64
	paid   time.Duration // until when the credit of time was given

	preface  int  // bytes of it that were seen
	other    bool // the connection does not speak HTTP/2
	header   [frameHeaderLen]byte
	have     int // bytes of header that were seen
	payload  int // bytes of the frame that are to come
	isHeader bool
}

func (m *frameMeter) init(now time.Duration) {
	m.credit.Store(firstFrames * bytesPerFrame)
	m.paid = now
}

// begun says that a handler has begun.
func (m *frameMeter) begun() {
	m.headers.Store(0)
	m.earn(framesPerRequest * bytesPerFrame)
}

// wrote says that the server has sent n bytes.
func (m *frameMeter) wrote(n int) { m.earn(int64(n)) }

func (m *frameMeter) earn(n int64) {
	for {
		old := m.credit.Load()
		sum := min(old+n, maxFrames*bytesPerFrame)
		if sum == old || m.credit.CompareAndSwap(old, sum) {
			return
		}
	}
}

// read takes what was read next. It fails when the connection has sent too much of
// headers.
func (m *frameMeter) read(p []byte) error {
	for ; m.preface < len(http2Preface) && len(p) > 0; p = p[1:] {
		if m.other || p[0] != http2Preface[m.preface] {
			m.other = true
			return nil
		}
		m.preface++
	}
	for len(p) > 0 {
		if m.payload > 0 {
			n := min(m.payload, len(p))
			m.payload -= n
			p = p[n:]
			if m.isHeader && m.headers.Add(int64(n)) > maxHeaderBacklog {
				return errHeaderBacklog
			}
			continue
		}
		n := copy(m.header[m.have:], p)
		m.have += n
		p = p[n:]
		if m.have < frameHeaderLen {
			break
		}
		m.have = 0
		m.frame()
	}
	return nil
}

// frame takes a frame whose header has been read.
func (m *frameMeter) frame() {
	m.payload = int(binary.BigEndian.Uint32(m.header[:]) >> 8)
	kind := m.header[3]
	m.isHeader = kind == frameHeaders || kind == frameContinuation
	switch {
	case kind == frameData && m.payload >= smallData:
	case kind == frameReset:
		m.credit.Add(-framesPerReset * bytesPerFrame)
	default:
		m.credit.Add(-bytesPerFrame)
	}
}

// debt returns how long the connection has to wait at the time now, of a monotonic
// clock, for having sent too many frames.
func (m *frameMeter) debt(now time.Duration) time.Duration {
	const perFrame = time.Second / framesPerSecond
	if frames := (now - m.paid) / perFrame; frames > 0 {
		m.paid += frames * perFrame
		m.earn(int64(min(frames, maxFrames)) * bytesPerFrame)
	}
	if credit := m.credit.Load(); credit < 0 {
		return time.Duration(-credit/bytesPerFrame+1) * perFrame
	}
	return 0
}
