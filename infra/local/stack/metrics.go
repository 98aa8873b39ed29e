package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"carrierlink/infra/local/emf"
)

// MetricsPath is where the local stack shows its metrics. The API has no such path.
const MetricsPath = "/_local/metrics"

// Metrics returns the metrics of all functions since the start of the stack, as CloudWatch makes them of the functions'
// logs on AWS. The error joins what is wrong with single lines; the other lines count.
func (s *Stack) Metrics(ctx context.Context) (*emf.Summary, error) {
	var all emf.Summary
	var errs []error
	for _, function := range slices.Sorted(maps.Keys(s.FunctionNames)) {
		lines, err := s.Logs(ctx, function)
		errs = append(errs, err)
		for _, line := range lines {
			if err := all.Add(line); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", function, err))
			}
		}
	}
	return &all, errors.Join(errs...)
}

// withOwnPages serves the metrics and the mails beside the API.
func (s *Stack) withOwnPages(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case MetricsPath:
			s.serveMetrics(w, r)
		case MailsPath:
			s.serveMails(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

func (s *Stack) serveMetrics(w http.ResponseWriter, r *http.Request) {
	all, err := s.Metrics(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_ = all.Write(w)
}
