package caddymodule

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/viewmesh/viewmesh/tokens"
)

// reasons are the values of the label reason; another one counts as the last.
var reasons = []tokens.Reason{
	tokens.ReasonMissing, tokens.ReasonMalformed, tokens.ReasonMalformedURI, tokens.ReasonAlgorithm, tokens.ReasonUnknownKey,
	tokens.ReasonSignature, tokens.ReasonKeysUnavailable, tokens.ReasonIssuer, tokens.ReasonSubject, tokens.ReasonAudience,
	tokens.ReasonExpired, tokens.ReasonNotYetValid, tokens.ReasonRenewal, tokens.ReasonReplayed, tokens.ReasonReplayStore,
	tokens.ReasonVersion, tokens.ReasonCritical, tokens.ReasonClientIP, tokens.ReasonURI, "other",
}

// verdicts counts what viewer tokens came to. It outlives a reload.
type verdicts struct {
	accepted atomic.Int64
	refused  [20]atomic.Int64 // by reasons
	observed [20]atomic.Int64
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

var descTokens = prometheus.NewDesc("mesh_viewer_tokens_total",
	"Requests by what their viewer token came to: accepted, refused, or observed (to be refused, and let through).",
	[]string{"outcome", "reason"}, nil)

// collect sends the counters that are not zero.
func (v *verdicts) collect(ch chan<- prometheus.Metric) {
	send := func(n int64, outcome string, reason tokens.Reason) {
		if n > 0 || outcome == "accepted" {
			ch <- prometheus.MustNewConstMetric(descTokens, prometheus.CounterValue, float64(n), outcome, string(reason))
		}
	}
	send(v.accepted.Load(), "accepted", "")
	for i, reason := range reasons {
		send(v.refused[i].Load(), "refused", reason)
		send(v.observed[i].Load(), "observed", reason)
	}
}
