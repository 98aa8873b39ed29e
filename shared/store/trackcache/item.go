package trackcache

import (
	"carrierlink/shared/store/kit"
	"carrierlink/shared/tracking"
)

func trackingItem(accountID int64, connectionID string, t tracking.Cached) kit.Item {
	it := kit.TrackingKey(accountID, connectionID, t.Number).Item()
	it.Time("at", t.At)
	it.Bytes("body", t.Body)
	it.Seconds(kit.AttrTTL, t.ExpiresAt)
	return it
}

func readTracking(it kit.Item) (tracking.Cached, error) {
	r := kit.Reader{It: it}
	return tracking.Cached{Number: r.Text(kit.AttrSK), At: r.Time("at"), Body: r.Bytes("body"), ExpiresAt: r.Seconds(kit.AttrTTL)}, r.Done("tracking")
}
