package pagestest

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/signin"
)

// formID stands for the random id of a form.
const formID = "3f0c6a52-8f8e-4c57-9a37-0f2f6b9d7c11"

// signIn are the pages of people who are not signed in, and of the step-up.
func signIn() []Fixture {
	f := outside()
	done, ended := f, f
	done.Done, ended.Done = pages.DoneSignedOut, pages.DoneSessionEnded
	required := fault.Missing("email")
	tooOften := &fault.Error{Kind: fault.RateLimited, Message: "Too often.", RetryAfter: 5 * time.Minute}
	return []Fixture{
		{"sign-in", pages.SignIn(f, pages.SignInForm{FormID: formID})},
		{"sign-in-after-leaving", pages.SignIn(done, pages.SignInForm{FormID: formID})},
		{"sign-in-after-the-end", pages.SignIn(ended, pages.SignInForm{FormID: formID, Next: "/portal/carriers"})},
		{"sign-in-refused", pages.SignIn(refused(f, fault.New(fault.Unauthorized, "Email or password is wrong.")), pages.SignInForm{FormID: formID, Email: "jo@bluegum.example"})},
		{"sign-in-empty", pages.SignIn(refused(f, required, fault.Missing("password")), pages.SignInForm{FormID: formID})},
		{"sign-in-too-often", pages.SignIn(refused(f, tooOften), pages.SignInForm{FormID: formID, Email: longEmail})},
		{"forgot", pages.Forgot(f, pages.ForgotForm{FormID: formID})},
		{"forgot-refused", pages.Forgot(refused(f, required), pages.ForgotForm{FormID: formID})},
		{"forgot-no-mail", pages.Forgot(f, pages.ForgotForm{NoMail: true})},
		{"forgot-sent", pages.ForgotSent(f)},
		{"reset", pages.NewPassword(f, pages.NewPasswordForm{FormID: formID, Path: "/portal/reset/a-token", Email: "jo@bluegum.example"})},
		{"reset-refused", pages.NewPassword(
			refused(f, fault.Field(fault.Length, "password", "password must be between 8 and 128 characters.")),
			pages.NewPasswordForm{FormID: formID, Path: "/portal/reset/a-token", Email: longEmail},
		)},
		{"reset-gone", pages.LinkGone(f, pages.GoneReset)},
		{"invitation", pages.NewPassword(f, pages.NewPasswordForm{FormID: formID, Path: "/portal/invitation/a-token", Email: "jo@bluegum.example", Invitation: true})},
		{"invitation-gone", pages.LinkGone(f, pages.GoneInvitation)},
		{"verify-email", pages.VerifyEmail(f, pages.VerifyForm{FormID: formID, Path: "/portal/verify-email/a-token", Email: longEmail})},
		{"verify-email-gone", pages.LinkGone(f, pages.GoneVerify)},
		{"email-taken", pages.EmailTaken(f)},
		{"enter", pages.Enter(f, pages.EnterForm{FormID: formID, Path: "/portal/enter/a-token"})},
		{"enter-gone", pages.LinkGone(f, pages.GoneEnter)},
		{"confirm", pages.Confirm(frame(pages.NavAccount), pages.ConfirmForm{FormID: formID, Email: "jo@bluegum.example", Next: "/portal/account/email"})},
		{"owner-only", pages.OwnerOnly(crowded(pages.NavAccount))},
	}
}

// accounts are the pages about the account itself.
func accounts() []Fixture {
	f := frame(pages.NavAccount)
	saved := f
	saved.Done = pages.DoneAccountChanged
	blueGum := account.Account{
		Email: "jo@bluegum.example", CompanyName: "Blue Gum Trading", FirstName: "Jo", LastName: "O'Brien", OriginCountryCode: "AU",
		Environment: carrier.Production, PasswordHash: "set",
	}
	long := blueGum
	long.Email, long.CompanyName, long.FirstName, long.LastName = longEmail, longCompany, longCompany[:24], longCompany[:24]
	values := pages.Submitted{"company_name": {longCompany}, "first_name": {"<b>Jo</b>"}, "last_name": {"O'Brien"}, "origin_country_code": {"AU"}}
	australia := account.Country{Code: "AU", Name: "Australia"}
	details := pages.DetailsForm{FormID: formID, Version: "1", Values: values, Country: australia}
	fixed := details
	fixed.CountryFixed = true
	email := pages.EmailForm{FormID: formID, Current: "jo@bluegum.example", Email: "jo"}
	here := signin.Session{
		Hash: "a", Method: signin.MethodPassword, Browser: "Firefox on Windows", IP: "203.0.113.0/24",
		CreatedAt: Now().Add(-3 * time.Hour), LastSeenAt: Now().Add(-time.Minute),
	}
	elsewhere := signin.Session{
		Hash: "b", Method: signin.MethodPartner, Browser: "Safari on iOS", IP: "2001:db8:1234::/48", CreatedAt: Now().Add(-30 * time.Hour), LastSeenAt: Now().Add(-26 * time.Hour),
	}
	return []Fixture{
		{"account", pages.Account(f, pages.AccountView{Account: blueGum, Country: "Australia"})},
		{"account-saved", pages.Account(saved, pages.AccountView{Account: blueGum, Country: "Australia"})},
		{"account-empty", pages.Account(f, pages.AccountView{NoMail: true})},
		{"account-crowded", pages.Account(crowded(pages.NavAccount), pages.AccountView{Account: long, Country: "Saint Helena, Ascension and Tristan da Cunha"})},
		{"account-details", pages.AccountDetails(f, fixed)},
		{"account-details-refused", pages.AccountDetails(
			refused(f, fault.Field(fault.Length, "company_name", "company_name must be at most 50 characters."), fault.Field(fault.Invalid, "first_name", "first_name is invalid.")), details,
		)},
		{"account-email", pages.AccountEmail(f, pages.EmailForm{FormID: formID, Current: longEmail})},
		{"account-email-refused", pages.AccountEmail(refused(f, fault.Field(fault.Invalid, "email", "email must be an email address.")), email)},
		{"account-email-no-mail", pages.AccountEmail(f, pages.EmailForm{Current: "jo@bluegum.example", NoMail: true})},
		{"account-password", pages.AccountPassword(f, pages.PasswordForm{FormID: formID, Email: "jo@bluegum.example"})},
		{"account-sessions", pages.AccountSessions(f, pages.SessionsView{FormID: formID, Current: "a", Sessions: []signin.Session{here, elsewhere}})},
		{"account-sessions-one", pages.AccountSessions(f, pages.SessionsView{FormID: formID, Current: "a", Sessions: []signin.Session{here}})},
	}
}
