package mail

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// Everything that mails say is in this file: Australian English, for a shop owner.

// Letter is what a mail is made of.
type Letter struct {
	Message
	Address      string         // whom the mail goes to
	Company      string         // of the account; may be empty
	Sender       string         // the partner, as it calls itself
	SupportEmail string         // the partner's; may be empty
	SupportURL   string         // the partner's; may be empty
	Sandbox      bool           // the account is one for tests
	PublicURL    string         // of the pages, without a trailing slash
	Zone         *time.Location // of the times: that of the account
	ZoneWords    string         // whose time that is: "Sydney time"
	// Carrier is of the mails about a connection.
	Carrier Carrier
}

// Carrier is what a mail says of a connection.
type Carrier struct {
	Name      carrier.Name
	Masked    string           // the account number, masked
	Reason    string           // why the contract restricts it: the status_reason; empty: it does not
	Diagnosis *fault.Diagnosis // of the check that failed; nil: none did
	EndsOn    string           // the last day of the contract, as the carrier gives it: YYYY-MM-DD
	First     bool             // it works for the first time
}

// block is a paragraph, a link or a list of steps.
type block struct {
	text  string
	url   string // of a link, whose words are text
	steps []string
}

func say(text string) block { return block{text: text} }

const noNeed = "If you did not ask for this, you can ignore this mail. Nothing changes."

// copy returns the subject and the paragraphs of a mail; no paragraphs for an unknown kind.
func (l *Letter) copy() (subject string, blocks []block) {
	switch l.Kind {
	case Invitation:
		return l.Sender + ": set up your sign-in", []block{
			say(l.Sender + " has a page for you. It shows your carrier accounts, whether they work, and what to do if one does not."),
			l.link("Choose a password", "/portal/invitation/"+l.Token.Reveal()),
			l.link("The link works once, within 7 days. Afterwards you sign in with this address here", "/portal"),
			say("If you did not expect this mail, you can ignore it."),
		}
	case Reset:
		return "Choose a new password", []block{
			say("Somebody asked for a new password for this address. If it was you, choose one here."),
			l.link("Choose a new password", "/portal/reset/"+l.Token.Reveal()),
			say("The link works once, within 30 minutes. " + noNeed + " Your password stays as it is."),
		}
	case VerifyEmail:
		return "Confirm your new email address", []block{
			say("You asked to sign in with this address from now on. Please confirm that it is yours."),
			l.link("Confirm this address", "/portal/verify-email/"+l.Token.Reveal()),
			say("The link works once, within 24 hours. Until then your old address stays. " + noNeed),
		}
	case PasswordChanged, EmailChanging, EmailChanged, NewSignIn, SecretShown:
		return l.notice()
	case CarrierNeedsYou:
		return l.needsYou()
	case CarrierWorks:
		return l.works()
	case ContractEnds:
		return l.ends()
	}
	return "", nil
}

// notice is the copy of mails that tell the owner of an account what was done with it.
func (l *Letter) notice() (subject string, blocks []block) {
	reset := l.link("Set a new password", "/portal/forgot")
	switch l.Kind {
	case PasswordChanged:
		return "A new password was set", []block{
			say("A new password for your account was set on " + l.when() + ". Browsers that were signed in before are signed out."),
			say("If it was you, all is well. If it was not you, set a new password now."), reset,
		}
	case EmailChanging:
		return "Your email address is about to change", []block{
			say("On " + l.when() + " somebody asked to sign in to your account with another address. It counts once it is confirmed. Until then this one stays."),
			say("If it was you, all is well. If it was not you, set a new password now."), reset,
		}
	case EmailChanged:
		return "Your email address was changed", []block{
			say("Your account has another email address since " + l.when() + ". You can no longer sign in with this one."),
			say("If it was you, all is well. If it was not you, please tell " + l.Sender + " at once."),
		}
	case NewSignIn:
		browser := cmp.Or(l.Browser, "a new browser")
		return "New sign-in: " + browser, []block{
			say("Somebody signed in to your account on " + l.when() + " with " + browser + ". We had not seen this browser before."),
			say("If it was you, all is well. If it was not you, set a new password now. That signs everybody out."), reset,
		}
	default: // SecretShown
		return "Your carrier secret was shown", []block{
			say("The API secret of " + l.account() + " was shown on your page on " + l.when() + "."),
			say("If it was you, all is well. If it was not you, set a new password now. Then ask Australia Post for a new key and enter it on your page."), reset,
		}
	}
}

