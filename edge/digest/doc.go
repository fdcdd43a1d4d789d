// Package digest keeps what an edge knows of the bytes of segments: their chunk
// hashes, the validators under which they were served, and the signed statement,
// a segment token, that lets viewers pass them on.
//
//	store.go   Store: learns digests, signs and returns statements
//	spool.go   Spool: digests a body whose length is not known before its end
package digest
