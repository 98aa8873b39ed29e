package auth

import (
	"sync"
	"time"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// windows is what this process knows of the minutes of proven keys, so that a
// key over its limit costs neither reads nor writes. The zero value knows none.
type windows struct {
	mu    sync.Mutex
	known map[string]window // by the key's hash
}

// window is a key's minute as the table last told it.
type window struct {
	caller string // as the request's log names it
	state  httpapi.Window
	ends   time.Time
	full   *fault.Error // why the key was refused in it; nil: it was not
}

// halfUsed tells whether the key is counted before anything is read for it. Other
// processes count in the same minute, so it comes well before the end.
func (w window) halfUsed() bool { return w.state.Limit > 0 && w.state.Used*2 >= w.state.Limit }

// refusal is the answer to one request more in a full window; nil where it is
// not full.
func (w window) refusal(now time.Time) error {
	if w.full == nil {
		return nil
	}
	again := *w.full
	again.RetryAfter = w.ends.Sub(now)
	return &again
}

// at is what is known of a key's minute; the zero window once it is over.
func (ws *windows) at(hash string, now time.Time) window {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.known[hash]
	if !w.ends.After(now) {
		return window{}
	}
	w.state.Reset = w.ends.Sub(now)
	return w
}

// keep notes a key's minute.
func (ws *windows) keep(hash string, w window, now time.Time) {
	const most = 4096 // keys, of some 300 bytes each
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.known) >= most {
		for other, of := range ws.known {
			if !of.ends.After(now) {
				delete(ws.known, other)
			}
		}
		if len(ws.known) >= most {
			clear(ws.known)
		}
	}
	if ws.known == nil {
		ws.known = map[string]window{}
	}
	ws.known[hash] = w
}
