package linear

import (
	"encoding/base64"
	"fmt"
	"slices"

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
	touch    // what a touch answered
	touched  // what it did
)

func (k kind) String() string {
	return [...]string{"advance", "get", "upsert", "delete", "use", "used", "seen", "touch", "touched"}[k]
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
	to     int64 // of an advance; of a touch the clock when it had answered
	client int   // of a touch
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
	kept    bool // the outcome is not known, but that the product was there
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
	// touching are the touches that have answered, and will do what they do.
	touching [clients]touching
}

// touching is a touch of a product as it was at a version, at a time.
type touching struct {
	version string
	at      int64
}

// gone is the state without the product.
func (s state) gone() state { return state{now: s.now, touching: s.touching} }

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
	// times are those that the clock showed, in order. A touch does not tell when it
	// was, so it may have been at each of them that lies within.
	times []int64
}

// shows compares an answer with the state that it is of.
func (m spec) shows(s state, p view) bool {
	v := s.view()
	if m.overlay && p.lastUsed <= v.lastUsed && p.expires <= v.expires {
		v.lastUsed, v.expires = p.lastUsed, p.expires
	}
	return v == p
}

// steps returns the states that may follow an operation, none if it can't have been
// answered so in the state s.
func (m spec) steps(s state, in input, out output) (next []state) {
	switch {
	case in.kind == touched:
		t := s.touching[in.client]
		if t.version == "" {
			return nil // it has not answered yet
		}
		s.touching[in.client] = touching{}
		ok, after := m.used(s, in, view{version: t.version, lastUsed: t.at})
		if !ok {
			return nil
		}
		return []state{after}
	case in.kind == upsert && out.answer == done && out.kept:
		for _, out.outcome = range []catalog.Outcome{catalog.Edited, catalog.Unchanged} {
			if ok, after := m.step(s, in, out); ok {
				next = append(next, after)
			}
		}
		return next
	case in.kind != touch || out.answer != done:
		if ok, after := m.step(s, in, out); ok {
			return []state{after}
		}
		return nil
	}
	if s.expired(in.called) {
		return nil
	}
	first, _ := slices.BinarySearch(m.times, in.called)
	for _, at := range m.times[first:] {
		if at > min(s.now, in.to) {
			break
		}
		got, want := out.product.expires, s.used(at).view().expires
		if got == want || m.overlay && s.life != 0 && at+s.life <= got && got <= want {
			after := s
			after.touching[in.client] = touching{s.version, at}
			next = append(next, after)
		}
	}
	return next
}

// used is what a use did of the product that it showed.
func (m spec) used(s state, in input, p view) (bool, state) {
	same := s.exists && incarnation(s.version) == incarnation(p.version)
	live := !s.expired(in.called)
	// A product that came later under the ID is not meant. The deadline
	// that the use keeps is that of the edit that it shows: one that comes
	// between must have begun a whole lifetime before to matter.
	if same {
		s = s.used(p.lastUsed)
	}
	return !same || live || s.version != p.version, s
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
		return m.used(s, in, p)
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
		return s.expired(s.now) && in.kind != upsert, s.gone()
	case !holds:
		return false, s
	}
	switch in.kind {
	case get:
		return live && m.shows(s, p), s
	case remove:
		return live, s.gone()
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
		s = state{
			now: s.now, exists: true, version: p.version, title: in.title, listed: !in.inline, anchor: at, updated: at,
			touching: s.touching,
		}
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
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{now: start}} },
		Step: func(s, in, out any) (next []any) {
			for _, after := range m.steps(s.(state), in.(input), out.(output)) {
				next = append(next, after)
			}
			return next
		},
		DescribeOperation: func(in, out any) string {
			return fmt.Sprintf("%v %+v: %+v", in.(input).kind, in, out)
		},
		DescribeState: func(s any) string { return fmt.Sprintf("%+v", s) },
	}
	return model.ToModel()
}
