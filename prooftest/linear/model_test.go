package linear

import (
	"encoding/base64"
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/shelflife-db/shelflife/catalog"
)

type kind int

const (
	advance kind = iota // of the clock
	get
	upsert
	remove
	useRead  // what a use answered
	useTouch // what a use did
	usesSeen // by an answer that shows the product
)

func (k kind) String() string {
	return [...]string{"advance", "get", "upsert", "delete", "use", "touch", "seen"}[k]
}

type condition int

const (
	always condition = iota
	ifVersion
	ifExists
	createOnly
)

// input is an operation. Times are in Unix milliseconds.
type input struct {
	kind   kind
	called int64 // the clock before the call: no operation is judged earlier
	to     int64 // of an advance
	title  string
	days   int  // of an upsert: absentDays or a number
	inline bool // an upsert that is a use too
	cond   condition
	want   string // the version of ifVersion
}

const (
	absentDays = -1
	inlineDays = 15 // of what an inline upsert creates
)

type answer int

const (
	done answer = iota
	notFound
	preconditionFailed
)

// output is how an operation was answered, and the product where it was.
type output struct {
	answer  answer
	outcome catalog.Outcome
	product view
}

// view is what an answer shows of a product.
type view struct {
	version, title    string
	listed            bool
	life              int64 // 0: forever
	updated           int64
	lastUsed, expires int64 // 0: none
}

// state is one product and the clock.
type state struct {
	now            int64
	exists         bool
	version, title string
	listed         bool
	life, anchor   int64
	lastUsed       int64
	updated        int64
}

func (s state) expired(now int64) bool { return !s.exists || s.life != 0 && s.anchor+s.life <= now }

// used is the product after a use.
func (s state) used(at int64) state {
	s.lastUsed, s.anchor = max(s.lastUsed, at), max(s.anchor, at)
	return s
}

func (s state) view() view {
	v := view{version: s.version, title: s.title, listed: s.listed, life: s.life, updated: s.updated, lastUsed: s.lastUsed}
	if s.life != 0 {
		v.expires = s.anchor + s.life
	}
	return v
}

const dayMillis = 24 * 60 * 60 * 1000

// spec is the model of one product. A call reads the clock once, at an instant
// of its own: it may take for live what has expired since the call began, and
// for expired what has by now.
type spec struct {
	// overlay says that uses wait in memory: an answer shows all uses from
	// before the call, but of those during it perhaps not the ones before the
	// edit that it shows. Without it an answer is of one instant.
	overlay bool
}

// shows compares an answer with the state that it is of.
func (m spec) shows(s state, p view) bool {
	v := s.view()
	if m.overlay && p.lastUsed <= v.lastUsed && p.expires <= v.expires {
		v.lastUsed, v.expires = p.lastUsed, p.expires
	}
	return v == p
}

// step reports whether an operation can have been answered so in the state s,
// and returns the state after it.
func (m spec) step(s state, in input, out output) (bool, state) {
	p := out.product
	live := !s.expired(in.called)
	within := func(at int64) bool { return in.called <= at && at <= s.now }
	same := s.exists && incarnation(s.version) == incarnation(p.version)
	switch in.kind {
	case advance:
		s.now = max(s.now, in.to)
		return true, s
	case useTouch:
		// A product that came later under the ID is not meant. The deadline
		// that the use keeps is that of the edit that it shows: one that comes
		// between must have begun a whole lifetime before to matter.
		if same {
			s = s.used(p.lastUsed)
		}
		return !same || live || s.version != p.version, s
	case usesSeen:
		v := s.view()
		return !same || v.lastUsed <= p.lastUsed && (v.life != p.life || v.expires <= p.expires), s
	}
	holds := true
	switch in.cond {
	case ifVersion:
		holds = live && s.version == in.want
	case ifExists:
		holds = live
	case createOnly:
		holds = s.expired(s.now)
	}
	switch {
	case out.answer == preconditionFailed:
		return !m.mustHold(s, in), s
	case out.answer == notFound:
		// A caller that was told so has seen the last of it.
		return s.expired(s.now) && in.kind != upsert, state{now: s.now}
	case !holds:
		return false, s
	}
	switch in.kind {
	case get:
		return live && m.shows(s, p), s
	case remove:
		return live, state{now: s.now}
	case useRead:
		return live && within(p.lastUsed) && m.shows(s.used(p.lastUsed), p), s
	}
	return m.upsert(s, in, out, within)
}

// mustHold reports whether the condition of a call holds whenever the call reads
// the clock.
func (m spec) mustHold(s state, in input) bool {
	live := !s.expired(s.now)
	switch in.cond {
	case ifVersion:
		return live && s.version == in.want
	case ifExists:
		return live
	case createOnly:
		return s.expired(in.called)
	default:
		return true
	}
}

func (m spec) upsert(s state, in input, out output, within func(int64) bool) (bool, state) {
	p := out.product
	at := p.updated
	live := !s.expired(in.called)
	changes := in.title != s.title || in.days != absentDays && int64(in.days)*dayMillis != s.life || !in.inline && !s.listed
	switch out.outcome {
	case catalog.Created:
		if !s.expired(at) || !within(at) {
			return false, s
		}
		s = state{now: s.now, exists: true, version: p.version, title: in.title, listed: !in.inline, anchor: at, updated: at}
		if in.inline {
			s.life = inlineDays * dayMillis
		}
		if in.days != absentDays {
			s.life = int64(in.days) * dayMillis
		}
	case catalog.Edited:
		if !live || !changes || !within(at) || p.version == s.version || incarnation(p.version) != incarnation(s.version) {
			return false, s
		}
		s.version, s.title, s.updated = p.version, in.title, at
		s.listed = s.listed || !in.inline
		if in.days != absentDays {
			s.life = int64(in.days) * dayMillis
		}
		if in.days > 0 {
			s.anchor = max(s.anchor, at)
		}
	case catalog.Unchanged:
		if !live || changes {
			return false, s
		}
		if at = p.expires - s.life; in.days > 0 && at > s.anchor {
			if !within(at) {
				return false, s
			}
			s.anchor = at
		}
	default:
		return false, s
	}
	if in.inline {
		s = s.used(at)
	}
	return m.shows(s, p), s
}

// incarnation is the part of a version that a product keeps for life.
func incarnation(version string) string {
	raw, err := base64.RawURLEncoding.DecodeString(version)
	if err != nil || len(raw) != 16 {
		return version
	}
	return string(raw[:8])
}

// model returns the model of a product whose history begins at start.
func (m spec) model(start int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{now: start} },
		Step: func(s, in, out any) (bool, any) { return m.step(s.(state), in.(input), out.(output)) },
		DescribeOperation: func(in, out any) string {
			return fmt.Sprintf("%v %+v: %+v", in.(input).kind, in, out)
		},
		DescribeState: func(s any) string { return fmt.Sprintf("%+v", s) },
	}
}
