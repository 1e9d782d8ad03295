package catalog_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 3: absent, null and a value are three different things.
func TestOptional(t *testing.T) {
	var absent catalog.Optional[string]
	for _, tt := range []struct {
		name             string
		o                catalog.Optional[string]
		isAbsent, isNull bool
		value            string
		hasValue         bool
	}{
		{"the zero value", absent, true, false, "", false},
		{"null", catalog.Null[string](), false, true, "", false},
		{"a value", catalog.Set("x"), false, false, "x", true},
		{"the zero value of the type", catalog.Set(""), false, false, "", true},
	} {
		require.Equal(t, tt.isAbsent, tt.o.IsAbsent(), tt.name)
		require.Equal(t, tt.isNull, tt.o.IsNull(), tt.name)
		v, ok := tt.o.Get()
		require.Equal(t, tt.value, v, tt.name)
		require.Equal(t, tt.hasValue, ok, tt.name)
	}
	list, ok := catalog.Set[[]int](nil).Get()
	require.True(t, ok, "a nil slice is a value")
	require.Nil(t, list)
	require.Equal(t, catalog.Set("x"), catalog.Set("x"))
	require.NotEqual(t, catalog.Null[string](), absent)
}

func TestPatchIsEmpty(t *testing.T) {
	require.True(t, catalog.Patch{}.IsEmpty())
	for i, p := range []catalog.Patch{
		{Title: catalog.Set("")}, {Title: catalog.Null[string]()},
		{Description: catalog.Set("")}, {Description: catalog.Null[string]()},
		{Images: catalog.Set[[]catalog.NewImage](nil)}, {Images: catalog.Null[[]catalog.NewImage]()},
		{Metadata: catalog.Set(json.RawMessage(nil))}, {Metadata: catalog.Null[json.RawMessage]()},
		{ValidForDays: catalog.Set(0)}, {ValidForDays: catalog.Null[int]()},
	} {
		require.False(t, p.IsEmpty(), i)
	}
}
