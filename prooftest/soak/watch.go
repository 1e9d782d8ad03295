package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// sample is what the process uses at one instant.
type sample struct {
	memory, disk      int64 // bytes
	goroutines, files int64
}

// watch takes samples until ctx is done and prints one a minute.
func watch(ctx context.Context, dir string, callers []*caller) ([]sample, error) {
	var samples []sample
	begin := time.Now()
	tick := time.NewTicker(*length / 400)
	defer tick.Stop()
	printed := begin
	for {
		select {
		case <-ctx.Done():
			return samples, nil
		case <-tick.C:
		}
		s, err := take(dir)
		if err != nil {
			return nil, err
		}
		samples = append(samples, s)
		if now := time.Now(); now.Sub(printed) >= min(time.Minute, *length/10) {
			printed = now
			calls := 0
			for _, l := range merged(callers) {
				calls += l.total
			}
			fmt.Printf("%6v: %d calls, %d MiB of memory, %d goroutines, %d open files, %d MiB on disk\n",
				now.Sub(begin).Round(time.Second), calls, s.memory>>20, s.goroutines, s.files, s.disk>>20)
		}
	}
}

func take(dir string) (s sample, err error) {
	s.goroutines = int64(runtime.NumGoroutine())
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		var size, resident int64
		if _, err := fmt.Sscan(string(statm), &size, &resident); err == nil {
			s.memory = resident * int64(os.Getpagesize())
		}
	}
	if names, err := os.ReadDir("/proc/self/fd"); err == nil {
		s.files = int64(len(names))
	}
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				s.disk += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was removed meanwhile
		}
		return err
	})
	return s, err
}

// flat compares the medians of the second and the last quarter.
func flat(samples []sample) error {
	quarter := len(samples) / 4
	if quarter == 0 {
		return errors.New("too short a run to say anything")
	}
	var err error
	for _, f := range []struct {
		name  string
		of    func(sample) int64
		slack int64 // beside a quarter more
	}{
		{"memory", func(s sample) int64 { return s.memory }, 16 << 20},
		{"disk", func(s sample) int64 { return s.disk }, 32 << 20},
		{"goroutines", func(s sample) int64 { return s.goroutines }, 10},
		{"open files", func(s sample) int64 { return s.files }, 20},
	} {
		median := func(part []sample) int64 {
			values := make([]int64, len(part))
			for i, s := range part {
				values[i] = f.of(s)
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		before, after := median(samples[quarter:2*quarter]), median(samples[3*quarter:])
		fmt.Printf("%s: median %d in the second quarter, %d in the last\n", f.name, before, after)
		if after > before+before/4+f.slack {
			err = errors.Join(err, fmt.Errorf("%s has grown from %d to %d", f.name, before, after))
		}
	}
	return err
}
