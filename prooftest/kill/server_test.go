package kill

import (
	"fmt"
	"testing"
	"time"

	"github.com/shelflife-db/shelflife/prooftest/internal/serve"
)

// patience ends what never comes.
const patience = 2 * time.Minute

func start(t *testing.T, binary, data string) *serve.Server {
	return startOn(t, binary, "--data", data, "--cache-size", "2MiB", "--use-window", useWindow.String())
}

// startOn starts a server on the store that the arguments name.
func startOn(t *testing.T, binary string, store ...string) *serve.Server {
	for i := range writers {
		store = append(store, "--api-key", fmt.Sprintf("%s=%s", accountOf(i), keyOf(i)))
	}
	return serve.Start(t, binary, store...)
}
