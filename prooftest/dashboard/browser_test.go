package dashboard

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/ttl"
)

const (
	// requireChromium makes these tests fail where they would be skipped.
	requireChromium = "SHELFLIFE_REQUIRE_CHROMIUM"
	screenshots     = "SHELFLIFE_SCREENSHOTS"
	// patience ends what never comes.
	patience = 2 * time.Minute
)

// chromium is the browser of all tests, which each have profiles of their own in it.
var chromium struct {
	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if chromium.cancel != nil {
		_ = chromedp.Cancel(chromium.ctx)
		chromium.cancel()
	}
	os.Exit(code)
}

func startChromium(t *testing.T) context.Context {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		if os.Getenv(requireChromium) != "" {
			require.FailNow(t, "chromium is not installed, and "+requireChromium+" is set")
		}
		t.Skip("skipped: chromium is not installed (Debian package chromium)")
	}
	chromium.once.Do(func() {
		// The sandbox is off because CI is root, which Chromium does not run in one for;
		// what is looked at is our own.
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("hide-scrollbars", true))
		allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, _ := chromedp.NewContext(allocator)
		chromium.ctx, chromium.cancel = ctx, cancel
		chromium.err = chromedp.Do(ctx)
	})
	require.NoError(t, chromium.err)
	return chromium.ctx
}

// tab is a tab of a fresh browser.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex // guards faults
	faults []string   // what the browser complained of: violations of the policy, errors of scripts
}

// look is how a tab looks at pages.
type look struct {
	width, height int64
	dark          bool
	noScript      bool
}

var (
	desktop = look{width: 1280, height: 860}
	phone   = look{width: 320, height: 640}
)

func (l look) inDark() look { l.dark = true; return l }

func (l look) withoutScript() look { l.noScript = true; return l }

// open opens a tab; it fails the test at its end if the browser complained.
func open(t *testing.T, l look) *tab {
	t.Helper()
	b := &tab{t: t}
	ctx, cancel := chromedp.NewContext(startChromium(t), chromedp.WithNewBrowserContext(), chromedp.WithListener(b.listen))
	b.ctx = ctx
	t.Cleanup(func() {
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		require.Empty(t, b.faults, "what the browser complained of")
	})
	require.NoError(t, chromedp.Do(ctx)) // without a limit of time, which would be that of the tab
	b.setLook(l)
	return b
}

// listen takes note of complaints.
func (b *tab) listen(e any) {
	switch e := e.(type) {
	case *log.EventEntryAdded:
		// What the network says is about answers that are errors, which tests look at.
		if e.Entry.Source == log.EntrySourceSecurity || e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			b.complain(e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		b.complain(e.ExceptionDetails.Text)
	case *page.EventJavascriptDialogOpening:
		b.complain("a dialog: " + e.Message)
	}
}

func (b *tab) setLook(l look) {
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	b.do(chromedp.EmulateViewport(l.width, l.height),
		call(log.Enable, cdp.Empty{}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.noScript}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
	)
}

// call is a command of the protocol as a step.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (b *tab) complain(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, text)
}

type step = chromedp.Action[chromedp.Void]

// do does steps that stay on the page.
func (b *tab) do(steps ...step) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

// get returns what an action finds.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	require.NoError(b.t, err)
	return v
}

func (b *tab) goTo(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// follow does what leads to another page, and waits until that is there.
func (b *tab) follow(steps ...step) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, steps...)
	require.NoError(b.t, err)
}

// click clicks on what a CSS selector finds, which leads to another page.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.follow(chromedp.Click(chromedp.CSS(selector)))
}

// fill replaces the text of a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SetValue(chromedp.CSS(selector), text))
}

// text returns what a person reads there.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return strings.TrimSpace(get(b, chromedp.Text(chromedp.CSS(selector))))
}

// count returns how many elements a selector finds.
func (b *tab) count(selector string) int {
	b.t.Helper()
	return eval[int](b, `document.querySelectorAll(`+quote(selector)+`).length`)
}

// eval returns the value of a script, which may be a promise.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	return get(b, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// await waits until a script says true. It asks again and again, each time of the
// page that is there: while one page gives way to another there is none, and that
// is no failure.
func (b *tab) await(script string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	clock := ttl.SystemClock()
	for {
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+script+")"))
		if holds && err == nil {
			return
		}
		require.NoError(b.t, ctx.Err(), "%s: %v", script, err)
		pause := clock.NewTimer(20 * time.Millisecond)
		<-pause.C()
	}
}

func quote(text string) string {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err) // of a string
	}
	return string(data)
}

// shoot keeps a picture of the page, all of it, if pictures are wanted.
func (b *tab) shoot(name string, full bool) {
	b.t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	// Images below the fold are lazy.
	eval[int](b, `Promise.all([...document.images].map((i) => { i.loading = "eager"; return i.decode().catch(() => {}) })).then(() => 0)`)
	var data []byte
	if full {
		data = get(b, chromedp.FullScreenshot(100))
	} else {
		data = get(b, chromedp.CaptureScreenshot())
	}
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), data, 0o600))
}
