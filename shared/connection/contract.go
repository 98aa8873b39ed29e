package connection

import (
	"time"

	"carrierlink/shared/carrier"
)

// Contract is what we understand of the carrier's Get Accounts answer
// (contract: "GET /shipping/v1/accounts/{account_number}"). Everything else of
// that answer is kept as it came, in the snapshot.
type Contract struct {
	AccountNumber      string
	Name               string
	ValidFrom, ValidTo string // YYYY-MM-DD; 2999-12-31 is an open end
	Expired            bool   // the carrier's own flag, never derived from the dates
	CreditBlocked      bool
	MerchantLocationID string
	Products           []Product
	// What the owner knows the account by, besides its name. No more of the
	// Australian Business Number than its last three digits leaves the answer.
	Suburb, State, ABNLastThree string
}

// Product is a postage product of a contract.
type Product struct {
	ID      string `json:"product_id"`
	Type    string `json:"type"` // the display name
	Group   string `json:"group,omitempty"`
	ValidTo string `json:"valid_to,omitempty"`
	Expired bool   `json:"expired"`
	// MaxItemCount is how many items of a consignment get the product's price; 0
	// for no limit, also where the carrier says nothing.
	MaxItemCount int `json:"-"`
}

// International tells whether the product sends abroad: an Australia Post
// product without a label group does (contract: "Get Accounts", group).
func (p Product) International(n carrier.Name) bool {
	return n == carrier.AustraliaPost && p.Group == ""
}

// Why a connection is restricted: its status_reason.
const (
	ReasonContractExpired = "contract_expired"
	ReasonCreditBlocked   = "credit_blocked"
	ReasonProductsExpired = "all_products_expired"
)

// Restriction is the reason why nothing can be shipped on this contract, empty
// if there is none. An account can be valid while every product of it has
// expired (contract: "Known traps" 12); one without products is not restricted.
func (c Contract) Restriction() string {
	switch {
	case c.Expired:
		return ReasonContractExpired
	case c.CreditBlocked:
		return ReasonCreditBlocked
	}
	for _, p := range c.Products {
		if !p.Expired {
			return ""
		}
	}
	if len(c.Products) == 0 {
		return ""
	}
	return ReasonProductsExpired
}

// openEnd is the carrier's valid_to of a contract without an end.
const openEnd = "2999-12-31"

// aest is the carrier's clock: its dates change at midnight in Melbourne. An
// hour of daylight saving does not matter to a count of days.
var aest = time.FixedZone("AEST", 10*60*60)

// DaysUntil counts the days from now to a date of the carrier's, negative once
// it is past; ok is false for an open end and for what is no date.
func DaysUntil(date string, now time.Time) (days int, ok bool) {
	end, err := time.Parse(time.DateOnly, date)
	if err != nil || date == openEnd {
		return 0, false
	}
	y, m, d := now.In(aest).Date()
	// In seconds: a Duration ends after 292 years, before some contracts do.
	return int((end.Unix() - time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()) / (24 * 60 * 60)), true
}
