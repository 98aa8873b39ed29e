package wait_test

import (
	"net/http"
	"testing"
	"time"

	"carrierlink/shared/wait"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, value string
		want        time.Duration
	}{
		{"absent", "", 0},
		{"not a time", "soon", 0},
		{"negative", "-5", 0},
		{"fraction", "1.5", 0},
		{"past", now.Add(-time.Hour).Format(http.TimeFormat), 0},
		{"far seconds", "86400", time.Hour},
		{"largest seconds", "9223372036854775807", time.Hour},
		{"endless seconds", "99999999999999999999999", time.Hour},
		{"far date", now.AddDate(100, 0, 0).Format(http.TimeFormat), time.Hour},
		{"seconds", " 90 ", 90 * time.Second},
		{"date", now.Add(2 * time.Minute).Format(http.TimeFormat), 2 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := wait.RetryAfter(tc.value, now, time.Hour); got != tc.want {
				t.Errorf("RetryAfter(%q) = %v, want %v", tc.value, got, tc.want)
			}
		})
	}
}
