// Package rules has no code of its own: its tests hold the rules of the house
// that a compiler does not. They read the module's packages as the go command
// lists them and its source as go/ast parses it.
//
//   - imports_test.go: imports point one way only, for the native build and for
//     GOOS=js GOARCH=wasm, and each pinned major has one importer.
//   - pure_test.go: meshcore has no clock, goroutine, lock, channel or hidden
//     source of chance.
//   - order_test.go: no decision of meshcore depends on the order of a map.
//   - floors_test.go: the files of a package stand on floors, each above those that
//     it uses, and a type has its methods in one file or two; feedback_test.go finds
//     the order of the files.
//   - names_test.go: a file is named for what is inside.
//   - bundles_test.go: what the edge serves of the browser's modules is up to date.
//   - skips_test.go: tests skip by internal/program alone.
//
// To let a package import something new, change the table of imports_test.go. That
// is meant to be seen in review, as is a new line in the tables of exceptions of
// floors_test.go and names_test.go, which are meant to become empty.
package rules
