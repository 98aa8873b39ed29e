package breakers

import (
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
	breakerFields(kit.Store(it), &b)
	return it
}

// readBreaker reads a carrier's breaker; without an item it is closed.
func readBreaker(name carrier.Name, it kit.Item) (health.Breaker, error) {
	b := health.Breaker{Carrier: name}
	f := kit.Load(it)
	breakerFields(f, &b)
	return b, f.Reader.Done("breaker")
}

func breakerFields(f *kit.Fields, b *health.Breaker) {
	f.Bool("open", &b.Open)
	f.Text("failure", &b.Failure)
	f.Time("changed_at", &b.ChangedAt)
	f.Time("probe_at", &b.ProbeAt)
	f.Time("control_at", &b.ControlAt)
	f.Int(kit.AttrVersion, &b.Version)
	outageFields(f, &b.Outage)
	kit.List(f, "peers", &b.Peers, peerFields)
	kit.List(f, "doubts", &b.Doubts, doubtFields)
}

func outageFields(f *kit.Fields, o *health.Outage) {
	f.Time("outage_began_at", &o.BeganAt)
	f.Time("outage_ended_at", &o.EndedAt)
	f.Text("outage_failure", &o.Failure)
	f.Time("outage_at", &o.At)
	f.Bool("outage_told", &o.Told)
	f.Int("outage_after", &o.After)
}

func peerFields(f *kit.Fields, p *health.Peer) {
	connectionFields(f, &p.PartnerID, &p.AccountID, &p.ConnectionID, &p.CredentialID)
	f.Time("well_at", &p.LastGoodAt)
	f.Time("refused_at", &p.RefusedAt)
	f.Time("tried_at", &p.TriedAt)
}

func doubtFields(f *kit.Fields, d *health.Doubt) {
	connectionFields(f, &d.PartnerID, &d.AccountID, &d.ConnectionID, &d.CredentialID)
	f.Time("since", &d.Since)
	f.Time("at", &d.At)
}

func connectionFields(f *kit.Fields, partnerID, accountID *int64, connectionID, credentialID *string) {
	f.Int(kit.AttrPartnerID, partnerID)
	f.Int(kit.AttrAccountID, accountID)
	f.Text("carrier_id", connectionID)
	f.Text("credential_id", credentialID)
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
