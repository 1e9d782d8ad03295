package report

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// Table writes a run as text: the machine, what each workload measured, the
// goals.
func Table(w io.Writer, r *result.Run) error {
	var b bytes.Buffer
	m := r.Machine
	fmt.Fprintf(&b, "%s, %d cores (GOMAXPROCS %d), %d MiB, %s %s, %s, append and sync of 4 KiB %.0f µs\n",
		m.CPU, m.Cores, m.GOMAXPROCS, m.MemoryMiB, m.OS, m.Kernel, m.Go, m.SyncMicros)
	fmt.Fprintf(&b, "%s run, begun %s, took %.0f s\n", r.Mode, r.Started.Format("2006-01-02 15:04 MST"), r.Seconds)
	for _, p := range r.Peers {
		fmt.Fprintf(&b, "  %s (%s %s): %s\n", p.Name, p.Module, p.Version, p.About)
	}
	fmt.Fprintln(&b, "\n± is half the distance between the best and the worst round; × is how many times better Shelflife is.")
	for _, w := range r.Workloads {
		if err := workloadTable(&b, r, w); err != nil {
			return err
		}
	}
	if err := goalTable(&b, r.Goals); err != nil {
		return err
	}
	_, err := b.WriteTo(w)
	return err
}

func workloadTable(b *bytes.Buffer, r *result.Run, w result.Workload) error {
	fmt.Fprintf(b, "\n%s (%s)\n", w.Title, w.Name)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\t%s\t±\tp50 µs\tp99 µs\tallocs\tB\t×\t\n", w.Unit)
	for _, m := range r.On(w.Name) {
		fmt.Fprintf(t, "%s\t%s\t%.0f %%\t%s\t%s\t%s\t%s\t%s\t\n",
			m.Peer, number(m.Value.Median), 100*m.Value.Relative(),
			median(m.P50), median(m.P99), median(m.Allocs), median(m.AllocBytes), advantage(r, w, m))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, g := range r.Gaps {
		if g.Workload == w.Name {
			fmt.Fprintf(b, "  %s: %s\n", g.Peer, g.Reason)
		}
	}
	return nil
}

func median(s *measure.Spread) string {
	if s == nil {
		return ""
	}
	return number(s.Median)
}

// advantage compares Shelflife with a peer: above one it is the better.
func advantage(r *result.Run, w result.Workload, m result.Measurement) string {
	for _, own := range []string{library, libraryWeb} {
		o := r.Find(w.Name, own)
		if o == nil || m.Peer == own {
			continue
		}
		v := o.Value.Median / m.Value.Median
		if w.LowerIsBetter {
			v = 1 / v
		}
		return number(v)
	}
	return ""
}

func goalTable(b *bytes.Buffer, goals []result.Goal) error {
	met := 0
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(b, "\nGoals\n")
	for _, g := range goals {
		figure := "-"
		if g.State != NotMeasured {
			figure = number(g.Figure)
		}
		if g.State == Met {
			met++
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", g.State, figure, g.Want, g.Text, g.Detail)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(b, "%d of %d met\n", met, len(goals))
	return nil
}
