package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

// notify sends a state to systemd, or to what else started the process and listens:
// "READY=1" when it serves, "STOPPING=1" when it ends. Without a listener it does
// nothing. The protocol is that of sd_notify(3).
func notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if path[0] != '@' && path[0] != '/' {
		return fmt.Errorf("NOTIFY_SOCKET %q is not the name of a Unix socket", path)
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	_, err = c.Write([]byte(state))
	return errors.Join(err, c.Close())
}

// firstPassed is the number of the first file that is passed, by sd_listen_fds(3).
const firstPassed = 3

// passedListener returns the socket that the process was started with, nil if there is
// none. It stays open where it came from, so that connections wait while the process is
// replaced by another.
func passedListener() (net.Listener, error) {
	pid, n := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	if n == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil // it is for another process, or nothing was passed
	}
	if n != "1" {
		return nil, fmt.Errorf("%s sockets were passed (LISTEN_FDS), and there is use for one", n)
	}
	f := os.NewFile(firstPassed, "the socket that was passed")
	if f == nil {
		return nil, errors.New("the socket that should have been passed (LISTEN_FDS) is not there")
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("what was passed (LISTEN_FDS) is no socket that listens: %w", err), f.Close())
	}
	return l, f.Close()
}
