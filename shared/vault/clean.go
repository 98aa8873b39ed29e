package vault

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/aws/smithy-go"

	"carrierlink/shared/fault"
)

// clean is what may be known of an SDK error: its code and request id, that the
// context ended, or how the connection failed. Messages and damaged answers are
// left out: both can hold the secret.
func clean(err error) error {
	var own *fault.Error
	var api smithy.APIError
	var dial *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &api):
		var answer interface{ ServiceRequestID() string }
		if errors.As(err, &answer) && answer.ServiceRequestID() != "" {
			return fmt.Errorf("secrets manager: %s, request %s", api.ErrorCode(), answer.ServiceRequestID())
		}
		return fmt.Errorf("secrets manager: %s", api.ErrorCode())
	case errors.As(err, &dial):
		return fmt.Errorf("secrets manager: %w", dial)
	}
	return fmt.Errorf("secrets manager: %T", err)
}
