package pages

import "time"

type timeValue = time.Time
