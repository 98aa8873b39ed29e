package crash

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"carrierlink/infra/local/emulator"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/mail"
	"carrierlink/shared/password"
	"carrierlink/shared/queue"
	"carrierlink/shared/seal"
	shared "carrierlink/shared/secret"
	"carrierlink/shared/signin"
	"carrierlink/shared/store/kit"
)

const (
	ownPassword = "five brown clay teapots"
	newPassword = "nine silver tin lanterns"
	mailFrom    = "no-reply@carrierlink.example"
	publicURL   = "https://api.example.com"
)

// owner is the person who owns the account of a world, at their browser.
type owner struct {
	email string
	queue string                         // URL of the queue of mails; empty: mail is off
	sign  shared.Text                    // the cookie of the session; none: not signed in
	link  shared.Text                    // the text of a link that was mailed
	page  events.APIGatewayProxyResponse // the last answer
	mails map[string]mail.Message        // that were queued, by the id of the queue's message
	body  string                         // of the message of a mail that is to be sent
}

// newEmail is the address that the owner changes to.
func (o *owner) newEmail() string { return "new." + o.email }

// portalScenarios are the forms of the pages, and the mails.
func portalScenarios() []scenario {
	changed := uuid()
	const carriers, here = "/portal/carriers", `^/portal/carriers/se-\d+\?done=`
	credentials := []string{"nickname", "Main", "account_number", number, "api_key", changed, "api_secret", "x0a1b2c3d4e5f6071829"}
	change := func(w *world) any { return w.form(carriers+"/"+w.path()["carrier_id"]+"/change", credentials...) }
	linked := func(w *world) { w.signIn(); w.linked() }
	return []scenario{
		{
			name: "sign-in", function: "portal", arrange: (*world).mailable, always: (*world).signedInOrNot,
			event:    func(w *world) any { return w.form("/portal/sign-in", "email", w.owner.email, "password", ownPassword) },
			statuses: []int{http.StatusSeeOther}, check: (*world).signedIn,
		},
		{
			// The repeat of a form that has set the password finds the link used.
			name: "password by link", function: "portal", arrange: func(w *world) { w.signIn(); w.forgot() }, always: (*world).onePassword,
			event:    func(w *world) any { return w.form("/portal/reset/"+w.owner.link.Reveal(), "password", newPassword) },
			statuses: []int{http.StatusSeeOther, http.StatusNotFound}, check: (*world).passwordIsNew,
		},
		{
			// The repeat of a form that has set the password finds its own session ended.
			name: "change of the password", function: "portal", arrange: func(w *world) { w.signIn(); w.forgot() }, always: (*world).onePassword,
			event:    func(w *world) any { return w.form("/portal/account/password", "password", newPassword) },
			statuses: []int{http.StatusSeeOther}, check: (*world).passwordIsNew,
		},
		{
			name: "request of another email", function: "portal", arrange: (*world).signIn, always: (*world).emailRequestedOrNot,
			event:    func(w *world) any { return w.form("/portal/account/email", "email", w.owner.newEmail()) },
			statuses: []int{http.StatusSeeOther}, check: (*world).emailRequested,
		},
		{
			name: "another email by link", function: "portal", arrange: func(w *world) { w.signIn(); w.emailChanging() }, always: (*world).oneEmail,
			event:    func(w *world) any { return w.form("/portal/verify-email/" + w.owner.link.Reveal()) },
			statuses: []int{http.StatusSeeOther, http.StatusNotFound}, check: (*world).emailIsNew,
		},
		{
			name: "link by form", function: "portal", arrange: (*world).signIn,
			event: func(w *world) any {
				return w.form(carriers+"/new/australia_post", "nickname", "Main", "account_number", number, "api_key", w.apiKey, "api_secret", "xa1b2c3d4e5f60718293")
			},
			statuses: []int{http.StatusSeeOther}, check: func(w *world, when string) {
				w.led(when, here+"linked$")
				w.one(when, number, w.apiKey)
			},
		},
		{
			name: "change of the credentials by form", function: "portal", arrange: linked, event: change,
			statuses: []int{http.StatusSeeOther}, check: func(w *world, when string) {
				w.led(when, here+"changed$")
				w.one(when, number, changed)
				w.previous(when, number, w.apiKey)
			},
		},
		{
			name: "rollback by form", function: "portal",
			arrange: func(w *world) {
				linked(w)
				w.must("manage-connections", request(http.MethodPut, connRoute, w.path(), w.key, "", fmt.Sprintf(`{"api_key":%q,"api_secret":"x0a1b2c3d4e5f6071829"}`, changed)))
			},
			event:    func(w *world) any { return w.form(carriers + "/" + w.path()["carrier_id"] + "/rollback") },
			statuses: []int{http.StatusSeeOther}, check: func(w *world, when string) {
				w.led(when, here+"rolled_back$")
				w.one(when, number, w.apiKey)
				w.previous(when, number, changed)
			},
		},
		{
			name: "disconnect by form", function: "portal", arrange: linked,
			event:    func(w *world) any { return w.form(carriers + "/" + w.path()["carrier_id"] + "/disconnect") },
			statuses: []int{http.StatusSeeOther}, check: func(w *world, when string) {
				w.led(when, `^/portal/carriers\?done=disconnected$`)
				w.disconnected(when)
			},
		},
		{
			name: "reveal", function: "portal", arrange: linked, always: (*world).shownIsKnown,
			event:    func(w *world) any { return w.form(carriers + "/" + w.path()["carrier_id"] + "/reveal") },
			statuses: []int{http.StatusOK}, check: func(w *world, when string) {
				if !strings.Contains(w.owner.page.Body, w.apiKey) || w.happened(when, effects.SecretShown) == 0 {
					w.t.Errorf("%s: the key is not shown, or nothing tells that it was", when)
				}
			},
		},
		{
			name: "mail", function: "send-mail", arrange: (*world).toBeSent, always: (*world).sentIfRecorded,
			event: func(w *world) any {
				return events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m-1", Body: w.owner.body}}}
			},
			check: func(w *world, when string) {
				if n := len(w.sent(when)); n < 1 || n > 2 || !w.recorded(when) {
					w.t.Errorf("%s: the mail was sent %d times, recorded: %t; want once or twice, and recorded", when, n, w.recorded(when))
				}
			},
		},
	}
}

