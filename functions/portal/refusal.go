package main

import (
	"net/http"
	"strings"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/signin"
	"carrierlink/shared/web"
)

// refusal is why a link, a change or a rollback was not made, in words for a merchant.
type refusal struct {
	err       error            // to render if the form cannot be shown again
	problems  fault.List       // of the form; empty: it cannot be shown again
	diagnosis *fault.Diagnosis // of the carrier's answer; nil: it was not asked, or accepts everything
	existing  string           // the connection that has the number; empty for none
	running   bool             // the same form is still worked on
}

// refusal explains an error of a form about a connection of a carrier.
func (h *handler) refusal(r *http.Request, v *signin.Visit, name carrier.Name, err error) refusal {
	partner := h.frame(r, v, pages.NavCarriers).Partner
	re, first := refusal{err: err, running: isRunning(err)}, fault.Of(err)[0]
	said := pages.SaidProblems(fault.Of(err), name, partner)
	switch {
	case re.running:
	case first.Field == idempotencyKey && first.Kind != fault.IdempotencyMismatch: // no form of ours
	case asksCarrier(first.Kind), first.Kind == fault.State && first.Diagnosis != nil:
		re.diagnosis = pages.Said(first.Diagnosis, name, partner)
		p := fault.Field(fault.Invalid, first.Field, "%s", "Please try again in a few minutes.")
		if re.diagnosis != nil {
			p.Message = re.diagnosis.LikelyCause
		}
		re.problems = fault.List{p}
	case first.Kind == fault.CarrierConflict:
		re.existing = first.ExistingCarrierID
		re.problems = fault.List{pages.ErrLinkedAlready()}
	case first.Kind == fault.IdempotencyMismatch:
		re.problems = fault.List{fault.New(fault.Invalid, "You have sent this form before, with other details. Check them, then send it once more.")}
	case first.Kind == fault.State:
		for _, p := range said {
			p.Kind, p.Message = fault.Invalid, strings.ReplaceAll(p.Message, "unlink", "disconnect")
		}
		re.problems = said
	case wrongInput(err):
		re.problems = said
	}
	return re
}

// answerRefusal shows the form again with what is wrong. path is where the result of a form
// that is still worked on can be seen.
func (h *handler) answerRefusal(w http.ResponseWriter, r *http.Request, v *signin.Visit, re refusal, path string, page formPage) error {
	switch {
	case re.running:
		return web.Render(w, r, http.StatusConflict, pages.StillWorking(h.frame(r, v, pages.NavCarriers), path))
	case len(re.problems) == 0:
		return re.err
	}
	if re.diagnosis != nil && isOutage(re.err) { // nothing that was entered is a problem
		id, err := h.formID()
		if err != nil {
			return err
		}
		return web.Render(w, r, http.StatusUnprocessableEntity, page(h.frame(r, v, pages.NavCarriers), id))
	}
	return h.askAgain(w, r, v, re.problems, page)
}

// asksCarrier reports whether an error is the carrier's answer, or that it gave none.
func asksCarrier(k fault.Kind) bool {
	return k == fault.NumberMismatch || k == fault.CarrierRefused || k == fault.CarrierContract || isOutageKind(k)
}

func isOutageKind(k fault.Kind) bool {
	return k == fault.CarrierLimited || k == fault.CarrierDown || k == fault.CarrierTimeout
}

// isOutage reports whether the carrier gave no answer about what was entered.
func isOutage(err error) bool { return isOutageKind(fault.KindOf(err)) }
