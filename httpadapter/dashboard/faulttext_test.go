package dashboard_test

import (
	"html"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

// TestWhatIsWrongIsToldToPeople: what is wrong is said so that the person who typed it can mend
// it.
func TestWhatIsWrongIsToldToPeople(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	form := shownForm(t, b, "edit?id=mug")
	for text, want := range map[string]string{
		"{":                                 "This is not JSON. Line 1: it ends too early.",
		"{\n  \"a\": 1,\n}":                 "This is not JSON. Line 3: unexpected character '}' where a name in quotation marks should begin.",
		`{"a": x}`:                          "This is not JSON. Line 1: unexpected character 'x' where a value should begin.",
		`{} {}`:                             "This is not JSON. Line 1: unexpected character '{' behind the end.",
		`{"a":[{"b":1},{"b":2,"b":3}]}`:     `The name "b" stands twice in the same object.`,
		`{"a":{"a":["a","a"]},"\u0061":1}`:  `The name "a" stands twice in the same object.`,
		`["\\\\ud83d \ud83d\ude00 \ud83d"]`: `\ud83d is half a character, and the other half is missing.`,
		`"\ude00\ud83d"`:                    `\ude00 is half a character, and the other half is missing.`,
	} {
		for _, name := range []string{"metadata", "classifications"} {
			a := b.postForm("edit", with(form, name, text)...)
			require.Equal(t, http.StatusBadRequest, a.status, text)
			require.Equal(t, []string{want}, faultsOf(a.body), text)
		}
	}
	for name, tc := range map[string]struct {
		fields []field
		want   string
	}{
		"an object": {with(form, "classifications", "[1]"), "Must be a JSON object or null."},
		"days":      {with(with(form, "keep", "days"), "days", "366"), "Must be a whole number of days, 1 to 365."},
		"no image":  {insertAfter(form, "image", field{name: "remove", text: "yes"}), "Every product has an image: upload one, or give the address of one."},
	} {
		require.Equal(t, []string{tc.want}, faultsOf(b.postForm("edit", tc.fields...).body), name)
	}
	require.Equal(t, []string{"Every product has an ID: give it one."}, faultsOf(b.postForm("new", field{name: "urls", text: "https://cdn.example/1.jpg"}, field{name: "keep", text: "forever"}).body))
	require.Contains(t, b.get("product?id=%01").body, "The ID in the address is not possible. Must not contain control characters.")
	require.Contains(t, b.get("product").body, "does not say which product it is about")
}

func faultsOf(body string) (faults []string) {
	for _, m := range regexp.MustCompile(`<p class="fault">([^<]*)</p>`).FindAllStringSubmatch(body, -1) {
		faults = append(faults, html.UnescapeString(m[1]))
	}
	return faults
}
