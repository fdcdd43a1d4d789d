// Package catalog keeps what the manifests that an edge served have listed:
// presentations, their playlists, and the resources that viewers may share.
//
//	bounds.go        how much is kept
//	location.go      Location, Range: where a resource lies
//	listed.go        Listed: a resource that a manifest lists
//	presentation.go  Presentation: one stream at one host
//	template.go      resources that an MPD lists by templates
//	params.go        which query parameters are the viewer's
//	catalog.go       Catalog: looks presentations and resources up, within bounds
//	tail.go          what has been read of a playlist that grows
//	learn.go         Catalog: learns what a manifest lists
//	spelling.go      the other spellings of what is listed, for the token gate
//	infohash.go      by what name other clients know a stream
//	swarm.go         swarm ids and values of Mesh-Bootstrap
//
// # Which presentation a manifest belongs to
//
// The presentation of a manifest is the host and the canonical path of its
// multivariant playlist or MPD. When a multivariant playlist passes, its renditions
// are remembered as belonging to it, wherever they lie on the host. A media playlist
// whose multivariant playlist has not passed is a presentation of its own until it
// does. A resource that two presentations list is shared by both.
//
// The query of a manifest is no part of its presentation's name, so that made-up
// queries make no presentations, and the id of a swarm says nothing of a viewer. Where
// it chooses what is played, its viewers are in one swarm and of other renditions,
// by which the tracker introduces them.
package catalog
