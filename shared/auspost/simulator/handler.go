package simulator

import (
	"crypto/sha256"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// retryWindow is how long after an answer that invites a retry a request is the
	// second attempt of the same check. The client waits two seconds after a 401.
	retryWindow = 10 * time.Second
	// trackPerMinute is how often a credential may track, in fixed minutes
	// (infra/docs/auspost.md, "Track: GET /shipping/v1/track").
	trackPerMinute = 10
	// longestWait ends a request without an answer if its client does not.
	longestWait = 2 * time.Minute
	// generation is how many keys one half of a memory holds.
	generation = 5_000
)

// NewHandler makes the simulator over HTTP, with a clock. It counts the checks of each
// pair of account number and API key: each request is the next check, except that a
// request within ten seconds after a 401 or 5xx is that check's second attempt. It
// remembers the last 5,000 to 10,000 pairs; a forgotten pair starts its story again.
func NewHandler(now func() time.Time) http.Handler { return &handler{now: now} }

type handler struct {
	now func() time.Time

	mu     sync.Mutex
	checks memory[progress]
	tracks memory[window]
}

// progress is how far a story has gone.
type progress struct {
	check   int
	invited time.Time // when an answer to a first attempt invited a retry; zero if it did not
}

// window counts the track calls of one minute.
type window struct {
	minute int64
	calls  int
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := route(r, h.nextCheck, func(r *http.Request, path, apiKey string) answer {
		if path == "track" && !h.mayTrack(apiKey) {
			return jsonAnswer(http.StatusTooManyRequests, errorRateLimited)
		}
		return trackOrAddress(h.now)(r, path, apiKey)
	})
	if a.never {
		select {
		case <-r.Context().Done():
		case <-time.After(longestWait):
		}
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	a.setHeader(w.Header())
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body) // the client may have hung up
}

func (h *handler) nextCheck(number, apiKey string) answer {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	p := h.checks.of(number + "\n" + apiKey)
	attempt := 1
	if since := now.Sub(p.invited); !p.invited.IsZero() && since >= 0 && since <= retryWindow {
		attempt = 2
	} else {
		p.check++
	}
	a := storyOf(number, p.check, attempt, now)
	p.invited = time.Time{}
	if attempt == 1 && a.invitesRetry() {
		p.invited = now
	}
	return a
}

func (h *handler) mayTrack(apiKey string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.tracks.of(apiKey)
	if minute := h.now().Unix() / 60; minute != w.minute {
		*w = window{minute: minute}
	}
	w.calls++
	return w.calls <= trackPerMinute
}

// memory keeps a value for each recently used name, in two generations: a full young
// generation becomes the old one, and the values of the old one that were not used
// since are forgotten.
type memory[V any] struct {
	young, old map[[sha256.Size]byte]*V
}

func (m *memory[V]) of(name string) *V {
	key := sha256.Sum256([]byte(name))
	v, ok := m.young[key]
	if ok {
		return v
	}
	if v, ok = m.old[key]; !ok {
		v = new(V)
	}
	if m.young == nil || len(m.young) >= generation {
		m.young, m.old = make(map[[sha256.Size]byte]*V), m.young
	}
	m.young[key] = v
	return v
}
