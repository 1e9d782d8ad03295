package report

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// charted are the workloads that the chart shows.
var charted = []string{
	"get-zipf", "get-uniform", "page-50", "use-buffered",
	"edit-durable-1", "edit-durable-16", "edit-durable-64", "edit-buffered-16",
	"sweep", "disk", "http-get", "http-post",
}

// The sizes of the chart, in pixels.
const (
	chartWidth  = 900
	panelGap    = 28
	panelWidth  = (chartWidth - 3*panelGap) / 2
	rowHeight   = 18
	titleHeight = 26
	nameWidth   = 104
	valueWidth  = 84
	barsWidth   = panelWidth - nameWidth - valueWidth
	headHeight  = 64
)

const style = `
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .head { font-size: 18px; font-weight: 600; }
  .title { font-size: 13px; font-weight: 600; }
  .note, .unit { fill: #59636e; font-weight: 400; }
  .own { fill: #0969da; } .floor { fill: #afb8c1; } .peer { fill: #d4a72c; }
  text.bold { font-weight: 600; }
  .rule { stroke: #d1d9e0; }
  .card { fill: #ffffff; stroke: #d1d9e0; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .note, .unit { fill: #9198a1; }
    .own { fill: #4493f8; } .floor { fill: #656c76; } .peer { fill: #9e6a03; }
    .rule { stroke: #3d444d; }
    .card { fill: #0d1117; stroke: #3d444d; }
  }
`

// Chart writes the headline workloads of a run as an SVG image: a panel of bars
// for each, as long as their values. It brings its background: the page around
// it may be light where the viewer's system is dark.
func Chart(w io.Writer, r *result.Run) error {
	var panels []panel
	for _, name := range charted {
		if p := newPanel(r, name); len(p.bars) > 0 {
			panels = append(panels, p)
		}
	}
	var body bytes.Buffer
	y := headHeight
	for row := range slices.Chunk(panels, 2) {
		height := 0
		for i, p := range row {
			p.draw(&body, panelGap+i*(panelWidth+panelGap), y)
			height = max(height, p.height())
		}
		y += height + panelGap/2
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Shelflife beside its floor and its peers">`+"\n<style>%s</style>\n",
		chartWidth, y+2*rowHeight, style)
	fmt.Fprintf(&b, `<rect class="card" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>`+"\n", chartWidth-1, y+2*rowHeight-1)
	fmt.Fprintf(&b, `<text class="head" x="%d" y="30">Shelflife beside its floor and its peers</text>`+"\n", panelGap)
	legend(&b, 50)
	body.WriteTo(&b)
	fmt.Fprintf(&b, `<text class="note" x="%d" y="%d">%s</text>`+"\n</svg>\n", panelGap, y+rowHeight, html.EscapeString(footer(r)))
	_, err := b.WriteTo(w)
	return err
}

func footer(r *result.Run) string {
	m := r.Machine
	return fmt.Sprintf("%s, %d cores, %s, %s, %s run of %s; medians", m.CPU, m.Cores, m.OS, m.Go, r.Mode, r.Started.Format("2006-01-02"))
}

func legend(b *bytes.Buffer, y int) {
	x := panelGap
	for _, l := range []struct{ class, text string }{
		{"own", "Shelflife"}, {"floor", "floor: raw Pebble, bare net/http"}, {"peer", "peers; longer is better unless it says otherwise"},
	} {
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="10" height="10" rx="2"/><text class="note" x="%d" y="%d">%s</text>`+"\n",
			l.class, x, y-9, x+15, y, l.text)
		x += 40 + 7*len(l.text)
	}
}

// panel is the bars of one workload.
type panel struct {
	workload result.Workload
	bars     []bar
	longest  float64
}

type bar struct {
	peer, class string
	value       float64
}

func newPanel(r *result.Run, name string) panel {
	var p panel
	for _, w := range r.Workloads {
		if w.Name == name {
			p.workload = w
		}
	}
	for _, m := range r.On(name) {
		class := "peer"
		switch {
		case m.Peer == uncached:
			continue
		case strings.HasPrefix(m.Peer, library):
			class = "own"
		case m.Peer == floor || m.Peer == floorWeb:
			class = "floor"
		}
		p.bars = append(p.bars, bar{m.Peer, class, m.Value.Median})
		p.longest = max(p.longest, m.Value.Median)
	}
	return p
}

func (p panel) height() int { return titleHeight + len(p.bars)*rowHeight }

func (p panel) draw(b *bytes.Buffer, x, y int) {
	unit := p.workload.Unit
	if p.workload.LowerIsBetter {
		unit += ", less is better"
	}
	fmt.Fprintf(b, `<line class="rule" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", x, y, x+panelWidth, y)
	fmt.Fprintf(b, `<text class="title" x="%d" y="%d">%s <tspan class="unit">%s</tspan></text>`+"\n",
		x, y+17, html.EscapeString(p.workload.Title), html.EscapeString(unit))
	for i, bar := range p.bars {
		top := y + titleHeight + i*rowHeight
		length := max(1, int(bar.value/p.longest*barsWidth))
		weight := ""
		if bar.class == "own" {
			weight = ` class="bold"`
		}
		fmt.Fprintf(b, `<text%s x="%d" y="%d">%s</text><rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="2"/><text%s x="%d" y="%d">%s</text>`+"\n",
			weight, x, top+12, html.EscapeString(strings.TrimSuffix(bar.peer, "-http")),
			bar.class, x+nameWidth, top+2, length, rowHeight-5,
			weight, x+nameWidth+length+6, top+12, number(bar.value))
	}
}
