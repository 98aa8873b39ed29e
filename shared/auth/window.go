package auth

import (
	"maps"
	"sync"
	"time"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// windows remembers the rate windows of verified keys in this process, so that a key over
// its limit costs neither reads nor writes. The zero value is empty.
type windows struct {
	mu    sync.Mutex
	known map[string]window // by the key's hash
}

// window is the state of a key's one-minute window after its last use.
type window struct {
	subject httpapi.Subject // as far as the key tells it
	state   httpapi.Window
	ends    time.Time
	full    *fault.Error // the refusal once the window is full, else nil
}

// halfUsed reports whether the key must be verified before anything is read for it. Other
// processes count in the same window, so half is early enough.
func (w window) halfUsed() bool { return w.state.Limit > 0 && w.state.Used*2 >= w.state.Limit }

// get returns a key's window; the zero window once it has ended.
func (ws *windows) get(hash string, now time.Time) window {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.known[hash]
	if !w.ends.After(now) {
		return window{}
	}
	w.state.Reset = w.ends.Sub(now)
	if w.full != nil {
		again := *w.full
		again.RetryAfter = w.state.Reset
		w.full = &again
	}
	return w
}

func (ws *windows) put(hash string, w window, now time.Time) {
	const limit = 4096 // keys, of about 300 bytes each
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.known) >= limit {
		maps.DeleteFunc(ws.known, func(_ string, w window) bool { return !w.ends.After(now) })
		if len(ws.known) >= limit {
			clear(ws.known)
		}
	}
	if ws.known == nil {
		ws.known = map[string]window{}
	}
	ws.known[hash] = w
}