// form returns the POST of a form of the pages by the owner's browser: fields are names and
// values by turns.
func (w *world) form(path string, fields ...string) events.APIGatewayProxyRequest {
	values := url.Values{"form_id": {"form-1"}}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	header := map[string][]string{
		"Host": {"api.example.com"}, "Origin": {publicURL}, "Sec-Fetch-Site": {"same-origin"}, "User-Agent": {browser().UserAgent},
		"Content-Type": {"application/x-www-form-urlencoded"},
	}
	if !w.owner.sign.IsZero() {
		header["Cookie"] = []string{"__Host-session=" + w.owner.sign.Reveal()}
	}
	return events.APIGatewayProxyRequest{
		HTTPMethod: http.MethodPost, Path: path, Resource: "/portal/{proxy+}", PathParameters: map[string]string{"proxy": strings.TrimPrefix(path, "/portal/")},
		MultiValueHeaders: header, Body: base64.StdEncoding.EncodeToString([]byte(values.Encode())), IsBase64Encoded: true,
		RequestContext: events.APIGatewayProxyRequestContext{Identity: events.APIGatewayRequestIdentity{SourceIP: browser().IP}},
	}
}

func browser() signin.Client {
	return signin.Client{IP: "203.0.113.7", UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"}
}

// led checks where the last answer leads, if it is not that of a link that was used.
func (w *world) led(when, pattern string) {
	w.t.Helper()
	to := http.Header(w.owner.page.MultiValueHeaders).Get("Location")
	if w.owner.page.StatusCode != http.StatusNotFound && !regexp.MustCompile(pattern).MatchString(to) {
		w.t.Errorf("%s: %d leads to %q, want %s\n%s", when, w.owner.page.StatusCode, to, pattern, w.logs())
	}
}

// kept is a signin.Mailer that keeps the mails.
type kept []mail.Message

func (k *kept) Queue(_ context.Context, m mail.Message) error {
	*k = append(*k, m)
	return nil
}

// logins returns the use cases of sign-in, and the mails that they queue.
func (w *world) logins() (*signin.Service, *kept) {
	mails := &kept{}
	return &signin.Service{
		Store: w.table, Mailer: mails, EmailKey: email.Key, Hash: password.Hash, Check: password.Check, Now: time.Now, Random: rand.Reader,
		Idle: 2 * time.Hour, Longest: 12 * time.Hour,
	}, mails
}

// sealer returns what seals under the service secret.
func (w *world) sealer() *seal.Sealer {
	return seal.New(func(context.Context) (shared.Text, error) { return shared.New(serviceSecret), nil }, time.Now)
}

// mailable makes the queue of mails.
func (w *world) mailable() {
	w.t.Helper()
	made, err := sqs.NewFromConfig(emulator.Config(w.emulatorURL)).CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: aws.String(w.name + "-mails")})
	if err != nil {
		w.t.Errorf("making the queue of mails: %v", err)
		return
	}
	w.owner.queue = aws.ToString(made.QueueUrl)
}

