package connection

// Difference is one difference between two answers of a carrier about the same
// charge account. Values are shown only where the service knows what they are.
type Difference struct {
	Type      DifferenceType `json:"type"`
	ProductID string         `json:"product_id,omitempty"` // of a product's change
	Field     string         `json:"field,omitempty"`      // of ChangedField: the member's path, such as details.lodgement_postcode
	From      string         `json:"from,omitempty"`
	To        string         `json:"to,omitempty"`
}

// DifferenceType is what kind of difference it is.
type DifferenceType string

// The differences by meaning. A product that goes while another one of the same
// type and group comes has been re-coded, as 3D35 to 3D85 on a renewal
// (contract: "Known traps" 13).
const (
	ChangedExpired       DifferenceType = "expired"          // true, false
	ChangedValidTo       DifferenceType = "valid_to"         // dates
	ChangedCreditBlocked DifferenceType = "credit_blocked"   // true, false
	ChangedAddress       DifferenceType = "address"          // no values
	ProductAdded         DifferenceType = "product_added"    // To is its type
	ProductRemoved       DifferenceType = "product_removed"  // From is its type
	ProductRecoded       DifferenceType = "product_recoded"  // product ids
	ProductExpired       DifferenceType = "product_expired"  // true, false
	ProductValidTo       DifferenceType = "product_valid_to" // dates
	ChangedField         DifferenceType = "changed"          // anything else, by its path
)

// MaxDifferences is how many changes of one check are kept. An answer that differs
// in more has become another one.
const MaxDifferences = 100
