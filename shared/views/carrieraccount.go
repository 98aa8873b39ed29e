package views

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// CarrierAccount is the carrier's account of a connection, live or stored.
type CarrierAccount struct {
	CarrierID     string           `json:"carrier_id"`
	CarrierCode   string           `json:"carrier_code"`
	Account       json.RawMessage  `json:"account"` // as the carrier sent it
	Summary       ContractSummary  `json:"summary"`
	RefreshedAt   *string          `json:"refreshed_at"`
	AgeSeconds    int64            `json:"age_seconds"`
	Source        string           `json:"source"` // stored or live
	Stale         bool             `json:"stale"`  // older than the caller asked for
	StaleReason   *string          `json:"stale_reason"`
	NextRefreshAt *string          `json:"next_refresh_at"`
	Diagnosis     *fault.Diagnosis `json:"diagnosis"`
}

// ContractSummary is the part of the carrier's answer that we understand.
type ContractSummary struct {
	AccountNumber      string               `json:"account_number"`
	Name               string               `json:"name"`
	ValidFrom          *string              `json:"valid_from"`
	ValidTo            *string              `json:"valid_to"`
	Expired            bool                 `json:"expired"`
	ExpiresInDays      *int                 `json:"expires_in_days"`
	CreditBlocked      bool                 `json:"credit_blocked"`
	RestrictedReason   *string              `json:"restricted_reason"`
	MerchantLocationID *string              `json:"merchant_location_id"`
	Products           []connection.Product `json:"products"`
}

// NewCarrierAccount returns the view of a carrier's account. Its age is that of the last
// good check, because a check without changes does not write the snapshot.
func NewCarrierAccount(r connection.CarrierAccount, now time.Time) CarrierAccount {
	conn, contract := r.Connection, r.Contract
	a := CarrierAccount{
		CarrierID: conn.ID, CarrierCode: string(conn.Carrier), Account: r.Raw, Source: "stored",
		Stale: r.Stale, StaleReason: httpapi.Text(r.StaleReason), Diagnosis: r.Diagnosis,
		RefreshedAt: httpapi.Time(conn.VerifiedAt), NextRefreshAt: httpapi.Time(conn.NextRefreshAt), AgeSeconds: max(0, int64(now.Sub(conn.VerifiedAt)/time.Second)),
		Summary: ContractSummary{
			AccountNumber: contract.AccountNumber, Name: contract.Name, ValidFrom: httpapi.Text(contract.ValidFrom), ValidTo: httpapi.Text(contract.ValidTo),
			Expired: contract.Expired, ExpiresInDays: DaysUntil(contract.ValidTo, now), CreditBlocked: contract.CreditBlocked,
			RestrictedReason: httpapi.Text(contract.Restriction()), MerchantLocationID: httpapi.Text(contract.MerchantLocationID), Products: append([]connection.Product{}, contract.Products...),
		},
	}
	if r.Live {
		a.Source = "live"
	}
	return a
}

// ETag returns a weak entity tag. Answers with the same tag differ only in times and
// source.
func (a CarrierAccount) ETag() string {
	a.RefreshedAt, a.AgeSeconds, a.NextRefreshAt, a.Source = nil, 0, nil, ""
	sum := sha256.Sum256(httpapi.JSON(http.StatusOK, a).Body)
	return `W/"` + hex.EncodeToString(sum[:16]) + `"`
}
