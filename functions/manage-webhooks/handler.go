package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/invocation"
	"carrierlink/shared/seal"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
	"carrierlink/shared/webhook"
)

// urls checks the URLs of webhooks; outbound.Checker does.
type urls interface {
	Check(ctx context.Context, field, text string, own ...string) *fault.Error
}

type handler struct {
	auth     *auth.Auth
	accounts store.Loader
	webhooks *webhook.Service
	claims   httpapi.Claims
	answers  httpapi.Find // finds stored answers
	sealer   httpapi.Sealer
	urls     urls
	now      func() time.Time
}

// target is what a request is about.
type target struct {
	caller      auth.Caller
	account     *account.Account // that the caller acts for; nil: a partner acts for itself
	webhook.Ref                  // of the path; without an id on the routes of the list
}

// begin authenticates the caller and parses the path. Errors: those of
// auth.PartnerOrMerchant; fault.Identifier for the path.
func (h *handler) begin(ctx context.Context, req *httpapi.Request) (target, error) {
	var loaded store.Loaded
	caller, err := h.auth.PartnerOrMerchant(ctx, req, store.Want{Now: h.now()}.LoadInto(&loaded, h.accounts))
	if err != nil {
		return target{}, err
	}
	at := target{caller, loaded.Account, webhook.Ref{Owner: webhook.Owner{PartnerID: caller.PartnerID, AccountID: caller.AccountID}}}
	if req.Resource() == listPath {
		return at, nil
	}
	id, err := req.Param("webhook_id")
	if err == nil {
		at.ID, err = webhook.ParseID(id)
	}
	return at, err
}

// once runs a change in one transaction once for each Idempotency-Key. Errors: those of
// begin, httpapi.Once and do.
func (h *handler) once(ctx context.Context, req *httpapi.Request, do func(at target, change *httpapi.Change) (*httpapi.Response, error)) (*httpapi.Response, error) {
	at, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	return httpapi.Once(ctx, h.sealer, req, at.caller, h.now(), h.answers, func(change *httpapi.Change) (*httpapi.Response, error) {
		return do(at, change)
	})
}

// claimed is once for what makes several calls.
func (h *handler) claimed(ctx context.Context, req *httpapi.Request, do func(at target, change *httpapi.Change) (*httpapi.Response, error)) (*httpapi.Response, error) {
	at, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	now := h.now()
	return httpapi.Claimed(ctx, h.sealer, h.claims, req, at.caller, now, invocation.Lease(ctx, now), func(change *httpapi.Change) (*httpapi.Response, error) {
		return do(at, change)
	})
}

// create creates a webhook and answers with it and its secret. Errors: those of
// Request.JSON, all of them at once; those of webhook.Service.Create.
func (h *handler) create(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, func(at target, change *httpapi.Change) (*httpapi.Response, error) {
		var in views.WebhookInput
		fields := in.Fields(true, h.cleanURL(ctx, req))
		err := req.JSON(fields...)
		if aboutMembers(err) {
			err = httpapi.InOrder(fields, err, in.Missing(fault.Of(err)))
		}
		if err != nil {
			return nil, err
		}
		show := func(c *webhook.Created) *httpapi.Response {
			return httpapi.JSON(http.StatusOK, views.NewCreatedWebhook(c))
		}
		return httpapi.Show(ctx, change, show, func(fx effects.For[*webhook.Created]) error {
			_, err := h.webhooks.Create(ctx, at.Owner, in.Input, fx)
			return err
		})
	})
}

// aboutMembers reports whether a body was read as far as its members: all problems are theirs.
func aboutMembers(err error) bool {
	return !slices.ContainsFunc(fault.Of(err), func(p *fault.Error) bool {
		return p.Field == "" || p.Kind != fault.Required && p.Kind != fault.Length && p.Kind != fault.Invalid
	})
}

// cleanURL checks the field url: it must not lead to the API, either.
func (h *handler) cleanURL(ctx context.Context, req *httpapi.Request) func(field, s string) (string, *fault.Error) {
	return func(field, s string) (string, *fault.Error) { return s, h.urls.Check(ctx, field, s, req.Servers()...) }
}

