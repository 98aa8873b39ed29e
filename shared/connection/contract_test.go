package connection_test

import (
	"testing"
	"time"

	"carrierlink/shared/connection"
)

func TestRestriction(t *testing.T) {
	expired, valid := connection.Product{Expired: true}, connection.Product{}
	tests := []struct {
		name string
		c    connection.Contract
		want string
	}{
		{"expired", connection.Contract{Expired: true}, "contract_expired"},
		{"expired comes first", connection.Contract{Expired: true, CreditBlocked: true, Products: []connection.Product{expired}}, "contract_expired"},
		{"expired although a product is valid", connection.Contract{Expired: true, Products: []connection.Product{valid}}, "contract_expired"},
		{"credit blocked", connection.Contract{CreditBlocked: true, Products: []connection.Product{valid}}, "credit_blocked"},
		{"credit blocked before products", connection.Contract{CreditBlocked: true, Products: []connection.Product{expired}}, "credit_blocked"},
		{"every product expired", connection.Contract{Products: []connection.Product{expired, expired}}, "all_products_expired"},
		{"one product valid", connection.Contract{Products: []connection.Product{expired, valid}}, ""},
		{"no products", connection.Contract{}, ""},
		{"dates decide nothing", connection.Contract{ValidTo: "1999-01-01", Products: []connection.Product{{ValidTo: "1999-01-01"}}}, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.c.Restriction(); got != tc.want {
				t.Errorf("Restriction() = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDaysUntil(t *testing.T) {
	noon := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC) // noon in Brisbane
	tests := []struct {
		name, date string
		now        time.Time
		days       int
		ok         bool
	}{
		{"empty", "", noon, 0, false},
		{"open end", "2999-12-31", noon, 0, false},
		{"no date", "soon", noon, 0, false},
		{"a day that is not", "2026-02-30", noon, 0, false},
		{"date and time", "2026-03-02T00:00:00Z", noon, 0, false},
		{"Australian order", "02/03/2026", noon, 0, false},
		{"no leading zero", "2026-3-2", noon, 0, false},
		{"yesterday", "2026-02-28", noon, -1, true},
		{"long ago", "2025-03-01", noon, -365, true},
		{"today", "2026-03-01", noon, 0, true},
		{"tomorrow", "2026-03-02", noon, 1, true},
		{"over a leap day", "2028-03-01", noon, 731, true},
		{"the carrier's midnight, a moment before", "2026-03-02", time.Date(2026, 3, 1, 13, 59, 59, 999, time.UTC), 1, true},
		{"the carrier's midnight", "2026-03-02", time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC), 0, true},
		{"whatever zone the clock shows", "2026-03-02", time.Date(2026, 3, 1, 9, 0, 0, 0, time.FixedZone("", -5*60*60)), 0, true},
		{"far, but not open", "2998-12-31", noon, 355321, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if days, ok := connection.DaysUntil(tc.date, tc.now); days != tc.days || ok != tc.ok {
				t.Errorf("DaysUntil(%q, %v) = %d, %t, want %d, %t", tc.date, tc.now, days, ok, tc.days, tc.ok)
			}
		})
	}
}
