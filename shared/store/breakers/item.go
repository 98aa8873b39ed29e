package breakers

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/health"
	"carrierlink/shared/store/kit"
)

func breakerItem(b health.Breaker) kit.Item {
	it := kit.BreakerKey(b.Carrier).Item()
	it.Text("carrier_name", string(b.Carrier))
	it.Bool("open", b.Open)
	it.Text("failure", b.Failure)
	it.Time("changed_at", b.ChangedAt)
	it.Time("probe_at", b.ProbeAt)
	it.Time("control_at", b.ControlAt)
	var peers, doubts []kit.Item
	for _, p := range b.Peers {
		one := connectionItem(p.PartnerID, p.AccountID, p.ConnectionID, p.CredentialID)
		one.Time("well_at", p.LastGoodAt)
		one.Time("refused_at", p.RefusedAt)
		one.Time("tried_at", p.TriedAt)
		peers = append(peers, one)
	}
	for _, d := range b.Doubts {
		one := connectionItem(d.PartnerID, d.AccountID, d.ConnectionID, d.CredentialID)
		one.Time("since", d.Since)
		one.Time("at", d.At)
		doubts = append(doubts, one)
	}
	it.Items("peers", peers)
	it.Items("doubts", doubts)
	it.Int(kit.AttrVersion, b.Version)
	return it
}

func connectionItem(partnerID, accountID int64, connectionID, credentialID string) kit.Item {
	it := kit.Item{}
	it.Int(kit.AttrPartnerID, partnerID)
	it.Int(kit.AttrAccountID, accountID)
	it.Text("carrier_id", connectionID)
	it.Text("credential_id", credentialID)
	return it
}

// readBreaker reads a carrier's breaker; without an item it is closed.
func readBreaker(name carrier.Name, it kit.Item) (health.Breaker, error) {
	r := kit.Reader{It: it}
	b := health.Breaker{
		Carrier:   name,
		Open:      r.Bool("open"),
		Failure:   r.Text("failure"),
		ChangedAt: r.Time("changed_at"),
		ProbeAt:   r.Time("probe_at"),
		ControlAt: r.Time("control_at"),
		Version:   r.Int(kit.AttrVersion),
	}
	for _, one := range r.Items("peers") {
		p := kit.Reader{It: one}
		b.Peers = append(b.Peers, health.Peer{
			PartnerID: p.Int(kit.AttrPartnerID), AccountID: p.Int(kit.AttrAccountID), ConnectionID: p.Text("carrier_id"), CredentialID: p.Text("credential_id"),
			LastGoodAt: p.Time("well_at"), RefusedAt: p.Time("refused_at"), TriedAt: p.Time("tried_at"),
		})
		r.Err = cmp.Or(r.Err, p.Err)
	}
	for _, one := range r.Items("doubts") {
		d := kit.Reader{It: one}
		b.Doubts = append(b.Doubts, health.Doubt{
			PartnerID: d.Int(kit.AttrPartnerID), AccountID: d.Int(kit.AttrAccountID), ConnectionID: d.Text("carrier_id"), CredentialID: d.Text("credential_id"),
			Since: d.Time("since"), At: d.Time("at"),
		})
		r.Err = cmp.Or(r.Err, d.Err)
	}
	return b, r.Done("breaker")
}

// voteText returns "<ms since 1970> <partner> <account> <credential id> <failure>".
func voteText(v health.Vote) string {
	return fmt.Sprintf("%d %d %d %s %s", v.At.UnixMilli(), v.PartnerID, v.AccountID, v.CredentialID, v.Failure)
}

func readVote(text string) (health.Vote, error) {
	f := strings.Split(text, " ")
	if len(f) != 5 {
		return health.Vote{}, errors.New("a vote does not have five fields")
	}
	var n [3]int64
	var errs [3]error
	for i := range n {
		n[i], errs[i] = strconv.ParseInt(f[i], 10, 64)
	}
	return health.Vote{At: time.UnixMilli(n[0]).UTC(), PartnerID: n[1], AccountID: n[2], CredentialID: f[3], Failure: f[4]}, errors.Join(errs[:]...)
}

func readTally(it kit.Item) (health.Tally, error) {
	r := kit.Reader{It: it}
	minute, err := kit.ParseTallySK(r.Text(kit.AttrSK))
	t := health.Tally{Minute: minute, Checks: int(r.Int(kit.AttrChecks)), Good: int(r.Int(kit.AttrGood))}
	for _, text := range r.Set(kit.AttrVotes) {
		v, wrong := readVote(text)
		t.Votes = append(t.Votes, v)
		err = errors.Join(err, wrong)
	}
	return t, errors.Join(r.Done("tally"), err)
}
