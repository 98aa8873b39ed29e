package simulator

import _ "embed" // the example bodies

var (
	//go:embed examples/account_auspost.json
	accountAusPost string
	//go:embed examples/account_startrack.json
	accountStarTrack string
	//go:embed examples/error_41001.json
	error41001 string
	//go:embed examples/error_41002.json
	error41002 string
	//go:embed examples/error_41003.json
	error41003 string
	//go:embed examples/error_41007.json
	error41007 string
	//go:embed examples/error_unauthorized.json
	errorUnauthorized string
	//go:embed examples/error_rate_limited.json
	errorRateLimited string
	//go:embed examples/error_legacy_errormessage.json
	errorLegacy string
	//go:embed examples/error_gateway_503.html
	errorGateway503 string
	//go:embed examples/track_ok.json
	trackOK string
	//go:embed examples/track_ok_consignment_nested.json
	trackNested string
	//go:embed examples/track_startrack_ok.json
	trackStarTrack string
	//go:embed examples/track_startrack_delivered.json
	trackStarTrackDelivered string
	//go:embed examples/track_startrack_item.json
	trackStarTrackItem string
	//go:embed examples/track_startrack_partial.json
	trackStarTrackPartial string
	//go:embed examples/track_consignment.json
	trackConsignment string
	//go:embed examples/track_error.json
	trackError string
	//go:embed examples/track_error_51101.json
	error51101 string
	//go:embed examples/track_error_51103.json
	error51103 string
	//go:embed examples/address_ok.json
	addressOK string
	//go:embed examples/address_error_400.json
	addressError string
)

// Bodies of which only the codes are published (infra/docs/auspost.md, "Codes").
const (
	errorNoContractID = `{"errors":[{"code":"40001","name":"JSON_NO_CONTRACT_ID","message":"Charge account not found"}]}`
	error51100        = `{"errors":[{"code":"51100","name":"TRACKING_IDS_MISSING","message":"The request must contain at least one tracking id."}]}`
	error51102        = `{"errors":[{"code":"51102","name":"TOO_MANY_ST_TRACKING_IDS","message":"The request must contain 10 or less StarTrack consignment ids."}]}`
)
