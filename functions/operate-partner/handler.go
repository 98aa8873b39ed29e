package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

type handler struct {
	accounts *account.Service
}

// input holds the members of a payload.
type input struct {
	command  string
	operator string // who runs the command: Lambda does not tell a function who invokes it
	partner  int
	after    int
	key      int
	grace    int // seconds
	next     account.KeyInput
}

// by returns the operator as the maker of a change.
func (in *input) by() effects.By {
	return effects.By{Actor: effects.Operator, Operator: in.operator}
}

// command is one command: the members that it takes beside command and operator, and what
// it does.
type command struct {
	fields func(in *input) []httpapi.Field
	run    func(h *handler, ctx context.Context, in *input) (any, error)
}

// commands returns all commands by name.
func commands() map[string]command {
	return map[string]command{
		"list_partners":   {func(in *input) []httpapi.Field { return []httpapi.Field{idField("after", &in.after)} }, (*handler).listPartners},
		"disable_partner": {onlyPartner, (*handler).disable},
		"enable_partner":  {onlyPartner, (*handler).enable},
		"list_keys":       {onlyPartner, (*handler).listKeys},
		"add_key": {func(in *input) []httpapi.Field {
			return append(onlyPartner(in), keyFields(&in.next)...)
		}, (*handler).addKey},
		"rotate_key": {func(in *input) []httpapi.Field {
			return append(partnerAndKey(in), httpapi.Count("grace_period_seconds", &in.grace, 0, int(account.MaxGrace.Seconds())))
		}, (*handler).rotateKey},
		"delete_key": {partnerAndKey, (*handler).deleteKey},
	}
}

// keyFields returns the members of a new key. The description is required, because it
// tells a repeated command from a new one.
func keyFields(in *account.KeyInput) []httpapi.Field {
	fields := views.KeyFields(in)
	fields[0] = httpapi.Require(fields[0])
	return fields
}

func idField(name string, dst *int) httpapi.Field { return httpapi.Count(name, dst, 1, account.MaxID) }

func onlyPartner(in *input) []httpapi.Field {
	return []httpapi.Field{httpapi.Require(idField("partner_id", &in.partner))}
}

func partnerAndKey(in *input) []httpapi.Field {
	return append(onlyPartner(in), httpapi.Require(idField("api_key_id", &in.key)))
}

// run runs the command of a payload and logs who ran it. Errors: a fault.List of every
// member that is wrong; those of the methods of account.Service.
func (h *handler) run(ctx context.Context, payload json.RawMessage) (any, error) {
	in, run, err := parse(payload)
	if err != nil {
		return nil, err
	}
	answer, err := run(h, ctx, in)
	record := []any{
		slog.String("operator", in.operator), slog.String("command", in.command), slog.Int("partner_id", in.partner), slog.Int("api_key_id", in.key),
	}
	switch made, isKey := answer.(interface{ keyID() int64 }); {
	case err != nil:
		record = append(record, slog.String("error", err.Error()))
	case isKey:
		record = append(record, slog.Int64("new_api_key_id", made.keyID()))
	}
	slog.InfoContext(ctx, "an operator's command", record...)
	return answer, err
}

func parse(payload []byte) (*input, func(*handler, context.Context, *input) (any, error), error) {
	in := &input{grace: int(account.DefaultGrace.Seconds())}
	all := commands()
	fields := []httpapi.Field{
		httpapi.Require(httpapi.String("command", &in.command, func(field, s string) (string, *fault.Error) {
			if _, ok := all[s]; !ok {
				return "", fault.Field(fault.Invalid, field, "%s must be one of %s.", field, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
			}
			return s, nil
		})),
		httpapi.Require(httpapi.String("operator", &in.operator, cleanOperator)),
	}
	// Which other members there may be depends on the command.
	if err := httpapi.DecodeSome(payload, fields[0]); err != nil {
		return nil, nil, err
	}
	c := all[in.command]
	if err := httpapi.Decode(payload, append(fields, c.fields(in)...)...); err != nil {
		return nil, nil, err
	}
	return in, c.run, nil
}

// cleanOperator refuses what is no name: the name stands in the log and in the records.
func cleanOperator(field, s string) (string, *fault.Error) {
	s, problem := account.OperatorRule.Clean(field, s)
	if problem == nil && account.LooksLikeKey(s) {
		return "", fault.Field(fault.Invalid, field, "%s must be a person's name, not an API key.", field)
	}
	return s, problem
}

func (h *handler) listPartners(ctx context.Context, in *input) (any, error) {
	partners, next, err := h.accounts.Partners(ctx, int64(in.after))
	if err != nil {
		return nil, err
	}
	return newPartnerList(partners, next), nil
}

func (h *handler) disable(ctx context.Context, in *input) (any, error) {
	return h.setDisabled(ctx, in, true)
}

func (h *handler) enable(ctx context.Context, in *input) (any, error) {
	return h.setDisabled(ctx, in, false)
}

func (h *handler) setDisabled(ctx context.Context, in *input, disabled bool) (any, error) {
	p, changed, err := h.accounts.SetPartnerDisabled(ctx, int64(in.partner), disabled, in.by())
	if err != nil {
		return nil, err
	}
	return changedPartner{newPartner(p), changed}, nil
}

func (h *handler) listKeys(ctx context.Context, in *input) (any, error) {
	p, keys, err := h.accounts.Partner(ctx, int64(in.partner))
	if err != nil {
		return nil, err
	}
	return newKeyList(p, keys), nil
}

func (h *handler) addKey(ctx context.Context, in *input) (any, error) {
	key, err := h.accounts.IssuePartnerKey(ctx, int64(in.partner), in.next, in.by())
	if err != nil {
		return nil, err
	}
	return newFullKey(key), nil
}

func (h *handler) rotateKey(ctx context.Context, in *input) (any, error) {
	rotated, err := h.accounts.RotatePartnerKey(ctx, int64(in.partner), int64(in.key), time.Duration(in.grace)*time.Second, in.by())
	if err != nil {
		return nil, err
	}
	return newRotatedKey(rotated), nil
}

func (h *handler) deleteKey(ctx context.Context, in *input) (any, error) {
	if err := h.accounts.DeletePartnerKey(ctx, int64(in.partner), int64(in.key), in.by()); err != nil {
		return nil, err
	}
	return deletedKey{int64(in.partner), int64(in.key)}, nil
}
