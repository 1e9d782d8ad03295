package dashboard

import (
	"fmt"
	"strconv"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
)

// lifetime is how a product's lifetime is shown.
type lifetime struct {
	Days    int // 0: kept forever
	Expires time.Time
	Left    string  // in words
	Percent float64 // of the lifetime, still ahead
	Tone    string  // calm, soon or last
}

// ExpiresMS and SpanMS are for the script that counts down.
func (l lifetime) ExpiresMS() int64 { return l.Expires.UnixMilli() }

// SpanMS is the whole lifetime in milliseconds.
func (l lifetime) SpanMS() int64 { return int64(l.Days) * 24 * time.Hour.Milliseconds() }

// Bar is the length of the bar, of 100.
func (l lifetime) Bar() string { return strconv.FormatFloat(l.Percent, 'f', 1, 64) }

// When a lifetime is shown as one that ends soon, and as one that ends next.
const (
	soonDays = 7
	soon     = soonDays * 24 * time.Hour
	last     = 24 * time.Hour
)

func newLifetime(p *catalog.Product, now time.Time) lifetime {
	if p.ValidForDays == 0 {
		return lifetime{Left: "Kept forever"}
	}
	l := lifetime{Days: p.ValidForDays, Expires: p.ExpiresAt, Tone: "calm"}
	left := max(p.ExpiresAt.Sub(now), 0)
	l.Left = timeLeft(left)
	l.Percent = min(100*left.Seconds()/(time.Duration(p.ValidForDays)*24*time.Hour).Seconds(), 100)
	switch {
	case left < last:
		l.Tone = "last"
	case left < soon:
		l.Tone = "soon"
	}
	return l
}

// timeLeft says how long d is, rounded down. The script has the same words.
func timeLeft(d time.Duration) string {
	switch {
	case d <= 0:
		return "Expired"
	case d >= 48*time.Hour:
		return count(int(d/(24*time.Hour)), "day") + " left"
	case d >= 2*time.Hour:
		return count(int(d/time.Hour), "hour") + " left"
	case d >= 2*time.Minute:
		return count(int(d/time.Minute), "minute") + " left"
	}
	return count(int(d/time.Second), "second") + " left"
}

// ago says how long before now t was.
func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute") + " ago"
	case d < 24*time.Hour:
		return count(int(d/time.Hour), "hour") + " ago"
	case d < 60*24*time.Hour:
		return count(int(d/(24*time.Hour)), "day") + " ago"
	}
	return t.UTC().Format("2 January 2006")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// moment is a time as pages show it.
type moment struct {
	Time time.Time
	Ago  string
}

func newMoment(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	return moment{Time: t, Ago: ago(t, now)}
}

// Known reports whether there is such a time.
func (m moment) Known() bool { return !m.Time.IsZero() }

// Machine is the form for the datetime attribute.
func (m moment) Machine() string { return m.Time.UTC().Format("2006-01-02T15:04:05.000Z") }

// Exact is the whole time in words.
func (m moment) Exact() string { return m.Time.UTC().Format("2 January 2006, 15:04:05 UTC") }
