package connection

import (
	"slices"
	"time"

	"carrierlink/shared/carrier"
)

// Contract is the part of the carrier's Get Accounts answer that this service uses
// (auspost.md, "Get Accounts"). The snapshot has the whole answer.
type Contract struct {
	AccountNumber      string
	Name               string
	ValidFrom, ValidTo string // YYYY-MM-DD; 2999-12-31 is an open end
	Expired            bool   // the carrier's own flag, never derived from the dates
	CreditBlocked      bool
	MerchantLocationID string
	Products           []Product
	// What the owner recognises the account by, besides its name. Only the last three
	// digits of the Australian Business Number are kept.
	Suburb, State, ABNLastThree string
}

// Product is a postage product of a contract.
type Product struct {
	ID      string `json:"product_id"`
	Type    string `json:"type"` // the display name
	Group   string `json:"group,omitempty"`
	ValidTo string `json:"valid_to,omitempty"`
	Expired bool   `json:"expired"`
	// MaxItemCount is how many items of a consignment get the product's price; 0 for no
	// limit.
	MaxItemCount int `json:"-"`
}

// International reports whether the product is for destinations abroad: an Australia Post
// product without a label group is (auspost.md, "Get Accounts", group).
func (p Product) International(n carrier.Name) bool {
	return n == carrier.AustraliaPost && p.Group == ""
}

// The status_reason of a restricted connection.
const (
	ReasonContractExpired = "contract_expired"
	ReasonCreditBlocked   = "credit_blocked"
	ReasonProductsExpired = "all_products_expired"
)

// Restriction returns why the contract forbids shipping; empty if it does not. A valid
// account can have only expired products (auspost.md, "Known traps" 12); one without
// products is not restricted.
func (c Contract) Restriction() string {
	switch {
	case c.Expired:
		return ReasonContractExpired
	case c.CreditBlocked:
		return ReasonCreditBlocked
	}
	if len(c.Products) == 0 || slices.ContainsFunc(c.Products, func(p Product) bool { return !p.Expired }) {
		return ""
	}
	return ReasonProductsExpired
}

// openEnd is the carrier's valid_to of a contract without an end.
const openEnd = "2999-12-31"

// aest is the carrier's time zone: its dates change at midnight in Melbourne. Daylight
// saving does not matter to a count of days.
var aest = time.FixedZone("AEST", 10*60*60)

// DaysUntil counts the days until a date of the carrier, negative for a past one; ok is
// false for an open end and for text that is not a date.
func DaysUntil(date string, now time.Time) (days int, ok bool) {
	end, err := time.Parse(time.DateOnly, date)
	if err != nil || date == openEnd {
		return 0, false
	}
	y, m, d := now.In(aest).Date()
	// In seconds, because a Duration is at most 292 years.
	return int((end.Unix() - time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()) / (24 * 60 * 60)), true
}
