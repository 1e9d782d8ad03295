package httpadapter

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// tagList is the value of If-Match or If-None-Match.
type tagList struct {
	given bool
	any   bool // "*"
	tags  []entityTag
}

type entityTag struct {
	opaque string // quotes included
	weak   bool
}

// readTags reads a header of entity tags; ok is false if it is malformed.
func readTags(header http.Header, name string) (list tagList, ok bool) {
	lines := header.Values(name)
	if len(lines) == 0 {
		return tagList{}, true
	}
	list.given = true
	rest := strings.Trim(strings.Join(lines, ","), " \t")
	if rest == "*" {
		list.any = true
		return list, true
	}
	for {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" && len(list.tags) > 0 {
			return list, true
		}
		var tag entityTag
		rest, tag.weak = strings.CutPrefix(rest, "W/")
		end := -1
		if strings.HasPrefix(rest, `"`) {
			end = strings.IndexByte(rest[1:], '"')
		}
		if end < 0 {
			return tagList{}, false
		}
		tag.opaque = rest[:end+2]
		for _, c := range []byte(tag.opaque) {
			if c <= ' ' || c == 0x7f {
				return tagList{}, false
			}
		}
		list.tags = append(list.tags, tag)
		rest = strings.TrimLeft(rest[end+2:], " \t")
		if rest != "" && rest[0] != ',' {
			return tagList{}, false
		}
	}
}

// versions returns the edits that the strong tags of the list name. Where they
// name none it returns the version that no product has.
func (l tagList) versions() []catalog.Version {
	var versions []catalog.Version
	for _, tag := range l.tags {
		if tag.weak {
			continue
		}
		if v, ok := versionIn(tag.opaque); ok {
			versions = append(versions, v)
		}
	}
	if versions == nil {
		versions = []catalog.Version{{}}
	}
	return versions
}

// matchesWeakly compares as If-None-Match wants it.
func (l tagList) matchesWeakly(etag string) bool {
	for _, tag := range l.tags {
		if tag.opaque == etag {
			return true
		}
	}
	return l.any
}

// matchesEncoded reports whether the list has the tag of an answer with etag that
// a proxy has compressed.
func (l tagList) matchesEncoded(etag string) bool {
	for _, tag := range l.tags {
		if `"`+withoutCoding(strings.Trim(tag.opaque, `"`))+`"` == etag {
			return true
		}
	}
	return false
}

// isWeak reports whether every tag of the list is weak: If-Match, which compares
// strongly, can't hold then.
func (l tagList) isWeak() bool {
	strong := func(t entityTag) bool { return !t.weak }
	return len(l.tags) > 0 && !slices.ContainsFunc(l.tags, strong)
}

// conditions are what a request demands of the stored product.
type conditions struct {
	match, noneMatch tagList
	faults           []catalog.FieldError // of malformed headers
}

// explain returns err, with what the client can do about it where a condition
// failed that never holds.
func (c *conditions) explain(err error) error {
	if errors.Is(err, catalog.ErrPreconditionFailed) && c.match.isWeak() {
		return fmt.Errorf("%w: %w", errWeakMatch, err)
	}
	return err
}

func readConditions(header http.Header) (c conditions) {
	var ok bool
	if c.match, ok = readTags(header, "If-Match"); !ok {
		c.fault("If-Match", "must be * or a list of entity tags")
	}
	if c.noneMatch, ok = readTags(header, "If-None-Match"); !ok {
		c.fault("If-None-Match", "must be * or a list of entity tags")
	}
	return c
}

func (c *conditions) fault(name, message string) {
	c.faults = append(c.faults, catalog.FieldError{Path: name, Code: catalog.CodeValidationFailed, Message: message})
}

// forUpsert returns the conditions of an upsert; faults of the headers are left
// in c.faults.
func (c *conditions) forUpsert() []catalog.Condition {
	if c.noneMatch.given && !c.noneMatch.any {
		c.fault("If-None-Match", "must be * on a write")
	}
	conds := c.matchCondition()
	if c.noneMatch.any {
		conds = append(conds, catalog.CreateOnly())
	}
	return conds
}

// forDelete is forUpsert for a delete.
func (c *conditions) forDelete() []catalog.Condition {
	if c.noneMatch.given {
		c.fault("If-None-Match", "a delete does not take this condition")
	}
	return c.matchCondition()
}

// forUse refuses all conditions, for a write that takes none.
func (c *conditions) forUse() {
	if c.match.given {
		c.fault("If-Match", "a use does not take a condition")
	}
	if c.noneMatch.given {
		c.fault("If-None-Match", "a use does not take a condition")
	}
}

func (c *conditions) matchCondition() []catalog.Condition {
	switch {
	case !c.match.given:
		return nil
	case c.match.any:
		return []catalog.Condition{catalog.IfExists()}
	}
	return []catalog.Condition{catalog.IfVersion(c.match.versions()...)}
}
