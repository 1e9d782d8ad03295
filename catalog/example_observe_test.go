package catalog_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

// tracer and span have the part of OpenTelemetry's trace.Tracer and trace.Span that a
// trace of a catalog needs, so that they are easily changed for those.
type tracer interface {
	Start(ctx context.Context, spanName string) (context.Context, span)
}

type span interface {
	RecordError(err error)
	End()
}

// traced returns what has the calls of a catalog be spans, children of the span in
// their context.
func traced(t tracer) func(context.Context, catalog.Operation) (context.Context, func(catalog.Ended)) {
	return func(ctx context.Context, op catalog.Operation) (context.Context, func(catalog.Ended)) {
		ctx, s := t.Start(ctx, "shelflife."+string(op))
		return ctx, func(e catalog.Ended) {
			if e.Err != nil {
				s.RecordError(e.Err)
			}
			s.End()
		}
	}
}

// printer is a tracer that prints spans when they end, below those that they are in.
type printer struct{}

type depthKey struct{}

func (printer) Start(ctx context.Context, name string) (context.Context, span) {
	depth, _ := ctx.Value(depthKey{}).(int)
	return context.WithValue(ctx, depthKey{}, depth+1), &printed{text: strings.Repeat("  ", depth) + name}
}

type printed struct{ text string }

func (p *printed) RecordError(err error) { p.text += ": " + err.Error() }
func (p *printed) End()                  { fmt.Println(p.text) }

// Options.Observe makes a span of each call, without the module knowing of
// OpenTelemetry.
func Example_tracing() {
	ctx := context.Background()
	c, err := catalog.Open(ctx, memory.New(nil), &catalog.Options{Observe: traced(printer{})})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Upsert(ctx, "acme", "shirt-42", catalog.Patch{
		Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/front.jpg"}}),
	})
	_, _ = c.Get(ctx, "acme", "shirt-43")
	// Output:
	//   shelflife.commit
	// shelflife.upsert
	// shelflife.get: shelflife: get "shirt-43": product not found
}
