package logins

import (
	"time"

	"carrierlink/shared/signin"
	"carrierlink/shared/store/kit"
)

// sessionItem returns the item of a session.
func sessionItem(s signin.Session) kit.Item {
	it := kit.SessionKey(s.AccountID, s.Hash).Item()
	sessionFields(kit.Store(it), &s)
	return it
}

// SessionFromItem reads a session from its item.
func SessionFromItem(it kit.Item) (signin.Session, error) {
	var s signin.Session
	f := kit.Load(it)
	sessionFields(f, &s)
	s.Hash = f.Reader.Text(kit.AttrSK)
	s.Hash = s.Hash[min(len(kit.SkSession), len(s.Hash)):]
	return s, f.Reader.Done("session")
}

func sessionFields(f *kit.Fields, s *signin.Session) {
	f.Int(kit.AttrAccountID, &s.AccountID)
	f.Int(kit.AttrPartnerID, &s.PartnerID)
	f.Text("method", (*string)(&s.Method))
	f.Int(kit.AttrEpoch, &s.Epoch)
	f.Time("created_at", &s.CreatedAt)
	f.Time(kit.AttrLastSeen, &s.LastSeenAt)
	f.Time("confirmed_at", &s.ConfirmedAt)
	f.Seconds(kit.AttrTTL, &s.EndsAt)
	f.Text("browser", &s.Browser)
	f.Text("ip", &s.IP)
}

// LoginFromItem reads a login; without an item it is that of an account to which nobody has
// signed in.
func LoginFromItem(it kit.Item) (signin.Login, error) {
	r := kit.Reader{It: it}
	return signin.Login{Epoch: r.Int(kit.AttrEpoch), Browsers: r.Set(kit.AttrBrowsers)}, r.Done("login")
}

func tokenItem(t signin.Token) kit.Item {
	it := kit.TokenKey(t.Hash).Item()
	tokenFields(kit.Store(it), &t)
	return it
}

func tokenFromItem(it kit.Item, hash string) (signin.Token, error) {
	t := signin.Token{Hash: hash}
	f := kit.Load(it)
	tokenFields(f, &t)
	return t, f.Reader.Done("token")
}

func tokenFields(f *kit.Fields, t *signin.Token) {
	f.Text("kind", (*string)(&t.Kind))
	f.Int(kit.AttrAccountID, &t.AccountID)
	f.Int(kit.AttrPartnerID, &t.PartnerID)
	f.Text("email", &t.Email)
	f.Int(kit.AttrEpoch, &t.Epoch)
	f.Int("api_key_id", &t.APIKeyID)
	f.Seconds(kit.AttrTTL, &t.ExpiresAt)
}

// attemptsKept is how long the table keeps attempts that no longer count.
const attemptsKept = time.Hour
