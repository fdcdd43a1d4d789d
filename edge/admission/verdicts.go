package admission

import (
	"sync/atomic"

	"github.com/viewmesh/viewmesh/tokens"
)

// reasons are the values of Verdict.Reason; another one counts as the last.
var reasons = [...]tokens.Reason{
	tokens.ReasonMissing, tokens.ReasonMalformed, tokens.ReasonMalformedURI, tokens.ReasonAlgorithm, tokens.ReasonUnknownKey,
	tokens.ReasonSignature, tokens.ReasonKeysUnavailable, tokens.ReasonIssuer, tokens.ReasonSubject, tokens.ReasonAudience,
	tokens.ReasonExpired, tokens.ReasonNotYetValid, tokens.ReasonRenewal, tokens.ReasonReplayed, tokens.ReasonReplayStore,
	tokens.ReasonVersion, tokens.ReasonCritical, tokens.ReasonClientIP, tokens.ReasonURI, tokens.ReasonScope,
	tokens.ReasonEverything, "other",
}

// Verdict counts requests by what their viewer token came to.
type Verdict struct {
	// Outcome is "accepted", "refused", or "observed": to be refused, and let
	// through.
	Outcome string
	Reason  tokens.Reason // "" for an accepted one
	Count   int64
}

// verdicts counts what viewer tokens came to.
type verdicts struct {
	accepted atomic.Int64
	refused  [len(reasons)]atomic.Int64
	observed [len(reasons)]atomic.Int64
}

// count counts one request; refused is nil for an accepted one.
func (v *verdicts) count(enforce string, refused *tokens.Refusal) {
	if refused == nil {
		v.accepted.Add(1)
		return
	}
	i := 0
	for i < len(reasons)-1 && reasons[i] != refused.Reason {
		i++
	}
	if enforce == EnforceObserve {
		v.observed[i].Add(1)
	} else {
		v.refused[i].Add(1)
	}
}

// list returns the accepted ones, and of the others those that are not zero.
func (v *verdicts) list() []Verdict {
	out := []Verdict{{Outcome: "accepted", Count: v.accepted.Load()}}
	for i, reason := range reasons {
		if n := v.refused[i].Load(); n > 0 {
			out = append(out, Verdict{"refused", reason, n})
		}
		if n := v.observed[i].Load(); n > 0 {
			out = append(out, Verdict{"observed", reason, n})
		}
	}
	return out
}
