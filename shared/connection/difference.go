package connection

// Difference is a difference between two answers of a carrier about the same charge account.
// Values are shown only for fields that the service knows.
type Difference struct {
	Type      DifferenceType `json:"type"`
	ProductID string         `json:"product_id,omitempty"` // of a product's change
	Field     string         `json:"field,omitempty"`      // of ChangedField: its path, such as details.lodgement_postcode
	From      string         `json:"from,omitempty"`
	To        string         `json:"to,omitempty"`
}

// DifferenceType is the kind of a Difference.
type DifferenceType string

// The kinds. A removed product and an added one of the same type and group are a re-coded
// product, such as 3D35 to 3D85 on a renewal (auspost.md, "Known traps" 13).
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

// MaxDifferences is how many differences of one check are kept.
const MaxDifferences = 100
