package schedule_test

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"
)

var seed = flag.Uint64("seed", rand.Uint64(), "of the jitter in tests over virtual time")

// seeded returns a jitter that depends on the seed, the connection and the virtual time
// only, so that the order of concurrent checks does not matter. A failing test prints the
// seed.
func seeded(tb testing.TB, now func() time.Time) func(connectionID string) float64 {
	tb.Helper()
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("to repeat: go test ./shared/schedule -run '^%s$' -seed %d", tb.Name(), *seed)
		}
	})
	return func(connectionID string) float64 {
		h := fnv.New64a()
		fmt.Fprint(h, connectionID, now().UnixNano())
		return rand.New(rand.NewPCG(*seed, h.Sum64())).Float64()
	}
}
