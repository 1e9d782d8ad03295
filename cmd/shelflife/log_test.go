package main

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLogFormats(t *testing.T) {
	for format, looks := range map[string]func(string) bool{
		"json": func(text string) bool { return json.Valid([]byte(text)) },
		"text": func(text string) bool { return strings.HasPrefix(text, "time=") },
	} {
		var log strings.Builder
		newLogger(&log, format, "info").Info("hello", "a", 1)
		require.True(t, looks(strings.TrimSpace(log.String())), log.String())
	}
}

// TestDurationsInLogs: each has its unit in its name, whichever package logs it.
func TestDurationsInLogs(t *testing.T) {
	for format, want := range map[string]string{
		"json": `"leap_ms":1500.25,"g":{"pause_ms":0}}`,
		"text": `leap_ms=1500.25 g.pause_ms=0`,
	} {
		var log strings.Builder
		newLogger(&log, format, "info").Info("x", "leap", 1500250*time.Microsecond, slog.Group("g", slog.Duration("pause", 0)))
		require.Contains(t, log.String(), want)
	}
}

func TestLogLevels(t *testing.T) {
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	for i, name := range []string{"debug", "info", "warn", "error"} {
		var log strings.Builder
		l := newLogger(&log, "text", name)
		for _, level := range levels {
			l.Log(t.Context(), level, "x")
		}
		require.Equal(t, len(levels)-i, strings.Count(log.String(), "\n"), name)
	}
}

// TestLogsShowWhatIsThere: names that turn the direction of writing, or break a
// line for some, are data in a log like any other, but don't show.
func TestLogsShowWhatIsThere(t *testing.T) {
	const id = "a\u202egpj.exe\u2028\u2066\u200f\U000e0001ü🧦\x1b\n"
	for _, format := range []string{"json", "text"} {
		var log strings.Builder
		newLogger(&log, format, "info").Info("x", "id", id, "plain", "ü🧦")
		line, ended := strings.CutSuffix(log.String(), "\n")
		require.True(t, ended)
		require.Equal(t, line, visible(line), format)
		if format == "json" {
			var got struct{ ID, Plain string }
			require.NoError(t, json.Unmarshal([]byte(line), &got))
			require.Equal(t, id, got.ID)
			require.Contains(t, line, `"plain":"ü🧦"`)
		}
	}
}
