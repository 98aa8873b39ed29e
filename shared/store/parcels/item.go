package parcels

import (
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/parcel"
	"carrierlink/shared/store/kit"
)

const (
	attrParcels = "parcels" // of the count, and of a day's
	attrDueAt   = "due_at"
)

func parcelItem(p *parcel.Parcel) kit.Item {
	it := kit.ParcelKey(p.AccountID, p.Carrier, p.Number).Item()
	stored := *p
	fields(kit.Store(it), &stored)
	it.Seconds(kit.AttrTTL, p.ExpiresAt())
	if p.Active() {
		it.Text(kit.AttrDuePK, kit.LooksPK(p.AccountID, p.ConnectionID, p.Brand))
		it.Text(kit.AttrDueKey, kit.LookKey(p.NextLookAt, p.Number))
	}
	return it
}

func parcelFromItem(it kit.Item) (parcel.Parcel, error) {
	var p parcel.Parcel
	f := kit.Load(it)
	fields(f, &p)
	return p, f.Reader.Done("parcel")
}

func fields(f *kit.Fields, p *parcel.Parcel) {
	f.Int(kit.AttrAccountID, &p.AccountID)
	f.Int(kit.AttrPartnerID, &p.PartnerID)
	f.Text("carrier_name", (*string)(&p.Carrier))
	f.Text("tracking_number", &p.Number)
	f.Text("carrier_id", &p.ConnectionID)
	f.Time("registered_at", &p.RegisteredAt)
	f.Text(kit.AttrStatus, (*string)(&p.Status))
	f.Text("detail", &p.Detail)
	f.Text("statuses", &p.Statuses)
	f.Time("changed_at", &p.ChangedAt)
	f.Time("looked_at", &p.LookedAt)
	f.Time("next_look_at", &p.NextLookAt)
	f.Text("brand", (*string)(&p.Brand))
	f.Count("beside", &p.Beside)
	f.Text("end", (*string)(&p.End))
	f.Time("ended_at", &p.EndedAt)
	f.Int(kit.AttrVersion, &p.Version)
}

func roundItem(r *parcel.Round) kit.Item {
	it := kit.RoundKey(r.AccountID, r.ConnectionID).Item()
	stored := *r
	roundFields(kit.Store(it), &stored)
	it.Text(kit.AttrDuePK, kit.RoundPK(r.Lane, kit.ShardOf(r.Lane, r.ConnectionID)))
	it.Text(kit.AttrDueKey, kit.RefreshKey(r.DueAt, r.CredentialID, r.PartnerID))
	return it
}

func roundFromItem(it kit.Item) (parcel.Round, error) {
	var r parcel.Round
	f := kit.Load(it)
	roundFields(f, &r)
	return r, f.Reader.Done("round")
}

func roundFields(f *kit.Fields, r *parcel.Round) {
	f.Int(kit.AttrAccountID, &r.AccountID)
	f.Int(kit.AttrPartnerID, &r.PartnerID)
	f.Text("carrier_id", &r.ConnectionID)
	f.Text("carrier_name", (*string)(&r.Carrier))
	f.Text("credential_id", &r.CredentialID)
	f.Text("lane", (*string)(&r.Lane))
	f.Time(attrDueAt, &r.DueAt)
	f.Time("registered_at", &r.RegisteredAt)
	f.Time(kit.AttrLease, &r.LeaseUntil)
	f.Count("failures", &r.Failures)
	f.Bool("empty", &r.Empty)
	f.Count(kit.AttrReads, &r.Reads.Count)
	f.Text(kit.AttrReadsDay, &r.Reads.Day)
	f.Int(kit.AttrVersion, &r.Version)
}

// readDue reads an entry of ROUNDS in by_due, which holds keys only.
func readDue(it kit.Item) (connection.Due, error) {
	r := kit.Reader{It: it}
	at, credential, partner, err := kit.ParseRefreshKey(r.Text(kit.AttrDueKey))
	if err != nil {
		return connection.Due{}, err
	}
	account, conn, err := kit.ParseRound(r.Key())
	if err != nil {
		return connection.Due{}, err
	}
	return connection.Due{AccountID: account, ConnectionID: conn, CredentialID: credential, PartnerID: partner, DueAt: at}, r.Done("due round")
}

// brands are the brands that the parcels of a round may have.
func brands() []carrier.Name { return carrier.Names() }
