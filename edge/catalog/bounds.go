package catalog

// Bounds of a catalog. What falls out is no longer shared until a manifest lists
// it again; playback does not notice.
const (
	maxPresentations = 4096    // the least recently used goes first
	maxListed        = 1 << 18 // segments in all presentations
	maxListedEach    = 1 << 16 // segments of one presentation
	maxPlaylists     = 256     // playlists of one presentation; the one read longest ago goes first
	maxForbidden     = 4096    // key URLs and the like of one presentation
	maxAds           = 1024    // ads of one playlist that are compared
	maxTemplates     = 512     // of one directory
	maxTemplateDepth = 4       // directories that may follow the number of a template
	maxScopes        = 256     // directories of one presentation
	maxNames         = 256     // queries with which one path is listed; the oldest goes first
)
