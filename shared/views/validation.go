package views

import (
	"strings"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// Validation is the result of a dry run of a link.
type Validation struct {
	Valid          bool              `json:"valid"`
	Checks         []ValidationCheck `json:"checks"`
	AccountPreview *AccountPreview   `json:"account_preview"`
	Diagnosis      *fault.Diagnosis  `json:"diagnosis"` // of the first check that failed
}

// ValidationCheck is the result of one check, with its problems or its warning.
type ValidationCheck struct {
	Name              string  `json:"name"`
	Passed            bool    `json:"passed"`
	Warning           bool    `json:"warning"` // passed, but with a message
	Message           *string `json:"message"`
	ExistingCarrierID string  `json:"existing_carrier_id,omitempty"` // if the charge account is already linked
}

// AccountPreview shows enough of a carrier's account for its owner to recognise it.
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

// Add appends a check.
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

// NewAccountPreview returns the view of the carrier's answer about a charge account.
func NewAccountPreview(account connection.ChargeAccount, c connection.Contract, now time.Time) *AccountPreview {
	return &AccountPreview{
		Name: httpapi.Text(c.Name), Suburb: httpapi.Text(c.Suburb), State: httpapi.Text(c.State), ABNLastThree: httpapi.Text(c.ABNLastThree),
		AccountNumberMasked: connection.MaskNumber(account.Number),
		ValidTo:             httpapi.Text(c.ValidTo), ExpiresInDays: DaysUntil(c.ValidTo, now), RestrictedReason: httpapi.Text(c.Restriction()), Products: append([]connection.Product{}, c.Products...),
	}
}