// list answers with the webhooks, the oldest first: an array, as ShipEngine's.
func (h *handler) list(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	at, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	all, err := h.webhooks.List(ctx, at.Owner)
	if err != nil {
		return nil, err
	}
	body := make([]views.Webhook, len(all))
	for i := range all {
		if body[i], err = h.view(ctx, at.Owner, &all[i]); err != nil {
			return nil, err
		}
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// view returns the view of a webhook. What of it cannot be opened any more hides neither the
// webhook nor others; an error says that the service secret cannot be read.
func (h *handler) view(ctx context.Context, o webhook.Owner, w *webhook.Webhook) (views.Webhook, error) {
	ref := webhook.Ref{Owner: o, ID: w.ID}
	headers, headersErr := h.webhooks.Headers(ctx, ref, w)
	_, secretErr := h.webhooks.Secrets(ctx, ref, w, h.now())
	var unreadable []string
	for _, part := range []struct {
		name string
		err  error
	}{{webhook.HeadersPart, headersErr}, {webhook.SecretPart, secretErr}} {
		switch {
		case errors.Is(part.err, seal.ErrForged), errors.Is(part.err, webhook.ErrMalformed):
			unreadable = append(unreadable, part.name)
		case part.err != nil:
			return views.Webhook{}, part.err
		}
	}
	return views.NewWebhook(w, headers, unreadable), nil
}

// get answers with a webhook, or with 304 to a client that has it already.
func (h *handler) get(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	at, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	w, err := h.webhooks.Get(ctx, at.Ref)
	if err != nil {
		return nil, err
	}
	body, err := h.view(ctx, at.Owner, w)
	if err != nil {
		return nil, err
	}
	return httpapi.Conditional(req, views.WebhookETag(w), func() *httpapi.Response { return httpapi.JSON(http.StatusOK, body) }), nil
}

// match returns what compares a webhook with the request's If-Match.
func match(req *httpapi.Request) func(*webhook.Webhook) error {
	return func(w *webhook.Webhook) error {
		_, err := httpapi.IfMatch(req, views.WebhookETag(w))
		return err
	}
}

// change changes a webhook: 204. Errors: those of Request.JSON, all of them at once; those
// of httpapi.IfMatch and webhook.Service.Change.
func (h *handler) change(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, func(at target, change *httpapi.Change) (*httpapi.Response, error) {
		var in views.WebhookInput
		if err := req.JSON(in.Fields(false, h.cleanURL(ctx, req))...); err != nil {
			return nil, err
		}
		return change.Write(ctx, httpapi.NoContent(), func(fx effects.Effects) error {
			return h.webhooks.Change(ctx, at.Ref, in.Input, match(req), fx)
		})
	})
}

// remove deletes a webhook: 204.
func (h *handler) remove(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	at, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := h.webhooks.Delete(ctx, at.Ref, match(req), effects.Effects{By: at.caller.By()}); err != nil {
		return nil, err
	}
	return httpapi.NoContent(), nil
}

// rotate gives a webhook a new secret and answers with it.
func (h *handler) rotate(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, func(at target, change *httpapi.Change) (*httpapi.Response, error) {
		show := func(c *webhook.Created) *httpapi.Response {
			return httpapi.JSON(http.StatusOK, views.NewRotatedWebhook(c))
		}
		return httpapi.Show(ctx, change, show, func(fx effects.For[*webhook.Created]) error {
			_, err := h.webhooks.RotateSecret(ctx, at.Ref, fx)
			return err
		})
	})
}

// test sends a test event: 202 with the delivery's id.
func (h *handler) test(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, func(at target, change *httpapi.Change) (*httpapi.Response, error) {
		show := func(eventID string) *httpapi.Response {
			return httpapi.JSON(http.StatusAccepted, views.QueuedDelivery{DeliveryID: eventID})
		}
		return httpapi.Show(ctx, change, show, func(fx effects.For[string]) error { return h.webhooks.Test(ctx, at.Ref, fx) })
	})
}

