// Package insight is what the operator sees: meters of traffic, audience and quality of
// experience, their history, and the API and the dashboard that show them. It knows nothing
// of sockets or swarms: the edge feeds it sessions and their reports.
//
// # Cells
//
// A [Cell] has the counters of one presentation, or of one value of one dimension within it,
// such as the viewers of /live/main.m3u8 in DE. Values of two dimensions are not crossed, so
// that the number of cells stays small: what can be asked for is a presentation, split by one
// dimension or filtered by one value of one. Each dimension has a bound ([Dimension.bound]),
// beyond which a new value counts as "other".
//
// # Rows
//
// Every ten seconds the growth of all cells becomes a [Row], which goes into a file (history.go).
// Rows are merged into those of a minute, an hour and a day. A reader takes the coarsest that
// answer its question, and finer ones for what has not been merged yet.
package insight
