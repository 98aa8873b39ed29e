package health_test

import (
	"time"

	"carrierlink/shared/health"
)

const gap = 10 * time.Minute

func timing() health.Timing { return health.Timing{RefusalGap: gap, Speed: 1} }

// day returns the time so many hours after the midnight of the tests' day.
func day(hours float64) time.Time {
	return time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC).Add(time.Duration(hours * float64(time.Hour)))
}