// replay has one event sent again: 202. Errors: those of deliveryID and
// webhook.Service.Replay.
func (h *handler) replay(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.claimed(ctx, req, func(at target, change *httpapi.Change) (*httpapi.Response, error) {
		id, err := deliveryID(req)
		if err != nil {
			return nil, err
		}
		return change.Write(ctx, httpapi.JSON(http.StatusAccepted, views.QueuedDelivery{DeliveryID: id}), func(fx effects.Effects) error {
			return h.webhooks.Replay(ctx, at.Ref, id, fx)
		})
	})
}

// deliveryID parses the path: fault.Identifier.
func deliveryID(req *httpapi.Request) (string, error) {
	const param = "delivery_id"
	id, err := req.Param(param)
	if err != nil {
		return "", err
	}
	if !effects.IsEventID(id) {
		return "", fault.Field(fault.Identifier, param, "%s must be an event_id.", param)
	}
	return id, nil
}

// replaySpan has the events of a span of time sent again: 202. Errors: those of
// Request.JSON; fault.Invalid for a span that ends before it begins; those of
// webhook.Service.ReplaySpan.
func (h *handler) replaySpan(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.claimed(ctx, req, func(at target, change *httpapi.Change) (*httpapi.Response, error) {
		now := h.now()
		span := webhook.Span{Until: now}
		if err := req.JSON(views.ReplayFields(&span)...); err != nil {
			return nil, err
		}
		if span.Until.Before(span.From) {
			return nil, httpapi.ReversedRange()
		}
		if first := at.first(effects.EventsKept, now); span.From.Before(first) {
			span.From = first
		}
		show := func(r webhook.Replayed) *httpapi.Response {
			return httpapi.JSON(http.StatusAccepted, views.NewReplayedSpan(r))
		}
		return httpapi.Show(ctx, change, show, func(fx effects.For[webhook.Replayed]) error {
			return h.webhooks.ReplaySpan(ctx, at.Ref, span, fx)
		})
	})
}

// first returns the time of the first events that the caller may see: none from before its
// account's creation, because the id may have been that of a purged account.
func (at target) first(kept time.Duration, now time.Time) time.Time {
	first := now.Add(-kept)
	if at.account != nil && at.account.CreatedAt.After(first) {
		return at.account.CreatedAt
	}
	return first
}

// deliveries answers with a page of deliveries, the newest event first. Errors: every wrong
// query parameter, at once; fault.NotFound for the webhook.
func (h *handler) deliveries(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	filters := httpapi.NewFilters(req)
	l := webhook.DeliveryListing{Statuses: views.DeliveryStatuses(filters)}
	l.From, l.Until = filters.Created()
	at, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	path := listPath + "/" + at.ID + "/deliveries"
	pager := httpapi.Pager{Sealer: h.sealer, Now: h.now(), Owner: fmt.Sprintf("webhooks %d %d", at.PartnerID, at.AccountID), Path: path, Filters: filters.Given, OnlyNext: true}
	page, wrong, err := pager.Parse(ctx, req)
	if err != nil {
		return nil, err
	}
	if problems := append(filters.Problems, wrong...); len(problems) > 0 {
		return nil, problems
	}
	if _, err := h.webhooks.Get(ctx, at.Ref); err != nil {
		return nil, err
	}
	if l.Limit = page.Size; page.After != nil {
		l.Before = page.After.ID
	}
	found, next, err := h.webhooks.Log.ListDeliveries(ctx, at.Ref, l)
	if err != nil {
		return nil, err
	}
	body := views.DeliveriesPage{Deliveries: httpapi.Fit(found, views.NewDelivery), Page: page.Number, PageSize: page.Size}
	if n := len(body.Deliveries); n < len(found) {
		next = found[n-1].EventID
	}
	var last *httpapi.Position
	if next != "" {
		last = &httpapi.Position{At: pager.Now, ID: next} // ids alone are the order
	}
	if body.Links, err = pager.Links(ctx, req, page, last); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

// delivery answers with one delivery. Errors: those of deliveryID; fault.NotFound.
func (h *handler) delivery(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	at, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	id, err := deliveryID(req)
	if err != nil {
		return nil, err
	}
	if _, err := h.webhooks.Get(ctx, at.Ref); err != nil {
		return nil, err
	}
	d, err := h.webhooks.Log.Delivery(ctx, at.Ref, id)
	if err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, views.NewDelivery(d)), nil
}
