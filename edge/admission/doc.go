// Package admission decides who takes part in the mesh of a site, and on what
// terms: the site's policy, viewer tokens, sessions and their passes, limits and
// bans.
//
//	policy.go        Policy: what the configuration of a site allows
//	hosts.go         which names are one
//	origins.go       which pages may use the endpoints (CORS)
//	control.go       Control: opens sessions and renews their passes
//	guest.go         clients of other kinds, which have no session
//	gate.go          Gate: which viewers are entitled to a response
//	gatewriter.go    responses whose kind turns out with their header
//	renewal.go       viewer tokens that are renewed with a response
//	viewertoken.go   the check of one viewer token
//	verdicts.go      counts what viewer tokens came to
//	entitlement.go   what a session is based on, kept for its renewals
//	scope.go         path prefixes that a pass covers
//	viewer.go        who a viewer is: token subject or address
//	bans.go          who is refused, or may take and not give
//	limits.go        requests by source address
package admission
