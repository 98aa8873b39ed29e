package health_test

import (
	"time"

	"carrierlink/shared/health"
)

const gap = 10 * time.Minute

func timing() health.Timing { return health.Timing{RefusalGap: gap, Speed: 1} }

// day is a time of the tests' day, which begins at midnight.
func day(hours float64) time.Time {
	return time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC).Add(time.Duration(hours * float64(time.Hour)))
}
