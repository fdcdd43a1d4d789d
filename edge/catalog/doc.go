// Package catalog keeps what the manifests that an edge served have listed:
// presentations, their playlists, and the resources that viewers may share.
//
//	bounds.go        how much is kept
//	location.go      Location, Range: where a resource lies
//	listed.go        Listed: a resource that a manifest lists
//	presentation.go  Presentation: one stream at one host
//	template.go      resources that an MPD lists by templates
//	catalog.go       Catalog: looks presentations and resources up, within bounds
//	learn.go         Catalog: learns what a manifest lists
//	spelling.go      the other spellings of what is listed, for the token gate
//	swarm.go         swarm ids and values of Mesh-Bootstrap
//
// # Which presentation a manifest belongs to
//
// The presentation of a manifest is the host and the directory of its
// multivariant playlist. When a multivariant playlist passes, its renditions are
// remembered as belonging to it. A media playlist whose multivariant playlist has
// not passed is a presentation of its own, under its own directory, until it
// does.
package catalog
