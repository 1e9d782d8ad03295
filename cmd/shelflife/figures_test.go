package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// figuresVariable makes the test binary a server that reports what it uses: a
// line of figures on its standard output for each line on its input.
const figuresVariable = "SHELFLIFE_TEST_FIGURES"

// figures are what a process uses.
type figures struct {
	Goroutines int
	Heap       uint64 // in use, after a collection
	Memory     uint64 // of the operating system
	Peak       uint64 // resident memory so far, 0 where that is not known
	Files      int    // open, -1 where that is not known
}

func (f figures) String() string {
	return fmt.Sprintf("%d goroutines, %d MiB of heap, %d MiB in all, %d MiB resident at the peak, %d open files",
		f.Goroutines, f.Heap>>20, f.Memory>>20, f.Peak>>20, f.Files)
}

func serveWithFigures() int {
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			f := figures{Memory: m.Sys - m.HeapReleased, Peak: peakMemory(), Files: openFiles()}
			debug.FreeOSMemory()
			runtime.ReadMemStats(&m)
			f.Heap, f.Goroutines = m.HeapInuse, runtime.NumGoroutine()
			line, err := json.Marshal(f)
			if err != nil {
				panic(err) // of numbers
			}
			fmt.Println(string(line))
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdin, io.Discard, os.Stderr)
}

// openFiles counts the open files of this process.
func openFiles() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(names) - 1
}

// peakMemory returns the most memory that this process has had.
func peakMemory() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	var kib uint64
	if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
		_, _ = fmt.Sscan(after, &kib)
	}
	return kib << 10
}

// measured is a server of which the figures are known.
type measured struct {
	*server
	ask    io.Writer
	answer *bufio.Scanner
}

func startMeasured(t *testing.T, args ...string) *measured {
	path, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(path, serveArgs(args)...)
	cmd.Env = append(os.Environ(), figuresVariable+"=1")
	ask, err := cmd.StdinPipe()
	require.NoError(t, err)
	answer, err := cmd.StdoutPipe()
	require.NoError(t, err)
	return &measured{server: startCommand(t, cmd), ask: ask, answer: bufio.NewScanner(answer)}
}

func (m *measured) figures() (f figures) {
	m.t.Helper()
	_, err := io.WriteString(m.ask, "\n")
	require.NoError(m.t, err)
	require.True(m.t, m.answer.Scan(), "%v: %q", m.answer.Err(), m.logged())
	require.NoError(m.t, json.Unmarshal(m.answer.Bytes(), &f))
	return f
}
