package views

import (
	"strings"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// Validation is what a dry run of a link found.
type Validation struct {
	Valid          bool              `json:"valid"`
	Checks         []ValidationCheck `json:"checks"`
	AccountPreview *AccountPreview   `json:"account_preview"`
	Diagnosis      *fault.Diagnosis  `json:"diagnosis"` // of the first check that has not passed
}

// ValidationCheck is one thing that was looked at, and what is wrong with it, or
// what it warns of.
type ValidationCheck struct {
	Name              string  `json:"name"`
	Passed            bool    `json:"passed"`
	Warning           bool    `json:"warning"` // it has passed, and its message is worth a look
	Message           *string `json:"message"`
	ExistingCarrierID string  `json:"existing_carrier_id,omitempty"` // of a charge account that is linked
}

// AccountPreview is enough of an account for its owner to know it again.
type AccountPreview struct {
	Name                *string              `json:"name"`
	Suburb              *string              `json:"suburb"`
	State               *string              `json:"state"`
	ABNLastThree        *string              `json:"abn_last_three"`
	AccountNumberMasked string               `json:"account_number_masked"`
	ValidTo             *string              `json:"valid_to"`
	ExpiresInDays       *int                 `json:"expires_in_days"`
	RestrictedReason    *string              `json:"restricted_reason"`
	Products            []connection.Product `json:"products"`
}

// Add notes a check, with what is wrong or what it warns of.
func (v *Validation) Add(found connection.PreflightCheck) {
	c := ValidationCheck{Name: found.Name, Passed: len(found.Problems) == 0, Warning: found.Warning != ""}
	messages := make([]string, 0, len(found.Problems)+1)
	for _, p := range found.Problems {
		messages = append(messages, p.Message)
		c.ExistingCarrierID = p.ExistingCarrierID
		if v.Diagnosis == nil {
			v.Diagnosis = p.Diagnosis
		}
	}
	if c.Warning {
		messages = append(messages, found.Warning)
	}
	c.Message = httpapi.Text(strings.Join(messages, " "))
	v.Checks = append(v.Checks, c)
	v.Valid = v.Valid && c.Passed
}

// NewAccountPreview shows what the carrier says of a charge account.
func NewAccountPreview(account connection.ChargeAccount, c connection.Contract, now time.Time) *AccountPreview {
	p := &AccountPreview{
		Name: httpapi.Text(c.Name), Suburb: httpapi.Text(c.Suburb), State: httpapi.Text(c.State), ABNLastThree: httpapi.Text(c.ABNLastThree),
		AccountNumberMasked: connection.MaskNumber(account.Number),
		ValidTo:             httpapi.Text(c.ValidTo), ExpiresInDays: DaysUntil(c.ValidTo, now), RestrictedReason: httpapi.Text(c.Restriction()), Products: c.Products,
	}
	if p.Products == nil {
		p.Products = []connection.Product{}
	}
	return p
}
