// Package rules has no code of its own: its tests hold the rules of the house
// that a compiler does not. They read the module's packages as the go command
// lists them and its source as go/ast parses it.
//
//   - imports_test.go: imports point one way only, for the native build and for
//     GOOS=js GOARCH=wasm, and each pinned major has one importer.
//   - pure_test.go: meshcore has no clock, goroutine, lock, channel or hidden
//     source of chance.
//   - order_test.go: no decision of meshcore depends on the order of a map.
//
// To let a package import something new, change the table of imports_test.go; that
// is meant to be seen in review.
package rules
