package account

import (
	"testing"
	"time"
)

func TestFilterMatches(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	yes, no := true, false
	account := Account{Active: true, CreatedAt: at}
	for name, tc := range map[string]struct {
		filter Filter
		want   bool
	}{
		"not active":             {Filter{Active: &no}, false},
		"later":                  {Filter{CreatedFrom: at.Add(1)}, false},
		"earlier":                {Filter{CreatedUntil: at.Add(-1)}, false},
		"one of two":             {Filter{Active: &yes, CreatedFrom: at.Add(1)}, false},
		"a reversed range":       {Filter{CreatedFrom: at.Add(1), CreatedUntil: at.Add(-1)}, false},
		"none":                   {Filter{}, true},
		"order does not matter":  {Filter{Ascending: true}, true},
		"active":                 {Filter{Active: &yes}, true},
		"from then on":           {Filter{CreatedFrom: at}, true},
		"until then":             {Filter{CreatedUntil: at}, true},
		"then":                   {Filter{CreatedFrom: at, CreatedUntil: at}, true},
		"then, in another place": {Filter{CreatedFrom: at.In(time.FixedZone("", 3600))}, true},
	} {
		if got := tc.filter.Matches(account); got != tc.want {
			t.Errorf("%s: Matches = %t, want %t", name, got, tc.want)
		}
	}
	account.Active = false
	if (Filter{Active: &yes}).Matches(account) || !(Filter{Active: &no}).Matches(account) {
		t.Error("Matches accepts a disabled account as active")
	}
}
