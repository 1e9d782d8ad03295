package encoding

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSecretIsNeverShown: whatever is printed or logged of a secret, or of
// what it is a part of, does not have its bytes, in whichever notation.
func TestSecretIsNeverShown(t *testing.T) {
	m := sampleMeta()
	var out bytes.Buffer
	for _, verb := range strings.Split("v +v #v s q x X d o b c U e t", " ") {
		fmt.Fprintf(&out, "%"+verb+"\n", m.Secret)
		for _, v := range []any{&m.Secret, m, *m, []Secret{m.Secret}, map[string]any{"secret": m.Secret}} {
			fmt.Fprintf(&out, "%"+verb+"\n", v)
		}
	}
	fmt.Fprintln(&out, m.Secret, m)
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("opened", "secret", m.Secret, "pointer", &m.Secret, "meta", m, "value", *m)
	}
	text, err := json.Marshal(m)
	require.NoError(t, err)
	out.Write(text)
	require.Contains(t, out.String(), hidden)
	shown := strings.ToLower(out.String())
	part := m.Secret[10:13] // as it could be had by any means: runs of three bytes
	for _, form := range []string{
		string(part), hex.EncodeToString(part), fmt.Sprint(part[0], " ", part[1], " ", part[2]),
		fmt.Sprint(part[0], ",", part[1], ",", part[2]), fmt.Sprintf("%#x, %#x, %#x", part[0], part[1], part[2]),
		fmt.Sprintf("%x %x %x", part[0], part[1], part[2]), fmt.Sprintf("%b %b", part[0], part[1]), fmt.Sprintf("%o %o", part[0], part[1]),
	} {
		require.NotContains(t, shown, strings.ToLower(form))
	}
}
