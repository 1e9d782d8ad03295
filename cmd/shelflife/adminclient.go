package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/dump"
	"github.com/shelflife-db/shelflife/httpadapter/admin"
)

// adminClient asks a running server what operators ask.
type adminClient struct {
	base   string
	client http.Client
}

// newAdminClient returns a client of the server whose --admin-addr is given, as a
// URL or as unix:PATH.
func newAdminClient(addr string) (*adminClient, error) {
	transport := &http.Transport{DisableCompression: true, Proxy: nil} // it is on this machine
	c := &adminClient{client: http.Client{Transport: transport}}
	if path, ok := strings.CutPrefix(addr, unixPrefix); ok {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
		c.base = "http://localhost"
		return c, nil
	}
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, fmt.Errorf("--admin %q is neither http://HOST:PORT nor unix:PATH", addr)
	}
	c.base = u.Scheme + "://" + u.Host
	return c, nil
}

// backup has the server write a backup, and compares it as it comes.
func (c *adminClient) backup(ctx context.Context, w io.Writer) (info catalog.BackupInfo, err error) {
	res, err := c.post(ctx, "/backup")
	if err != nil {
		return info, err
	}
	defer func() { _ = res.Body.Close() }()
	failed := &remembering{w: w}
	info.BackupInfo, err = pebble.VerifyBackup(ctx, io.TeeReader(res.Body, failed))
	switch {
	case failed.err != nil:
		return info, failed.err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, pebble.ErrDamagedBackup):
		return info, brokenOff(err)
	case err != nil:
		return info, err
	}
	info.Products, _ = strconv.Atoi(res.Trailer.Get(admin.ProductsTrailer)) // the server's own
	info.Blobs, _ = strconv.Atoi(res.Trailer.Get(admin.BlobsTrailer))
	return info, nil
}

// dump has the server write a dump, and compares it as it comes.
func (c *adminClient) dump(ctx context.Context, w io.Writer) (info dump.Info, err error) {
	res, err := c.post(ctx, "/dump")
	if err != nil {
		return info, err
	}
	defer func() { _ = res.Body.Close() }()
	failed := &remembering{w: w}
	info, err = dump.Verify(ctx, io.TeeReader(res.Body, failed))
	switch {
	case failed.err != nil:
		return info, failed.err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, dump.ErrNotIntact):
		return info, brokenOff(err)
	}
	return info, err
}

// post returns the answer to a request without a body, if the server does what it
// asks for.
func (c *adminClient) post(ctx context.Context, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		return nil, fmt.Errorf("the server can't be asked: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		err := fmt.Errorf("the server refused: %s", reasonOf(res))
		return nil, errors.Join(err, res.Body.Close())
	}
	return res, nil
}

// brokenOff is the error of what a server has begun and not ended.
func brokenOff(err error) error {
	return fmt.Errorf("the server broke it off, and its log says why: %w", err)
}

// remembering is a writer that remembers its first error, to recognize it later.
type remembering struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (r *remembering) Write(p []byte) (int, error) {
	n, err := r.w.Write(p)
	if err != nil && r.err == nil {
		r.err = err
	}
	return n, err
}

// reasonOf returns what a server says of its refusal.
func reasonOf(res *http.Response) string {
	var body struct{ Message, Reason string }
	if json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&body) == nil && body.Message+body.Reason != "" {
		return body.Message + body.Reason
	}
	return res.Status
}
