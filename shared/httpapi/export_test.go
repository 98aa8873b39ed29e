package httpapi

import "context"

// NewChange reads the header of a request for the tests of the package.
var NewChange = newChange // never changes

// Replayed answers from the record of a replay.
func (c *Change) Replayed(ctx context.Context, err error) (*Response, error) {
	return c.replayed(ctx, err)
}