// signIn signs the owner in.
func (w *world) signIn() {
	w.t.Helper()
	w.mailable()
	logins, _ := w.logins()
	started, err := logins.SignIn(context.Background(), w.owner.email, shared.New(ownPassword), shared.Text{}, browser())
	if err != nil {
		w.t.Errorf("arranging: signing in: %v", err)
	}
	w.owner.sign = started.Text
}

// forgot has a link for a new password mailed.
func (w *world) forgot() {
	w.t.Helper()
	logins, mails := w.logins()
	w.mailed(logins.Forgot(context.Background(), w.owner.email, browser()), mails, mail.Reset)
}

// emailChanging has a link mailed to the new address.
func (w *world) emailChanging() {
	w.t.Helper()
	logins, mails := w.logins()
	v, err := logins.Visit(context.Background(), w.owner.sign, "", browser())
	if err == nil {
		err = logins.RequestEmail(context.Background(), v, w.owner.newEmail())
	}
	w.mailed(err, mails, mail.VerifyEmail)
}

// mailed takes the link out of the mail of a kind to the owner.
func (w *world) mailed(err error, mails *kept, kind mail.Kind) {
	w.t.Helper()
	for _, m := range *mails {
		if m.Kind == kind && m.AccountID == w.account.ID {
			w.owner.link = m.Token
		}
	}
	if err != nil || w.owner.link.IsZero() {
		w.t.Errorf("arranging: the owner got no link: %v", err)
	}
}

// queued returns all mails of a kind to the owner that were queued so far.
func (w *world) queued(when string, kind mail.Kind) (found []mail.Message) {
	w.t.Helper()
	for _, m := range w.receive(when) {
		opened, err := queue.OpenMail(context.Background(), w.sealer(), aws.ToString(m.Body))
		if err != nil {
			w.t.Errorf("%s: a mail that was queued: %v", when, err)
			continue
		}
		if w.owner.mails == nil {
			w.owner.mails = map[string]mail.Message{}
		}
		w.owner.mails[aws.ToString(m.MessageId)] = opened
	}
	for _, m := range w.owner.mails {
		if m.Kind == kind && m.AccountID == w.account.ID {
			found = append(found, m)
		}
	}
	return found
}

// happened counts the owner's events of a type.
func (w *world) happened(when string, t effects.EventType) int {
	w.t.Helper()
	found, _, err := w.table.ListEvents(context.Background(), effects.Listing{
		PartnerID: w.account.PartnerID, AccountID: w.account.ID, Types: []effects.EventType{t}, Actor: effects.Page, Limit: 10,
	})
	if err != nil {
		w.t.Errorf("%s: reading the events: %v", when, err)
	}
	return len(found)
}

// login reads the account with its login.
func (w *world) login(when string) signin.Held {
	w.t.Helper()
	h, err := w.table.LoginOf(context.Background(), w.account.ID, time.Now())
	if err != nil || h.Account.ID == 0 {
		w.t.Errorf("%s: reading the login: %+v, %v", when, h, err)
	}
	return h
}

// gone reports whether an error says that a link or a session is over, which want names.
func (w *world) gone(when string, err error, want fault.Kind) bool {
	w.t.Helper()
	if err != nil && !fault.Is(err, want) {
		w.t.Errorf("%s: %v", when, err)
	}
	return err != nil
}

// ended reports whether the owner's session and link are over.
func (w *world) ended(when string, kind signin.TokenKind) (session, link bool) {
	w.t.Helper()
	logins, _ := w.logins()
	_, err := logins.Visit(context.Background(), w.owner.sign, "", browser())
	session = w.gone(when, err, fault.Unauthorized)
	_, err = logins.Token(context.Background(), kind, w.owner.link.Reveal())
	return session, w.gone(when, err, fault.NotFound)
}

// signedInOrNot checks that there is a session for each sign-in that is recorded, and none
// without; and that the owner hears of a browser before it has a session.
func (w *world) signedInOrNot(when string) {
	w.t.Helper()
	sessions, err := w.table.SessionsOf(context.Background(), w.account.ID)
	recorded, known, mails := w.happened(when, effects.LoginSignedIn), len(w.login(when).Login.Browsers) > 0, len(w.queued(when, mail.NewSignIn))
	if err != nil || len(sessions) != recorded || known != (recorded > 0) || recorded > 0 && mails == 0 {
		w.t.Errorf("%s: %d sessions, %v, and %d sign-ins; the browser is known: %t; %d mails of it", when, len(sessions), err, recorded, known, mails)
	}
}

