package carrier

// Change is one difference between two answers of a carrier about the same
// charge account. Values are shown only where the service knows what they are.
type Change struct {
	Type      ChangeType `json:"type"`
	ProductID string     `json:"product_id,omitempty"` // of a product's change
	Field     string     `json:"field,omitempty"`      // of ChangedField: the member's path, such as details.lodgement_postcode
	From      string     `json:"from,omitempty"`
	To        string     `json:"to,omitempty"`
}

// ChangeType is what kind of difference it is.
type ChangeType string

// The differences by meaning. A product that goes while another one of the same
// type and group comes has been re-coded, as 3D35 to 3D85 on a renewal
// (contract: "Known traps" 13).
const (
	ChangedExpired       ChangeType = "expired"          // true, false
	ChangedValidTo       ChangeType = "valid_to"         // dates
	ChangedCreditBlocked ChangeType = "credit_blocked"   // true, false
	ChangedAddress       ChangeType = "address"          // no values
	ProductAdded         ChangeType = "product_added"    // To is its type
	ProductRemoved       ChangeType = "product_removed"  // From is its type
	ProductRecoded       ChangeType = "product_recoded"  // product ids
	ProductExpired       ChangeType = "product_expired"  // true, false
	ProductValidTo       ChangeType = "product_valid_to" // dates
	ChangedField         ChangeType = "changed"          // anything else, by its path
)

// MaxChanges is how many changes of one check are kept. An answer that differs
// in more has become another one.
const MaxChanges = 100
