package views

import (
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// LinkInput is the body of a link and of its dry run.
type LinkInput struct {
	ChargeAccount
	Nickname       string
	AllowDuplicate bool
	RefreshPolicy  connection.RefreshPolicy // default: daily
	ExternalID     string
	Metadata       map[string]string
	VerifyLater    bool
}

// Fields returns the fields of the body. The charge account is required, and so is the
// nickname except in a dry run.
func (b *LinkInput) Fields(dryRun bool) []httpapi.Field {
	nickname := httpapi.String("nickname", &b.Nickname, connection.NicknameRule.Clean)
	nickname.Required = !dryRun
	b.RefreshPolicy = connection.RefreshDaily
	return []httpapi.Field{
		nickname,
		httpapi.Require(b.Number()),
		httpapi.Require(b.Key()),
		httpapi.Require(b.Secret()),
		httpapi.Bool("allow_duplicate_account_number", &b.AllowDuplicate),
		RefreshPolicy("refresh_policy", &b.RefreshPolicy),
		httpapi.String("external_carrier_id", &b.ExternalID, account.ExternalIDRule.Clean),
		httpapi.Metadata("metadata", &b.Metadata),
		httpapi.String("verify", new(string), func(field, s string) (string, *fault.Error) {
			b.VerifyLater = s == "later"
			if s != "later" && s != "now" {
				return "", fault.Field(fault.Invalid, field, "%s must be now or later.", field)
			}
			return s, nil
		}),
	}
}

// RefreshPolicy is a field that is a refresh policy.
func RefreshPolicy(name string, dst *connection.RefreshPolicy) httpapi.Field {
	return httpapi.String(name, (*string)(dst), func(field, s string) (string, *fault.Error) {
		policy, problem := connection.ParseRefreshPolicy(field, s)
		return string(policy), problem
	})
}

// CarrierName parses the path parameter carrier_name: fault.Identifier if it is malformed,
// NotSupported for an unknown carrier.
func CarrierName(r *httpapi.Request) (carrier.Name, error) {
	const name = "carrier_name"
	param, err := r.Param(name)
	if err != nil {
		return "", err
	}
	return carrier.ParseName(name, param)
}
