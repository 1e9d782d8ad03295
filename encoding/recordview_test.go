package encoding

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// A view shows what decoding gives, of every record.
func TestRecordView(t *testing.T) {
	for _, r := range []*Record{minimalRecord(), fullRecord()} {
		data := AppendRecord(nil, r)
		v, err := ViewRecord(data)
		require.NoError(t, err)
		require.Equal(t, headerOf(r), v.Header())
		require.Equal(t, r.ID, string(v.ID()))
		require.Equal(t, r.Title, string(v.Title()))
		require.Equal(t, r.Description, string(v.Description()))
		require.Equal(t, r.ValidForDays, v.ValidForDays())
		require.Equal(t, r.Listed, v.Listed())
		incarnation, edit := v.Version()
		require.Equal(t, []uint64{r.Incarnation, r.Edit}, []uint64{incarnation, edit})
		require.Equal(t, []int64{r.CreatedAt, r.UpdatedAt}, []int64{v.CreatedAt(), v.UpdatedAt()})
		texts := v.Texts()
		require.Equal(t, []string{r.Account, r.ID, r.Title, r.Description, string(r.Metadata)},
			[]string{string(texts.Account), string(texts.ID), string(texts.Title), string(texts.Description), string(texts.Metadata)})
		var again Record
		images := v.Images()
		require.NoError(t, images.Rest(&again))
		require.Equal(t, r.Images, again.Images)
		images = v.Images()
		var view ImageView
		for i := range r.Images {
			want := &r.Images[i]
			require.True(t, images.NextView(&view))
			require.Equal(t, want.URL, string(view.URL()))
			require.Equal(t, want.Classifications, view.Classifications())
			u := view.Upload()
			require.Equal(t, want.ContentType, string(u.ContentType))
			require.Equal(t, Upload{want.Blob, u.ContentType, want.Size, want.Width, want.Height}, u)
			require.Equal(t, want.Blob.IsZero(), view.URLOnly())
		}
		require.False(t, images.NextView(&view))
		copied := v.Clone()
		require.Equal(t, data, copied)
		clear(data)
		require.NoError(t, VerifyRecord(copied))
	}
}

// A view is taken of what can be decoded and of nothing else, and one of anything
// else reads nothing outside of it.
func TestViewOfDamagedRecords(t *testing.T) {
	sound := AppendRecord(nil, fullRecord())
	for at := range sound {
		for _, data := range [][]byte{sound[:at], append(bytes.Clone(sound[:at]), append([]byte{sound[at] ^ 0xff}, sound[at+1:]...)...)} {
			var r Record
			_, err := ViewRecord(data)
			require.Equal(t, decode(data, &r) == nil, err == nil, "at %d", at)
			v := ViewChecked(data)
			v.Header()
			v.ID()
			v.Title()
			v.Description()
			v.ValidForDays()
			v.Listed()
			v.Version()
			v.CreatedAt()
			v.UpdatedAt()
			v.Texts()
			images := v.Images()
			for im := (Image{}); images.Next(&im); {
			}
			images = v.Images()
			for im := (ImageView{}); images.NextView(&im); {
				im.Upload()
			}
			v.Prefetch()
		}
	}
}
