package vault

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"carrierlink/shared/fault"
	"carrierlink/shared/metrics"
)

// redact keeps what is safe of an SDK error: its code and request id, the end of the
// context, or how the connection failed. Messages and damaged answers can contain the
// secret.
func redact(err error) error {
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
		text := "secrets manager: " + api.ErrorCode()
		var answer interface{ ServiceRequestID() string }
		if errors.As(err, &answer) && answer.ServiceRequestID() != "" {
			text += ", request " + answer.ServiceRequestID()
		}
		return errors.New(text)
	case errors.As(err, &dial):
		return fmt.Errorf("secrets manager: %w", dial)
	}
	return fmt.Errorf("secrets manager: %T", err)
}

// clean is redact for an error that ends the call. A call that is throttled after the SDK's
// own retries is fault.Overloaded with RetryAfter, and counted.
func clean(ctx context.Context, err error) error {
	redacted := redact(err)
	var own *fault.Error
	if errors.As(redacted, &own) || errors.Is(redacted, context.Canceled) || errors.Is(redacted, context.DeadlineExceeded) {
		return redacted
	}
	if (retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}).IsErrorThrottle(err) == aws.TrueTernary {
		metrics.Add(ctx, metrics.Throttles, "secrets_manager", 1)
		return fault.Throttled(redacted)
	}
	return redacted
}