// signedIn checks that the answer's cookie is that of a session. A killed sign-in may have left
// another one.
func (w *world) signedIn(when string) {
	w.t.Helper()
	w.led(when, "^/portal$")
	logins, _ := w.logins()
	cookie := ""
	for _, c := range (&http.Response{Header: w.owner.page.MultiValueHeaders}).Cookies() {
		cookie = c.Value
	}
	if _, err := logins.Visit(context.Background(), shared.New(cookie), "", browser()); err != nil {
		w.t.Errorf("%s: the page of the new session: %v", when, err)
	}
	if n := w.happened(when, effects.LoginSignedIn); n > 2 {
		w.t.Errorf("%s: %d sign-ins", when, n)
	}
}

// onePassword checks that either the old password is good, with the link and the session, or
// the new one, with an event and a mail of which every copy has the same id.
func (w *world) onePassword(when string) {
	w.t.Helper()
	hash := w.login(when).Account.PasswordHash
	isOld, isNew := password.Check(hash, shared.New(ownPassword)) == nil, password.Check(hash, shared.New(newPassword)) == nil
	session, link := w.ended(when, signin.TokenReset)
	set, mails := w.happened(when, effects.LoginPasswordSet), w.queued(when, mail.PasswordChanged)
	if isOld == isNew || session != isNew || link != isNew || (set == 1) != isNew || set > 1 || isNew && len(mails) == 0 || !sameID(mails) {
		w.t.Errorf("%s: the old password is good: %t, the new one: %t; session ended: %t, link: %t; %d events; mails %+v", when, isOld, isNew, session, link, set, mails)
	}
}

// sameID reports whether all are the same mail, of which only the first is sent.
func sameID(mails []mail.Message) bool {
	return !slices.ContainsFunc(mails, func(m mail.Message) bool { return m.ID != mails[0].ID })
}

// passwordIsNew checks that the change was made; onePassword has checked the rest.
func (w *world) passwordIsNew(when string) {
	w.t.Helper()
	w.led(when, `^/portal(\?done=password_set|/account\?done=password_changed|/sign-in\?done=signed-out)$`)
	if err := password.Check(w.login(when).Account.PasswordHash, shared.New(newPassword)); err != nil {
		w.t.Errorf("%s: the new password: %v", when, err)
	}
}

// emails reads the addresses that accounts hold.
func (w *world) emails(when string) (keys []string) {
	w.t.Helper()
	out, err := w.db.Scan(context.Background(), &dynamodb.ScanInput{TableName: &w.name, ConsistentRead: aws.Bool(true)})
	if err != nil {
		w.t.Errorf("%s: reading the emails: %v", when, err)
		return nil
	}
	for _, it := range out.Items {
		if pk, ok := it[kit.AttrPK].(*types.AttributeValueMemberS); ok && strings.HasPrefix(pk.Value, "EMAIL#") {
			keys = append(keys, pk.Value)
		}
	}
	return keys
}

// holdsOne checks that the account's email is its only one.
func (w *world) holdsOne(when string) (address string) {
	w.t.Helper()
	a := w.login(when).Account
	if got, want := w.emails(when), []string{kit.EmailKey(a.Environment, email.Key(a.Email)).PK}; a.EmailKey != email.Key(a.Email) || !slices.Equal(got, want) {
		w.t.Errorf("%s: the emails are %q, want %q, with the key %q", when, got, want, a.EmailKey)
	}
	return a.Email
}

// emailRequestedOrNot checks that nothing has changed, that each link that was mailed works,
// and that the old address has heard of each.
func (w *world) emailRequestedOrNot(when string) {
	w.t.Helper()
	links, notices := w.queued(when, mail.VerifyEmail), w.queued(when, mail.EmailChanging)
	logins, _ := w.logins()
	for _, m := range links {
		if t, err := logins.Token(context.Background(), signin.TokenVerifyEmail, m.Token.Reveal()); err != nil || t.Email != w.owner.newEmail() || m.To != t.Email {
			w.t.Errorf("%s: the link in a mail is for %q: %v", when, t.Email, err)
		}
	}
	if address := w.holdsOne(when); address != w.owner.email || len(notices) < len(links) {
		w.t.Errorf("%s: the email is %s; %d links, %d notices", when, address, len(links), len(notices))
	}
}

// emailRequested checks that a link was mailed; emailRequestedOrNot has checked the rest.
func (w *world) emailRequested(when string) {
	w.t.Helper()
	w.led(when, `^/portal/account\?done=email_mail_sent$`)
	if len(w.queued(when, mail.VerifyEmail)) == 0 {
		w.t.Errorf("%s: no link was mailed", when)
	}
}

