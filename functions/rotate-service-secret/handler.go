package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"carrierlink/shared/httpapi"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
	"carrierlink/shared/vault"
)

type handler struct {
	secret *vault.ReplacedSecret
	random io.Reader
	now    func() time.Time
}

// answer says which key there is now. It has no text of a key.
type answer struct {
	KeyID         string  `json:"key_id"`
	UsedFrom      *string `json:"used_from"`
	PreviousUntil *string `json:"previous_until"`
	Keys          int     `json:"keys"`
}

// rotate adds a key to the service secret. The payload does not matter. Errors: those of
// seal.Rotate and vault.ReplacedSecret.Replace. Nothing has changed then, unless the answer
// of the write was lost.
func (h *handler) rotate(ctx context.Context) (*answer, error) {
	now := h.now()
	var made seal.Rotation
	err := h.secret.Replace(ctx, func(old secret.Text) (next secret.Text, err error) {
		next, made, err = seal.Rotate(old, h.random, now)
		return next, err
	})
	if err != nil {
		return nil, err
	}
	slog.InfoContext(ctx, "service secret rotated", slog.String("key_id", made.KeyID), slog.Time("used_from", made.UsedFrom), slog.Int("keys", made.Keys))
	return &answer{KeyID: made.KeyID, UsedFrom: httpapi.Time(made.UsedFrom), PreviousUntil: httpapi.Time(made.PreviousUntil), Keys: made.Keys}, nil
}