func (l *Letter) needsYou() (subject string, blocks []block) {
	d := l.Carrier.Diagnosis
	switch {
	case l.Carrier.Reason != "":
		cause, step := restriction(l.Carrier.Reason)
		blocks = []block{say(capital(l.account()) + " is connected, but you can't use all of it. " + cause), {text: "What to do", steps: []string{step}}}
	case d != nil && d.WhoMustAct == fault.Merchant:
		blocks = []block{say(capital(l.account()) + " doesn't work at the moment. " + d.LikelyCause), {text: "What to do", steps: d.NextSteps}}
	default:
		blocks = []block{say(capital(l.account()) + " doesn't work at the moment. Please enter its API key and secret again on your page.")}
	}
	return "Your " + l.Carrier.Name.FriendlyName() + " account needs you", append(blocks, l.details())
}

// restriction returns the cause of a restriction of the contract, and what to do.
func restriction(reason string) (cause, step string) {
	const call = "call Australia Post on 13 21 31 or your account manager"
	switch reason {
	case "contract_expired":
		return "The contract has ended.", "To renew it, " + call + "."
	case "credit_blocked":
		return "Credit is blocked.", "To have it unblocked, " + call + "."
	case "all_products_expired":
		return "None of its products is valid any more.", "To renew them, " + call + "."
	default:
		return "The contract doesn't allow it.", "To sort it out, " + call + "."
	}
}

func (l *Letter) works() (subject string, blocks []block) {
	if l.Carrier.First {
		return "Your " + l.Carrier.Name.FriendlyName() + " account works", []block{
			say(capital(l.account()) + " is connected and works. You need not do anything."), l.details(),
		}
	}
	return "Your " + l.Carrier.Name.FriendlyName() + " account works again", []block{say(capital(l.account()) + " works again. You need not do anything."), l.details()}
}

func (l *Letter) ends() (subject string, blocks []block) {
	when := "in " + strconv.Itoa(l.Days) + " days"
	switch l.Days {
	case 0:
		when = "today"
	case 1:
		when = "tomorrow"
	}
	last := ""
	if day, err := time.Parse(time.DateOnly, l.Carrier.EndsOn); err == nil {
		last = " Its last day is " + day.Format("2 January 2006") + "."
	}
	return "Your " + l.Carrier.Name.FriendlyName() + " contract ends " + when, []block{
		say("The contract of " + l.account() + " ends " + when + "." + last),
		say("To keep your prices and products, talk to your account manager or call Australia Post on 13 21 31. If it is renewed already, you need not do anything."),
		l.details(),
	}
}

// account names a connection: by its number, of which the last three digits are shown, and
// its nickname.
func (l *Letter) account() string {
	name := "your " + l.Carrier.Name.FriendlyName() + " account"
	if ending := strings.TrimLeft(l.Carrier.Masked, "*"); ending != "" {
		name += " that ends in " + ending
	}
	if l.Nickname != "" {
		name += " (" + l.Nickname + ")"
	}
	return name
}

// details is the link to the page of a connection.
func (l *Letter) details() block { return l.link("Open your page", "/portal/carriers/"+l.CarrierID) }

func (l *Letter) link(text, path string) block { return block{text: text, url: l.PublicURL + path} }

// when is the time of what happened, and whose time that is.
func (l *Letter) when() string {
	return l.At.In(l.Zone).Format("2 January 2006 at 3:04 pm") + " (" + l.ZoneWords + ")"
}

// greeting names the company, except at an address that is not the account's: whoever reads
// it may be a stranger.
func (l *Letter) greeting() block {
	if l.Company == "" || l.To != "" {
		return say("Hello,")
	}
	return say("Hello " + l.Company + ",")
}

func (l *Letter) closing() []block {
	closing := []block{say("This mail is from " + l.Sender + ". Nobody reads answers to it.")}
	switch {
	case l.SupportEmail != "" && l.SupportURL != "":
		closing[0].text += " Questions? " + l.SupportEmail + " or " + l.SupportURL
	case l.SupportEmail != "" || l.SupportURL != "":
		closing[0].text += " Questions? " + l.SupportEmail + l.SupportURL
	}
	if l.Sandbox {
		closing = append(closing, say("Your account is one for tests. Nothing in it is real."))
	}
	return closing
}

// capital makes the first letter of "your ..." a capital.
func capital(s string) string { return "Y" + s[len("y"):] }