// oneEmail checks that the account has either the old address, with the link and the session,
// or the new one, with an event and a mail of which every copy has the same id.
func (w *world) oneEmail(when string) {
	w.t.Helper()
	address := w.holdsOne(when)
	isNew := address == w.owner.newEmail()
	session, link := w.ended(when, signin.TokenVerifyEmail)
	set, mails := w.happened(when, effects.LoginEmailChanged), w.queued(when, mail.EmailChanged)
	if !isNew && address != w.owner.email || session != isNew || link != isNew || (set == 1) != isNew || set > 1 || isNew && len(mails) == 0 || !sameID(mails) {
		w.t.Errorf("%s: the email is %s; session ended: %t, link: %t; %d events; mails %+v", when, address, session, link, set, mails)
	}
}

// emailIsNew checks that the change was made; oneEmail has checked the rest.
func (w *world) emailIsNew(when string) {
	w.t.Helper()
	w.led(when, `^/portal/sign-in\?done=email_changed$`)
	if got := w.login(when).Account.Email; got != w.owner.newEmail() {
		w.t.Errorf("%s: the email is %s", when, got)
	}
}

// shownIsKnown checks that a mail tells of each time that a secret was shown.
func (w *world) shownIsKnown(when string) {
	w.t.Helper()
	if n, mails := w.happened(when, effects.SecretShown), len(w.queued(when, mail.SecretShown)); mails < n {
		w.t.Errorf("%s: a secret was shown %d times, %d mails", when, n, mails)
	}
}

// receive receives what is in the queue of mails. It stays there, but is not received again.
func (w *world) receive(when string) (all []sqstypes.Message) {
	w.t.Helper()
	queues := sqs.NewFromConfig(emulator.Config(w.emulatorURL))
	for {
		out, err := queues.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &w.owner.queue, MaxNumberOfMessages: 10, VisibilityTimeout: 3600})
		if err != nil {
			w.t.Errorf("%s: reading the queue of mails: %v", when, err)
			return nil
		}
		if len(out.Messages) == 0 {
			return all
		}
		all = append(all, out.Messages...)
	}
}

// sentID is the id of the mail that is to be sent.
const sentID = "mail-1"

// toBeSent queues a mail, and takes its message.
func (w *world) toBeSent() {
	w.t.Helper()
	w.mailable()
	mails := queue.NewMails(sqs.NewFromConfig(emulator.Config(w.emulatorURL)), w.owner.queue, w.sealer())
	if err := mails.Queue(context.Background(), mail.Message{ID: sentID, Kind: mail.PasswordChanged, AccountID: w.account.ID, At: time.Now()}); err != nil {
		w.t.Errorf("arranging: %v", err)
	}
	all := w.receive("arranging")
	if len(all) != 1 {
		w.t.Errorf("arranging: %d mails are queued", len(all))
		return
	}
	w.owner.body = aws.ToString(all[0].Body)
}

// sent returns the subjects of the mails that SES has got for the owner.
func (w *world) sent(when string) (subjects []string) {
	w.t.Helper()
	var answer struct {
		Messages map[string][]struct {
			To      []string `json:"To"`
			Subject string   `json:"Subject"`
		} `json:"messages"` // by AWS account
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, w.emulatorURL+"/_ministack/ses/messages", nil)
	if err != nil {
		w.t.Error(err)
		return nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		defer resp.Body.Close()
		var text []byte
		if text, err = io.ReadAll(resp.Body); err == nil {
			err = json.Unmarshal(text, &answer)
		}
	}
	if err != nil {
		w.t.Errorf("%s: reading the mails that were sent: %v", when, err)
	}
	for _, own := range answer.Messages {
		for _, m := range own {
			if slices.Contains(m.To, w.owner.email) {
				subjects = append(subjects, m.Subject)
			}
		}
	}
	return subjects
}

// recorded reports whether the mail is recorded as sent.
func (w *world) recorded(when string) bool {
	w.t.Helper()
	got, err := w.table.SentMail(context.Background(), w.account.ID, "", sentID, time.Now())
	if err != nil {
		w.t.Errorf("%s: %v", when, err)
	}
	return got.ID == sentID
}

// sentIfRecorded checks that no mail is recorded that was not sent.
func (w *world) sentIfRecorded(when string) {
	w.t.Helper()
	if w.recorded(when) && len(w.sent(when)) == 0 {
		w.t.Errorf("%s: a mail is recorded that was not sent", when)
	}
}
