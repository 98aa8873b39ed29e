package functiontest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"carrierlink/infra/local/emulator"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/mail"
	"carrierlink/shared/queue"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
)

// Password is the password of all logins of a fixture. A Browser fails if an answer or the log
// shows it.
const Password = "seven green canary kettles"

// Mails are the mails that were queued.
type Mails struct {
	mu   sync.Mutex
	all  []mail.Message
	err  error
	next signin.Mailer // nil: they end here
}

// Queue queues a mail.
func (m *Mails) Queue(ctx context.Context, message mail.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.all = append(m.all, message)
	if m.next != nil {
		return m.next.Queue(ctx, message)
	}
	return nil
}

// Fail makes Queue return an error from now on; nil makes it work again.
func (m *Mails) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// Take returns the mails since the last call.
func (m *Mails) Take() []mail.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.all
	m.all = nil
	return taken
}

// toSomebody counts the mails since the last Take that are not dropped.
func (m *Mails) toSomebody() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, message := range m.all {
		if message.AccountID != 0 {
			n++
		}
	}
	return n
}

// QueueMails also queues the mails in SQS from now on. The fixture must be on both engines.
func (d *Fixture) QueueMails() {
	d.t.Helper()
	made, err := sqs.NewFromConfig(emulator.Config(d.engines.secrets)).CreateQueue(d.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(d.table + "-mails")})
	d.ok(err)
	d.Mails.next = queue.NewMails(sqs.NewFromConfig(d.Transport.Config(d.engines.secrets)), *made.QueueUrl, d.Sealer())
}

// Hashes returns how many passwords the last request has hashed or checked.
func (d *Fixture) Hashes() int { return int(d.last.hashes.Load()) }

func (d *Fixture) addSignIn() {
	d.Mails = &Mails{}
	d.SignIn = &signin.Service{
		Store: d.Store, Mailer: d.Mails, EmailKey: email.Key,
		Hash: func(random io.Reader, password secret.Text) (string, error) {
			d.last.hashes.Add(1)
			return cheapHash(random, password)
		},
		Check: func(hash string, password secret.Text) error {
			d.last.hashes.Add(1)
			return cheapCheck(hash, password)
		},
		Idle: 2 * time.Hour, Longest: 12 * time.Hour, Now: d.Now, Random: rand.Reader,
	}
}

// cheapHash stands for argon2id, which takes most of the time of a test that signs in.
func cheapHash(random io.Reader, password secret.Text) (string, error) {
	salt := make([]byte, 8)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", err
	}
	return cheap(hex.EncodeToString(salt), password), nil
}

func cheap(salt string, password secret.Text) string {
	sum := sha256.Sum256([]byte(salt + password.Reveal()))
	return salt + hex.EncodeToString(sum[:])
}

// cheapCheck returns what password.Check returns.
func cheapCheck(hash string, password secret.Text) error {
	if len(hash) > 16 && subtle.ConstantTimeCompare([]byte(cheap(hash[:16], password)), []byte(hash)) == 1 {
		return nil
	}
	return fault.New(fault.Unauthorized, "The email or the password is wrong.")
}

// AddLogin gives an account an email, which it returns, and Password.
func (d *Fixture) AddLogin(accountID int64) (address string) {
	d.t.Helper()
	a, err := d.Store.Account(d.t.Context(), accountID, d.Now())
	d.ok(err)
	address = "owner" + strconv.FormatInt(accountID, 10) + "@example.com"
	hash, err := cheapHash(rand.Reader, secret.New(Password))
	d.ok(err)
	_, err = d.Accounts.Change(d.t.Context(), account.Change{Account: a, Edit: func(a *account.Account) error {
		a.Email, a.PasswordHash = address, hash
		return nil
	}}, effects.MadeBy[*account.Account](effects.By{Actor: effects.Operator}))
	d.ok(err)
	return address
}

// SignIn signs the browser in through the page, and fails the test if it cannot.
func (b *Browser) SignIn(address, password string) *Shown {
	b.d.t.Helper()
	const page = "/portal/sign-in"
	s := b.Submit(b.Get(page), page, url.Values{"email": {address}, "password": {password}})
	if s.Status != http.StatusSeeOther || b.Cookies["__Host-session"] == "" {
		b.d.t.Fatalf("signing in: %d:\n%s", s.Status, s.Text())
	}
	return s
}

// Enter signs the browser in as the partner of an account does, and fails the test if it cannot.
func (b *Browser) Enter(accountID int64) *Shown {
	b.d.t.Helper()
	a, err := b.d.Store.Account(b.d.t.Context(), accountID, b.d.Now())
	b.d.ok(err)
	made, err := b.d.SignIn.Ephemeral(b.d.t.Context(), a, effects.By{Actor: effects.Partner, PartnerID: a.PartnerID, AccountID: a.ID})
	b.d.ok(err)
	page := "/portal/enter/" + made.Text.Reveal()
	s := b.Submit(b.Get(page), page, nil)
	if s.Status != http.StatusSeeOther || b.Cookies["__Host-session"] == "" {
		b.d.t.Fatalf("entering: %d:\n%s", s.Status, s.Body)
	}
	return s
}
