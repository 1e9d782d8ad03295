package encoding

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A record says that its texts are plain where each of those that JSON shows as
// strings is, whatever its flags said when it was decoded; what is JSON itself and the
// account do not count.
func TestPlainRecords(t *testing.T) {
	require.True(t, ViewChecked(AppendRecord(nil, minimalRecord())).Plain())
	for _, text := range []string{"a \"quoted\" text", `a\b`, "two\nlines", "\xff", "long enough for words, and then \x00"} {
		for name, c := range map[string]struct {
			change func(r *Record)
			plain  bool
		}{
			"ID":              {func(r *Record) { r.ID = text }, false},
			"title":           {func(r *Record) { r.Title = text }, false},
			"description":     {func(r *Record) { r.Description = text }, false},
			"URL":             {func(r *Record) { r.Images[1].URL = text }, false},
			"content type":    {func(r *Record) { r.Images[1].ContentType = text }, false},
			"account":         {func(r *Record) { r.Account = text }, true},
			"metadata":        {func(r *Record) { r.Metadata = []byte(text) }, true},
			"classifications": {func(r *Record) { r.Images[0].Classifications = []byte(text) }, true},
		} {
			var r Record
			require.NoError(t, DecodeRecord(AppendRecord(nil, fullRecord()), &r))
			c.change(&r)
			data := AppendRecord(nil, &r)
			require.Equal(t, c.plain, ViewChecked(data).Plain(), "%s: %q", name, text)
			require.NoError(t, CheckTexts(data, &r))
			if !c.plain {
				data[offFlags+2] |= flagPlain
				require.NoError(t, DecodeRecord(sealed(data), &r))
				require.ErrorIs(t, CheckTexts(data, &r), ErrCorrupt)
			}
			// The flag is not kept: an edit may make plain what was not, and the reverse.
			again := fullRecord()
			r.ID, r.Title, r.Description, r.Images = again.ID, again.Title, again.Description, again.Images
			require.True(t, ViewChecked(AppendRecord(nil, &r)).Plain())
		}
	}
}
