package httpapi

import "context"

// NewChange is newChange.
var NewChange = newChange

// Replay is replay.
func (c *Change) Replay(ctx context.Context, err error) (*Response, error) {
	return c.replay(ctx, err)
}
