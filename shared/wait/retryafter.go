package wait

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter parses the header Retry-After, seconds or a date: at most longest; zero if it
// is absent, past or neither.
func RetryAfter(value string, now time.Time, longest time.Duration) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil || errors.Is(err, strconv.ErrRange) { // then it is the maximum
		return time.Duration(min(int64(seconds), int64(longest/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longest)
}
