package e2e

import (
	"context"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"carrierlink/infra/local/stack"
	"carrierlink/infra/test/browser"
	"carrierlink/shared/pages"
)

// chromium is the browser of the tests of pages. It starts with the first of them, and runSuite ends it.
var chromium struct {
	once sync.Once
	*browser.Browser
	err error
}

// visit opens a tab at the front door.
func visit(t *testing.T, v browser.View) *browser.Tab {
	t.Helper()
	chromium.once.Do(func() { chromium.Browser, chromium.err = browser.Start(context.Background()) })
	if chromium.err != nil {
		t.Fatal(chromium.err)
	}
	return chromium.Open(t, service.APIURL, v)
}

// owner is a merchant who signs in to the account page.
type owner struct {
	merchant
	email, password string
}

// newOwner creates an account of production with an email, and with a password unless without is true.
func newOwner(t *testing.T, withoutPassword bool) owner {
	t.Helper()
	return newOwnerOf(t, production, withoutPassword)
}

// newOwnerOf is newOwner for an account of a partner.
func newOwnerOf(t *testing.T, p stack.Partner, withoutPassword bool) owner {
	t.Helper()
	o := owner{email: email(), password: newPassword()}
	body := fields{"email": o.email, "company_name": "Blue Gum Trading"}
	if !withoutPassword {
		body["password"] = o.password
	}
	a := create(t, p.APIKey, body)
	a.expect(t, http.StatusOK)
	created := decode[createdAccount](t, a)
	o.merchant = merchant{ID: created.AccountID, Key: created.APIKey.EncryptedAPIKey, partner: p}
	return o
}

// newPassword makes a password, which the suite then looks for where it must not be.
func newPassword() string {
	password := "a good one " + uuid.NewString()
	api.secrets.add(password)
	return password
}

// signIn signs in and leaves the tab at the overview.
func (o owner) signIn(t *testing.T, tab *browser.Tab) {
	t.Helper()
	tab.Go("/portal")
	tab.Expect(http.StatusOK, "Sign in")
	tab.Fill("Email", o.email)
	tab.Fill("Password", o.password)
	tab.Press("Sign in")
	tab.Expect(http.StatusOK, "Overview", "Blue Gum Trading")
}

// fillCarrier fills in the form of a carrier with new credentials; prefix is what the labels of secrets begin with.
func fillCarrier(tab *browser.Tab, prefix string) (key string) {
	key, secret := newCredentials()
	api.secrets.add(key)
	api.secrets.add(secret)
	tab.Fill(prefix+"API key", key)
	tab.Fill(prefix+"API secret", secret)
	return key
}

