package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/pages"
	"carrierlink/shared/parcel"
	"carrierlink/shared/signin"
	"carrierlink/shared/web"
)

// overviewRoutes are /portal and the help.
func (h *handler) overviewRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /portal", Handler: h.signedIn(h.overviewPage)},
		{Pattern: "GET " + pages.HelpPath, Handler: h.helpPage},
	}
}

const (
	parcelsShown = 10
	// parcelsRead is how many parcels are read to find the latest: the table has them in the
	// order of their numbers.
	parcelsRead = 1000
)

// overviewPage shows how everything is. What cannot be read is said and logged; the page
// shows the rest.
func (h *handler) overviewPage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	p := pages.OverviewPage{Frame: h.frame(r, v, pages.NavOverview).Titled("Overview")}
	ctx, now := r.Context(), h.now()
	var all sync.WaitGroup
	read := func(what string, missing *bool, do func() error) {
		all.Go(func() {
			if err := do(); err != nil {
				*missing = true
				logMissing(ctx, what, err)
			}
		})
	}
	read("carriers", &p.NoCarriers, func() (err error) {
		p.Carriers, err = h.carrierLines(ctx, p.Frame, v)
		return err
	})
	read("keys", &p.NoKeys, func() error {
		keys, err := h.store.ListKeys(ctx, v.Account.ID)
		p.Keys = endingKeys(keys, now)
		return err
	})
	read("parcels", &p.NoParcels, func() (err error) {
		p.Parcels, p.TooManyParcels, err = h.underWay(ctx, v, now)
		p.MoreParcels = len(p.Parcels) > parcelsShown
		p.Parcels = p.Parcels[:min(parcelsShown, len(p.Parcels))]
		return err
	})
	all.Wait()
	return web.Render(w, r, http.StatusOK, pages.Overview(p))
}

// logMissing reports a part of a page that could not be read.
func logMissing(ctx context.Context, what string, err error) {
	slog.ErrorContext(ctx, "a part of a page cannot be read", slog.String("part", what), slog.String("error", err.Error()))
}

// carrierLines reads the connections of the account with their states, the oldest first.
func (h *handler) carrierLines(ctx context.Context, f pages.Frame, v *signin.Visit) ([]pages.CarrierLine, error) {
	found, _, err := h.store.ListConnections(ctx, v.Account.ID, false)
	if err != nil {
		return nil, err
	}
	lines := make([]pages.CarrierLine, len(found))
	for i, c := range found {
		lines[i] = pages.CarrierLine{Connection: c, State: pages.StateOf(f, &found[i], v.Breakers[c.Carrier])}
	}
	return lines, nil
}

// endingKeys returns the keys that end within pages.KeyWarnedDays and have no successor, the
// earliest first.
func endingKeys(keys []account.APIKey, now time.Time) []account.APIKey {
	ending := slices.DeleteFunc(keys, func(k account.APIKey) bool {
		return k.ExpiresAt.IsZero() || k.Expired(now) || k.ReplacedBy != 0 || k.ExpiresAt.Sub(now) > pages.KeyWarnedDays*24*time.Hour
	})
	slices.SortFunc(ending, func(a, b account.APIKey) int {
		return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), cmp.Compare(a.ID, b.ID))
	})
	return ending
}

// underWay reads the parcels that are under way, the latest first; none if there are more than
// parcelsRead, because the latest cannot be told then.
func (h *handler) underWay(ctx context.Context, v *signin.Visit, now time.Time) (found []parcel.Parcel, tooMany bool, err error) {
	active := true
	found, next, err := h.store.ListParcels(ctx, parcel.Listing{AccountID: v.Account.ID, Since: v.Account.CreatedAt, Active: &active, Limit: parcelsRead}, now)
	if err != nil || next != "" {
		return nil, next != "", err
	}
	slices.SortFunc(found, func(a, b parcel.Parcel) int {
		return cmp.Or(b.RegisteredAt.Compare(a.RegisteredAt), cmp.Compare(a.Number, b.Number))
	})
	return found, false, nil
}

// helpPage says how a merchant gets the key. It needs no sign-in, but names the partner of
// whoever is signed in, and leads back. It is shown even if that cannot be read.
func (h *handler) helpPage(w http.ResponseWriter, r *http.Request) error {
	var v *signin.Visit
	if cookie := web.Cookie(r); !cookie.IsZero() {
		if visit, err := h.signin.Visit(r.Context(), cookie, "", client(r)); err == nil {
			web.Identify(r.Context(), visit.Account.ID, visit.Account.PartnerID)
			v = visit
		}
	}
	return web.Render(w, r, http.StatusOK, pages.HelpKey(h.frame(r, v, pages.NavCarriers)))
}
