package webhooks

import (
	"strconv"
	"strings"

	"carrierlink/shared/effects"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/webhook"
)

// item returns the item of a list.
func item(l *webhook.List) kit.Item {
	it := kit.WebhooksKey(l.PartnerID, l.AccountID).Item()
	fields(kit.Store(it), l)
	if !l.SealedAt.IsZero() {
		it.Text(kit.AttrDuePK, kit.SealedPK)
		it.Text(kit.AttrDueKey, kit.RepairKey(l.SealedAt))
	}
	return it
}

// fromItem reads a list from its item.
func fromItem(it kit.Item) (webhook.List, error) {
	var l webhook.List
	f := kit.Load(it)
	fields(f, &l)
	return l, f.Reader.Done(kit.PartWebhooks)
}

func fields(f *kit.Fields, l *webhook.List) {
	f.Int(kit.AttrPartnerID, &l.PartnerID)
	f.Int(kit.AttrAccountID, &l.AccountID)
	f.Int(kit.AttrVersion, &l.Version)
	f.Time("sealed_at", &l.SealedAt)
	f.Seconds(kit.AttrTTL, &l.EndsAt)
	kit.List(f, "webhooks", &l.Webhooks, webhookFields)
}

func webhookFields(f *kit.Fields, w *webhook.Webhook) {
	f.Text("webhook_id", &w.ID)
	f.Text("name", &w.Name)
	f.Text("url", &w.URL)
	storeID(f, w)
	eventTypes(f, w)
	f.Bytes("headers", &w.Headers)
	kit.List(f, "secrets", &w.Secrets, func(f *kit.Fields, s *webhook.SigningSecret) {
		f.Bytes(kit.AttrSealed, &s.Sealed)
		f.Time("until", &s.Until)
	})
	f.Time("disabled_at", &w.DisabledAt)
	f.Text("disabled_for", (*string)(&w.DisabledFor))
	f.Time("created_at", &w.CreatedAt)
	f.Time(kit.AttrModified, &w.ModifiedAt)
}

// storeID converts the store_id as a text: zero is a value, too.
func storeID(f *kit.Fields, w *webhook.Webhook) {
	var text string
	if w.StoreID != nil {
		text = strconv.FormatInt(int64(*w.StoreID), 10)
	}
	f.Text("store_id", &text)
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		id := int32(n)
		w.StoreID = &id
	}
}

// eventTypes converts the types as one text: none has a blank.
func eventTypes(f *kit.Fields, w *webhook.Webhook) {
	names := make([]string, len(w.Events))
	for i, t := range w.Events {
		names[i] = string(t)
	}
	text := strings.Join(names, " ")
	f.Text("events", &text)
	w.Events = nil
	for name := range strings.FieldsSeq(text) {
		w.Events = append(w.Events, effects.EventType(name))
	}
}
