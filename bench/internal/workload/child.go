package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
)

// childVariable has the process be a killed writer instead of what it is.
const childVariable = "SHELFLIFE_BENCH_KILLED_WRITER"

// killed is what a killed writer does.
type killed struct {
	Config   Config
	Peer     string
	Dir      string
	Products int
	Segment  uint64
	Edits    int
}

// errAlive says that a process could not kill itself.
var errAlive = errors.New("bench: the killed writer lives")

// editAndDie has another process edit products and kill itself with the store
// open.
func (r *run) editAndDie(ctx context.Context, p peer.Peer, dir string, s *dataset.Set) error {
	r.segments++
	job, err := json.Marshal(killed{r.Config, p.Name, dir, s.Len(), r.segments, min(killedEdits, s.Len())})
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var output strings.Builder
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childVariable+"="+string(job))
	cmd.Stdout, cmd.Stderr = &output, &output
	err = cmd.Run()
	if state := cmd.ProcessState; err == nil || state == nil || state.Exited() {
		return errors.Join(errAlive, err, errors.New(output.String()))
	}
	return nil
}

// ChildMain makes a killed writer of a process that was started as one. It
// returns at once, with false, in any other; a program calls it first.
func ChildMain(peers []peer.Peer) bool {
	raw, ok := os.LookupEnv(childVariable)
	if !ok {
		return false
	}
	var job killed
	err := json.Unmarshal([]byte(raw), &job)
	if err == nil {
		err = job.run(peers)
	}
	fmt.Fprintln(os.Stderr, errors.Join(errAlive, err))
	return true
}

// run edits and ends the process. It returns only when something fails.
func (k *killed) run(peers []peer.Peer) error {
	set, err := openSet(&k.Config)
	if err != nil {
		return err
	}
	edits := dataset.NewEdits(set)
	for _, p := range peers {
		if p.Name != k.Peer {
			continue
		}
		ctx := context.Background()
		store, err := p.Open(ctx, k.Dir, peer.Options{Edits: edits, Models: set})
		if err != nil {
			return err
		}
		large := set.Resize(k.Products)
		var buf []byte
		for n := range k.Edits {
			buf = edits.Append(buf[:0], revisionOf(k.Segment, 0, n))
			if err := store.Edit(ctx, large.Key(n*7919%k.Products), buf); err != nil {
				return err
			}
		}
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Kill(); err != nil {
			return err
		}
		select {}
	}
	return fmt.Errorf("bench: no peer %q", k.Peer)
}
