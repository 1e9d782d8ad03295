package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// call is a request to be made, once or more often.
type call struct {
	method, path string // path is escaped, below the base
	query        url.Values
	header       http.Header
	body         body // nil if there is none
	// harmless says that it may be sent again where it may have happened.
	harmless bool
}

// body is what a request brings.
type body interface {
	// open returns a reader of all of it and its length, -1 if that is not known. An
	// error says that it can't be had again.
	open() (r io.ReadCloser, length int64, err error)
	// close returns when nothing is read any more of what open returned.
	close()
}

// send makes a request, again if that is called for, and returns the answer, whose
// body the caller must close. An answer that is none of a success is an error.
// again reports whether an attempt before may have happened.
func (c *Client) send(ctx context.Context, q *call) (res *http.Response, again bool, err error) {
	for attempt := 1; ; attempt++ {
		before := err
		res, err = c.sendOnce(ctx, q)
		if err == nil {
			return res, again, nil
		}
		if errors.Is(err, errBodySpent) {
			return nil, again, cmp.Or(before, err) // why it would have been sent again says more
		}
		var refused *Error
		least := time.Duration(0)
		switch {
		case ctx.Err() != nil:
			return nil, again, err
		case errors.As(err, &refused) && refused.nothingHappened():
			least = refused.RetryAfter
		case refused != nil && !refused.mayHaveHappened(), !q.harmless:
			return nil, again, err
		default:
			again = true
		}
		if attempt >= c.options.Attempts || least > c.options.MaxBackoff {
			return nil, again, err
		}
		if stopped := c.pause(ctx, attempt, least); stopped != nil {
			return nil, again, fmt.Errorf("%w, after %w", stopped, err)
		}
	}
}

// pause waits before the attempt behind the given one, for a while at least.
func (c *Client) pause(ctx context.Context, attempt int, least time.Duration) error {
	longest := c.options.MaxBackoff
	if shift := attempt - 1; shift < 32 {
		longest = min(longest, c.options.Backoff<<shift)
	}
	timer := time.NewTimer(max(least, longest/2+rand.N(longest/2+1)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// sendOnce makes a request. When it returns nothing reads the request's body any
// more, unless the answer is a success.
func (c *Client) sendOnce(ctx context.Context, q *call) (*http.Response, error) {
	r, err := c.request(ctx, q)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(r)
	if err == nil && res.StatusCode/100 == 2 {
		return res, nil
	}
	if err == nil {
		defer drain(res)
		err = readError(res, q.method, q.path)
	}
	if q.body != nil {
		q.body.close()
	}
	return nil, err
}

// request makes the request of one attempt.
func (c *Client) request(ctx context.Context, q *call) (*http.Request, error) {
	target := c.base + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.method, target, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range c.options.Header {
		r.Header[name] = values
	}
	for name, values := range q.header {
		r.Header[name] = values
	}
	if c.options.APIKey != "" {
		r.Header.Set("X-API-Key", c.options.APIKey)
	}
	if q.body != nil {
		r.Body, r.ContentLength, err = q.body.open()
	}
	return r, err
}

// drain reads an answer to its end, so that its connection can be used again.
func drain(res *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // else it is closed
	_ = res.Body.Close()
}
