package simulator

import (
	"crypto/sha256"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// retryWindow: a request that comes within it after an answer that invites
	// a retry is the second attempt of the same check. The client waits two
	// seconds after a 401.
	retryWindow = 10 * time.Second
	// trackPerMinute is how often a credential may track, in fixed minutes
	// (infra/docs/auspost.md, "GET /shipping/v1/track").
	trackPerMinute = 10
	// longestWait ends a request that is left hanging if its client does not.
	longestWait = 2 * time.Minute
	// generation is how many callers one half of the memory holds.
	generation = 5_000
)

// NewHandler is the simulator over HTTP. It counts the checks of each pair of
// account number and API key: a request is the next check, but the one that
// follows a 401 or 5xx within ten seconds is that check's second attempt. It
// remembers the 5,000 to 10,000 pairs that called last; one that it has
// forgotten begins its story again.
func NewHandler(opts ...Option) http.Handler {
	return &handler{settings: apply(opts)}
}

type handler struct {
	settings

	mu     sync.Mutex
	checks memory[progress]
	tracks memory[window]
}

// progress is how far a story has been told.
type progress struct {
	check   int
	invited time.Time // when the first attempt was answered by what may be repeated
}

// window counts the track calls of one minute.
type window struct {
	minute int64
	calls  int
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := route(r, h.next, h.mayTrack)
	if a.never {
		t := time.NewTimer(longestWait)
		defer t.Stop()
		select {
		case <-r.Context().Done():
		case <-t.C:
		}
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	a.write(w.Header())
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body) // the client may have gone
}

func (h *handler) next(number, apiKey string) answer {
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
	a := tell(number, p.check, attempt, now)
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

// memory keeps a value for each name it was asked for lately, in two
// generations: when the young one is full it becomes the old one, and what was
// in the old one and not asked for since is forgotten.
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