// forgetConfirmation makes the password of an owner's sessions one that was entered ten minutes ago.
func (o owner) forgetConfirmation(t *testing.T) {
	t.Helper()
	pk := "LOGIN#" + strconv.FormatInt(o.ID, 10)
	out, err := table().Query(t.Context(), &dynamodb.QueryInput{
		TableName: &service.TableName, KeyConditionExpression: aws.String("pk = :pk AND begins_with(sk, :session)"),
		ExpressionAttributeValues: item{":pk": txt(pk), ":session": txt("SESSION#")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Items) == 0 {
		t.Fatalf("account %d has no session", o.ID)
	}
	for _, session := range out.Items {
		sk, _ := session["sk"].(*types.AttributeValueMemberS)
		setItem(t, pk, sk.Value, item{"confirmed_at": num(time.Now().Add(-10 * time.Minute).UnixMilli())})
	}
}

// pageViews are the ways in which the whole way through the pages is walked.
var pageViews = []browser.View{{}, {Width: 320, Dark: true, NoScript: true}}

// A merchant signs in, links a carrier, changes its key, goes back to the previous one, checks it, disconnects it and leaves:
// with JavaScript and without, and nothing is wrong with any page on the way.
func TestPortalWalk(t *testing.T) {
	t.Parallel()
	for _, view := range pageViews {
		t.Run(view.String(), func(t *testing.T) {
			t.Parallel()
			o := newOwner(t, false)
			tab := visit(t, view)
			tab.Go("/portal/carriers")
			tab.Expect(http.StatusOK, "Sign in")
			tab.Check()
			tab.Fill("Email", o.email)
			tab.Fill("Password", "not the password")
			tab.Press("Sign in")
			tab.Expect(http.StatusUnprocessableEntity, "Sign in")
			tab.Check()
			tab.Fill("Password", o.password)
			tab.Press("Sign in")
			tab.Expect(http.StatusOK, "Carriers", "No carrier yet")
			tab.Check()

			tab.Press("Link Australia Post")
			tab.Expect(http.StatusOK, "Link Australia Post")
			tab.Check()
			number := ausPostNumber("00")
			tab.Fill("Your own name for it", "Main warehouse")
			tab.Fill("Australia Post account number", number)
			first := fillCarrier(tab, "")
			tab.Press("Check and link")
			tab.Expect(http.StatusOK, "Main warehouse", pages.DoneLinked.Sentence(), number, "ends in "+first[len(first)-4:])
			tab.Check()

			tab.Press("Change name, number or key")
			tab.Expect(http.StatusOK, "Change your Australia Post account")
			tab.Check()
			second := fillCarrier(tab, "New ")
			tab.Press("Check and save")
			tab.Expect(http.StatusOK, "Main warehouse", pages.DoneChanged.Sentence(), "ends in "+second[len(second)-4:])

			tab.Press("Go back to the previous key")
			tab.Expect(http.StatusOK, "Go back to the previous key", "ends in "+first[len(first)-4:])
			tab.Check()
			tab.Press("Go back to the previous key")
			tab.Expect(http.StatusOK, "Main warehouse", pages.DoneRolledBack.Sentence(), "ends in "+first[len(first)-4:])

			tab.Press("Check now")
			tab.Expect(http.StatusOK, "Main warehouse", pages.DoneChecked.Sentence())
			tab.Press("Everything that has happened")
			tab.Expect(http.StatusOK, "What has happened")
			tab.Check()
			tab.Back()

			o.forgetConfirmation(t)
			tab.Press("Disconnect…")
			tab.Expect(http.StatusOK, "Enter your password again")
			tab.Check()
			tab.Fill("Password", o.password)
			tab.Press("Continue")
			tab.Expect(http.StatusOK, "Disconnect this account?")
			tab.Check()
			tab.Press("Disconnect")
			tab.Expect(http.StatusOK, "Carriers", pages.DoneDisconnected.Sentence(), "No carrier yet")
			tab.Check()

			tab.Press("Sign out")
			tab.Expect(http.StatusOK, "Sign in", pages.DoneSignedOut.Sentence())
			tab.Back()
			tab.Expect(http.StatusOK, "Sign in")
		})
	}
}

// Whoever has only a keyboard signs in and links, and always sees where the focus is.
func TestPortalByKeyboard(t *testing.T) {
	t.Parallel()
	o := newOwner(t, false)
	tab := visit(t, browser.View{})
	tab.Go("/portal")
	tab.TabTo("Email")
	tab.Type(o.email)
	tab.TabTo("Password")
	tab.Type(o.password)
	tab.TabTo("Sign in")
	tab.Enter()
	tab.Expect(http.StatusOK, "Overview")
	tab.TabTo("Link Australia Post")
	tab.Enter()
	tab.Expect(http.StatusOK, "Link Australia Post")
	key, secret := newCredentials()
	api.secrets.add(key)
	api.secrets.add(secret)
	for _, in := range []struct{ label, text string }{
		{"Your own name for it", "Main warehouse"}, {"Australia Post account number", ausPostNumber("00")}, {"API key", key}, {"API secret", secret},
	} {
		tab.TabTo(in.label)
		tab.Type(in.text)
	}
	tab.TabTo("Check and link")
	tab.Enter()
	tab.Expect(http.StatusOK, "Main warehouse", pages.DoneLinked.Sentence())
}

// What the carrier refuses is not saved, and the page says whose turn it is; a key that dies later is put right.
func TestPortalRefusals(t *testing.T) {
	t.Parallel()
	o := newOwner(t, false)
	tab := visit(t, browser.View{})
	o.signIn(t, tab)
	tab.Press("Link Australia Post")
	tab.Fill("Your own name for it", "<script>alert(1)</script>")
	tab.Fill("Australia Post account number", "12")
	fillCarrier(tab, "")
	tab.Press("Check and link")
	tab.Expect(http.StatusUnprocessableEntity, "Link Australia Post")
	if got := tab.Value("Your own name for it"); got != "<script>alert(1)</script>" {
		t.Errorf("the form that came back has the name %q", got)
	}
	if got := tab.Value("API secret"); got != "" {
		t.Errorf("the form that came back has a secret of %d characters", len(got))
	}
	tab.Check()
	tab.Fill("Australia Post account number", ausPostNumber("40")) // no such charge account
	fillCarrier(tab, "")
	tab.Press("Check and link")
	if tab.Status() != http.StatusUnprocessableEntity || tab.Heading() != "Link Australia Post" {
		t.Errorf("a number that the carrier refuses = %d %q, want 422 and the form again:\n%s", tab.Status(), tab.Heading(), tab.Text())
	}
	tab.Check()
	tab.Go("/portal/carriers")
	tab.Expect(http.StatusOK, "Carriers", "No carrier yet")
}

var resetLink = regexp.MustCompile(`/portal/reset/[A-Za-z0-9_-]+`)

// A password is set by the link of a mail. Scanners that open the link do not use it up; who has used it cannot use it again.
func TestPortalReset(t *testing.T) {
	t.Parallel()
	o := newOwner(t, false)
	tab := visit(t, browser.View{NoScript: true})
	tab.Go("/portal/sign-in")
	tab.Press("Forgot your password?")
	tab.Expect(http.StatusOK, "Forgot your password?")
	tab.Check()
	tab.Fill("Email", strings.ToUpper(o.email))
	tab.Press("Send the link")
	tab.Expect(http.StatusOK, "Look at your emails")
	tab.Check()
	link := linkMailed(t, o.email, resetLink)
	for range 10 {
		if got := page(t, http.MethodGet, link, nil, ""); got.status != http.StatusOK {
			t.Fatalf("GET of the mail's link = %d", got.status)
		}
	}
	tab.Go(link)
	tab.Expect(http.StatusOK, "Set a new password")
	tab.Check()
	tab.Fill("New password", "short")
	tab.Press("Set the password")
	tab.Expect(http.StatusUnprocessableEntity, "Set a new password")
	tab.Check()
	old := o.password
	o.password = newPassword()
	tab.Fill("New password", o.password)
	tab.Press("Set the password")
	tab.Expect(http.StatusOK, "Overview", pages.DonePasswordSet.Sentence())
	tab.Check()

	tab.Go(link)
	if got := tab.Heading(); got != "This link no longer works" {
		t.Errorf("the link again = %q, want This link no longer works", got)
	}
	tab.Check()
	other := visit(t, browser.View{})
	other.Go("/portal")
	other.Fill("Email", o.email)
	other.Fill("Password", old)
	other.Press("Sign in")
	other.Expect(http.StatusUnprocessableEntity, "Sign in")
	o.signIn(t, other)
}

// linkMailed waits for a mail to an address that has a link, and returns the path of the link.
func linkMailed(t *testing.T, address string, link *regexp.Regexp) (found string) {
	t.Helper()
	waitFor(t, deliveredWithin, func() string {
		for _, m := range mailsTo(t, address) {
			if found = link.FindString(m.Text); found != "" {
				return ""
			}
		}
		return "no mail with " + link.String() + " arrived"
	})
	tokens.add(path.Base(found))
	return found
}

// Whoever was invited by the partner sets a password and is in.
func TestPortalInvitation(t *testing.T) {
	t.Parallel()
	o := newOwner(t, true)
	a := api.call(t, request{
		method: http.MethodPost, path: accountsPath + "/" + strconv.FormatInt(o.ID, 10) + "/login_invitations", key: o.partner.APIKey, body: fields{"deliver": "none"},
	})
	a.expect(t, http.StatusCreated)
	address := decode[struct {
		InvitationURL string `json:"invitation_url"`
	}](t, a).InvitationURL
	path, ok := strings.CutPrefix(address, service.APIURL)
	if !ok {
		t.Fatalf("invitation_url = %q, want an address below %s", address, service.APIURL)
	}
	tab := visit(t, browser.View{Width: 320})
	tab.Go(path)
	tab.Expect(http.StatusOK, "Welcome")
	tab.Check()
	tab.Fill("New password", o.password)
	tab.Press("Set the password")
	tab.Expect(http.StatusOK, "Overview", pages.DonePasswordSet.Sentence(), "No carrier yet")
	tab.Check()
	tab.Press("Sign out")
	o.signIn(t, tab)
}
