package manifest_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/vectors"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// The shapes of testdata/manifest.json. Times are seconds.

type VectorResource struct {
	URL    string `json:"url"`
	Offset int64  `json:"offset,omitempty"`
	Length int64  `json:"length,omitempty"`
}

type vectorPart struct {
	*VectorResource         // none where there is nothing to fetch
	Duration        float64 `json:"duration"`
	Gap             bool    `json:"gap,omitempty"`
}

type vectorSegment struct {
	vectorPart
	Sequence int64           `json:"sequence"`
	At       string          `json:"at,omitempty"`
	Init     *VectorResource `json:"init,omitempty"`
	Parts    []vectorPart    `json:"parts,omitempty"`
}

type vectorEntry struct {
	VectorResource
	Encrypted bool `json:"encrypted,omitempty"`
	Ad        bool `json:"ad,omitempty"`
}

type vectorOmission struct {
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
	Example string `json:"example"`
}

type hlsVector struct {
	Name    string            `json:"name"`
	URL     string            `json:"url"`
	Imports map[string]string `json:"imports,omitempty"`
	Body    string            `json:"body"`

	// What a player takes of it.
	Playlists []string          `json:"playlists,omitempty"`
	Variables map[string]string `json:"variables,omitempty"`
	Ended     bool              `json:"ended,omitempty"`
	Skipped   int64             `json:"skipped,omitempty"`
	Target    float64           `json:"target,omitempty"`
	Segments  []vectorSegment   `json:"segments,omitempty"`
	Tail      []vectorPart      `json:"tail,omitempty"`
	Hint      *VectorResource   `json:"hint,omitempty"`

	// And what an edge does.
	Entries   []vectorEntry    `json:"entries,omitempty"`
	Forbidden []string         `json:"forbidden,omitempty"`
	Hints     []VectorResource `json:"hints,omitempty"`
	Omissions []vectorOmission `json:"omissions,omitempty"`
}

type mpdVector struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Body string `json:"body"`

	Ended     bool             `json:"ended,omitempty"`
	Entries   []vectorEntry    `json:"entries,omitempty"`
	Templates []vectorTemplate `json:"templates,omitempty"`
	Forbidden []string         `json:"forbidden,omitempty"`
	Omissions []vectorOmission `json:"omissions,omitempty"`
}

// vectorTemplate has # for each digit that there is at least.
type vectorTemplate struct {
	Path      string `json:"path"`
	Encrypted bool   `json:"encrypted,omitempty"`
}

type nameVector struct {
	Name     string `json:"name,omitempty"`
	Type     string `json:"type,omitempty"`
	Manifest bool   `json:"manifest"`
}

type manifestVectors struct {
	HLS   []hlsVector  `json:"hls"`
	MPD   []mpdVector  `json:"mpd"`
	Names []nameVector `json:"names"`
}

func resourceVector(r *manifest.Resource) *VectorResource {
	if r == nil || r.URL == nil {
		return nil
	}
	return &VectorResource{r.URL.String(), r.Offset, r.Length}
}

func partVectors(parts []manifest.Part) (out []vectorPart) {
	for _, p := range parts {
		v := vectorPart{Duration: p.Duration.Seconds(), Gap: p.Gap}
		if !p.Gap {
			v.VectorResource = resourceVector(&p.Resource)
		}
		out = append(out, v)
	}
	return out
}

func urlVectors(urls []*url.URL) (out []string) {
	for _, u := range urls {
		out = append(out, u.String())
	}
	return out
}

// fill reads the body and writes down what it lists.
func (v *hlsVector) fill(t *testing.T) {
	t.Helper()
	u, err := url.Parse(v.URL)
	if err != nil {
		t.Fatal(err)
	}
	p, err := manifest.ReadHLS([]byte(v.Body), manifest.Source{URL: u, Imports: v.Imports})
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	v.Playlists, v.Variables, v.Ended, v.Skipped, v.Target = urlVectors(p.Playlists), p.Variables, p.Ended, p.Skipped, p.Target.Seconds()
	for _, s := range p.Segments {
		out := vectorSegment{vectorPart: vectorPart{Duration: s.Duration.Seconds(), Gap: s.Gap}, Sequence: s.Sequence, Init: resourceVector(s.Init), Parts: partVectors(s.Parts)}
		if !s.Gap {
			out.VectorResource = resourceVector(&s.Resource)
		}
		if !s.At.IsZero() {
			out.At = s.At.UTC().Format(time.RFC3339Nano)
		}
		v.Segments = append(v.Segments, out)
	}
	if p.Low != nil {
		v.Tail = partVectors(p.Low.Tail)
		if !p.Low.HintOpen {
			v.Hint = resourceVector(p.Low.Hint)
		}
	}
	for _, e := range p.Entries {
		v.Entries = append(v.Entries, vectorEntry{*resourceVector(&e.Resource), e.Encrypted, e.Ad})
	}
	v.Forbidden = urlVectors(p.Forbidden)
	for _, h := range p.Hints {
		v.Hints = append(v.Hints, *resourceVector(&h))
	}
	v.Omissions = omissionVectors(p.Omissions)
}

func omissionVectors(omissions []manifest.Omission) (out []vectorOmission) {
	for _, o := range omissions {
		out = append(out, vectorOmission(o))
	}
	return out
}

// fill reads the body and writes down what it lists.
func (v *mpdVector) fill(t *testing.T) {
	t.Helper()
	u, err := url.Parse(v.URL)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.ReadMPD([]byte(v.Body), u)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	v.Ended, v.Forbidden, v.Omissions = m.Ended, urlVectors(m.Forbidden), omissionVectors(m.Omissions)
	for _, e := range m.Entries {
		v.Entries = append(v.Entries, vectorEntry{*resourceVector(&e.Resource), e.Encrypted, e.Ad})
	}
	for _, tm := range m.Templates {
		v.Templates = append(v.Templates, vectorTemplate{tm.String(), tm.Encrypted})
	}
}

// mpdCase is a row of the table: content is that of a Period of 12 s.
func mpdCase(name, content string) mpdVector {
	return mpdVector{Name: name, URL: "https://example.com/live/m.mpd?token=1", Body: `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE MPD>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:xlink="http://www.w3.org/1999/xlink" type="static" mediaPresentationDuration="PT12S">
<Period>` + content + `</Period>
</MPD>
`}
}

func mpdCases() []mpdVector {
	set := func(content string) string {
		return `<AdaptationSet mimeType="video/mp4">` + content + `</AdaptationSet>`
	}
	live := mpdCase("live", set(`<SegmentTemplate timescale="1" media="$RepresentationID$/$Time$.m4s" initialization="$RepresentationID$/i.mp4"><SegmentTimeline><S t="0" d="4" r="1"/><S d="4"/></SegmentTimeline></SegmentTemplate><Representation id="v0" bandwidth="1"/>`))
	live.Body = strings.Replace(live.Body, `type="static"`, `type="dynamic" availabilityStartTime="2026-01-01T00:00:00Z"`, 1)
	return []mpdVector{
		mpdCase("numbers", set(`<SegmentTemplate duration="4" startNumber="7" media="$RepresentationID$/$Bandwidth$/$Number%05d$.m4s?x=1" initialization="$RepresentationID$/init.mp4"/><Representation id="v0" bandwidth="500000"/><Representation id="1:0" bandwidth="2"/><Representation id="a b" bandwidth="3"/><Representation id="ü" bandwidth="4"/>`)),
		live,
		mpdCase("times up to the end", set(`<SegmentTemplate timescale="1" media="t-$Time%03d$.m4s"><SegmentTimeline><S t="0" d="4" r="-1"/></SegmentTimeline></SegmentTemplate><Representation id="v0"/>`)),
		mpdCase("an init section as an element", set(`<SegmentTemplate duration="4" media="$RepresentationID$-$Number$.m4s"><Initialization sourceURL="set-init.mp4"/></SegmentTemplate><Representation id="v0"/>`)),
		mpdCase("a template behind its representation", set(`<Representation id="v0"/><SegmentTemplate duration="4" media="$Number$.m4s" initialization="i.mp4"/>`)),
		mpdCase("a template of the period", `<SegmentTemplate duration="4" media="$RepresentationID$/$Number$.m4s" initialization="$RepresentationID$/i.mp4"/>`+set(`<SegmentTemplate startNumber="3"/><Representation id="v0"/>`)),
		mpdCase("several numbers", set(`<SegmentTemplate duration="4" media="$Number$/$SubNumber%02d$.m4s"/><Representation id="v0"/>`)),
		mpdCase("templates that are left out", set(`<SegmentTemplate duration="4" media="n?n=$Number$"/><Representation id="v0"/>`)+set(`<SegmentTemplate duration="4" media="$Unknown$-$Number$.m4s"/><Representation id="v1"/>`)+
			set(`<SegmentTemplate duration="4" media="$Number$/a/b/c/d/e.m4s"/><Representation id="v2"/>`)+set(`<SegmentTemplate duration="4" media="$Number%3x$.m4s"/><Representation id="v3"/>`)),
		mpdCase("a list", set(`<Representation id="v0"><SegmentList duration="4"><Initialization sourceURL="i.mp4" range="0-99"/><SegmentURL media="1.m4s"/><SegmentURL media="2.m4s" mediaRange="5-9"/></SegmentList></Representation>`)),
		mpdCase("a list of the set", set(`<SegmentList duration="4"><Initialization sourceURL="i.mp4"/><SegmentURL media="1.m4s"/></SegmentList><Representation id="v0"/>`)),
		mpdCase("ranges of one file", set(`<Representation id="v0"><BaseURL>list.mp4</BaseURL><SegmentList duration="4"><Initialization range="0-799"/><SegmentURL mediaRange="800-1999"/><SegmentURL mediaRange="2000-2000"/></SegmentList></Representation>`)),
		mpdCase("on demand", set(`<Representation id="v0"><BaseURL>film.mp4</BaseURL><SegmentBase indexRange="800-1999"><Initialization range="0-799"/></SegmentBase></Representation>`)+
			`<AdaptationSet mimeType="text/vtt"><Representation id="t0"><BaseURL>subtitles.vtt</BaseURL></Representation></AdaptationSet>`),
		mpdCase("several places", `<BaseURL>https://other.example/x/</BaseURL><BaseURL>a/</BaseURL><BaseURL>b/</BaseURL><BaseURL>a/</BaseURL>`+set(`<BaseURL><![CDATA[c/]]></BaseURL><SegmentTemplate duration="4" media="$Number$.m4s" initialization="i.mp4"/><Representation id="v0"/>`)),
		mpdCase("no place", set(`<BaseURL>data:x/</BaseURL><SegmentTemplate duration="4" media="$Number$.m4s"/><Representation id="v0"/>`)),
		mpdCase("protection", `<ContentProtection schemeIdUri="urn:x"/>`+set(`<ContentProtection schemeIdUri="urn:y" xmlns:d="https://dashif.org/CPS"><d:Laurl d:licenseUrl="lic/attribute">lic/wv</d:Laurl></ContentProtection><SegmentTemplate duration="4" media="$Number$.m4s"/><Representation id="v0"/>`)),
		mpdCase("protection of one", set(`<SegmentTemplate duration="4" media="$RepresentationID$-$Number$.m4s" initialization="$RepresentationID$.mp4"/><Representation id="v0"><ContentProtection schemeIdUri="urn:x"/></Representation><Representation id="v1"/>`)),
		mpdCase("other documents", `<EventStream xlink:href="e.xml"/>`+set(`<ContentSteering defaultServiceLocation="a">steer.json</ContentSteering><UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="/time"/>`)),
		{Name: "a patch", URL: "https://example.com/live/m.mpp", Body: `<Patch xmlns="urn:mpeg:dash:schema:mpd-patch:2020"><add sel="/MPD"><Period id="2"><AdaptationSet><SegmentTemplate duration="4" media="b/$Number$.m4s"/><Representation id="v0"/></AdaptationSet></Period></add></Patch>`},
		{Name: "smooth streaming", URL: "https://example.com/f.ism/Manifest", Body: `<SmoothStreamingMedia MajorVersion="2" MinorVersion="0" Duration="80000000"><StreamIndex Type="video" Url="QualityLevels({bitrate})/Fragments(video={start time})"><QualityLevel Index="0" Bitrate="400000"/><QualityLevel Index="1" Bitrate="800000"/><c t="0" d="40000000"/><c d="40000000"/></StreamIndex></SmoothStreamingMedia>`},
	}
}

// hlsCase is a row of the table: head stands before lines where they are those of a
// media playlist.
func hlsCase(name, lines string) hlsVector {
	return hlsVector{Name: name, URL: "https://example.com/live/v0/index.m3u8?token=a%20b", Body: "#EXTM3U\n#EXT-X-TARGETDURATION:4\n" + lines}
}

// names are URIs as packagers write them.
var names = []string{
	"seg.ts", "my seg 0.ts", "фильм.ts", "a(1),b.ts", "it's.ts", "a[1].ts", "a%2Cb.ts", "a%2cb.ts", "d//e.ts", "x;v=1.ts", "a+b.ts", "a&b=c.ts",
	"2026-11-30T10:00:00.ts", "12:30:00.ts", "1:0/a.ts", "./a:b.ts", "100%.ts", "%zz.ts", "ok.ts", "a.ts?x=y z&q='1'", "a.ts?", "?n=1", "a.ts#t=1",
	"../v1/s%2fx.ts", "./x/../c.ts", "x/%2e%2E/c.ts", "..", "../../../../up.ts", "/root.ts", "//example.com/b.ts", "//other.example/b.ts",
	"HTTPS://EXAMPLE.com:443/c.ts", "https://example.com:8443/c.ts", "http://example.com/c.ts", "https:rel.ts", `back\slash.ts`, `\\other.example\x.ts`,
	"a\"b<c>.ts", "{x}`.ts", "tab\there.ts", "data:video/mp4;base64,AA", "blob:https://example.com/1", "skd://key", "ftp://example.com/a.ts",
	"QualityLevels(400000)/Fragments(video=0,format=m3u8-aapl)", "a.ts?u=http://other.example/x", "a.ts?100%",
}

func hlsCases() []hlsVector {
	segment := func(uri string) string { return "#EXTINF:4,\n" + uri + "\n" }
	imports := hlsCase("variables", `#EXT-X-DEFINE:NAME="a",VALUE="x/y"
#EXT-X-DEFINE:IMPORT="dir"
#EXT-X-DEFINE:QUERYPARAM="token"
#EXT-X-DEFINE:QUERYPARAM="none"
#EXT-X-DEFINE:IMPORT="none"
#EXT-X-MAP:URI="{$a}.mp4"
#EXT-X-KEY:METHOD=AES-128,URI="{$a}.key"
`+segment("{$dir}/{$a}.m4s?t={$token}")+segment("{$none}.m4s")+`#EXT-X-MAP:URI="i.mp4",BYTERANGE="{$none}@0"
`+segment("after.m4s")+"#EXT-X-PART:DURATION=1,URI=\"{$none}\"\n")
	imports.Imports = map[string]string{"dir": "/films"}
	bom := hlsCase("byte order mark, line ends, blank lines, spaces", "#EXT-X-MEDIA-SEQUENCE: 7 \n\n#EXTINF: 4.0 ,\na.ts\n  \n#EXTINF:4\n b.ts \n#EXT-X-BYTERANGE: 1000 @ 0\n#EXTINF:4,\nc.ts\n#EXT-X-BYTERANGE: 1000@0\n#EXTINF:4,\nd.ts\n#EXT-X-ENDLIST \n")
	bom.Body = "\ufeff" + strings.ReplaceAll(bom.Body, "\n", "\r\n")
	multivariant := hlsVector{Name: "multivariant", URL: "https://example.com/live/index.m3u8", Body: `#EXTM3U
#EXT-X-DEFINE:NAME="q",VALUE="1"
#EXT-X-CONTENT-STEERING:SERVER-URI="steer.json",PATHWAY-ID="A"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a,b",NAME="x=1, y",DEFAULT=YES,URI="a0/index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a,b",NAME="muxed"
#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="a,b",AUDIO="a,b"
# in between

v0/index.m3u8?x={$q}#y
#EXT-X-STREAM-INF:BANDWIDTH=2
{$none}/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=3
v2/index.m3u8
#EXT-X-SESSION-KEY:METHOD=AES-128,URI="k"
#EXT-X-SESSION-DATA:DATA-ID="d",URI="d.json"
`}
	urls := hlsCase("names", "")
	for _, name := range names {
		urls.Body += segment(name)
	}
	return []hlsVector{
		hlsCase("segments", "#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:3.84,title, with a comma\na.ts\n#EXTINF:4,000,\nb.ts?x=1\n#EXTINF:abc,\nc.ts\nstray.ts\n#EXT-X-MEDIA-SEQUENCE:9\n#EXT-X-GAP\n#EXTINF:2.5,\nd.ts\n#EXT-X-ENDLIST\n"),
		bom,
		hlsCase("comments and unknown tags", "# hello\n#EXT-X-NEW:URI=\"no.ts\"\n#EXTINF:4,\n#EXT-X-DATERANGE:ID=\"a\",X-URI=\"no.ts\"\na.ts\n#EXT-X-KEY\n#EXT-X-MAP\n#EXT-X-MAP:URI=\"unterminated\n"+segment("b.ts")),
		hlsCase("ranges", `#EXT-X-MAP:URI="all.mp4",BYTERANGE="720"
#EXTINF:4,
#EXT-X-BYTERANGE:100@720
all.mp4
#EXT-X-MAP:URI="all.mp4",BYTERANGE="9@5000"
#EXT-X-PART:DURATION=1,URI="all.mp4",BYTERANGE="10@820"
#EXT-X-PART:DURATION=1,URI="all.mp4",BYTERANGE="20"
#EXTINF:4,
#EXT-X-BYTERANGE:50
all.mp4
#EXT-X-BYTERANGE:7@0
#EXTINF:4,
other.mp4
#EXTINF:4,
#EXT-X-BYTERANGE:50
all.mp4
#EXT-X-PART:DURATION=1,URI="all.mp4",BYTERANGE="30"
#EXTINF:4,
#EXT-X-BYTERANGE:-5@0
bad.mp4
#EXTINF:4,
#EXT-X-BYTERANGE:1x@0
bad.mp4
#EXTINF:4,
#EXT-X-BYTERANGE:5@
bad.mp4
#EXTINF:4,
#EXT-X-BYTERANGE:99
first.mp4
`),
		hlsCase("keys", `#EXT-X-KEY:METHOD=AES-128,URI="k/0.key?a,b",IV=0x1
`+segment("0.ts")+`#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI="data:text/plain;base64,AAAA",KEYFORMAT="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",KEYFORMATVERSIONS="1"
`+segment("1.ts")+`#EXT-X-KEY:METHOD=NONE
`+segment("2.ts")),
		hlsCase("low latency", `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,CAN-SKIP-UNTIL=12
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:40
#EXT-X-MAP:URI="init.mp4",BYTERANGE="700@0"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.500+01:00
`+segment("seg-40.m4s")+`#EXT-X-PART:DURATION=0.5,URI="seg-41.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI="seg-41.1.m4s",GAP=YES
#EXT-X-PART:DURATION=0.5,URI="seg-41.2.m4s",BYTERANGE="x"
`+segment("seg-41.m4s")+`#EXT-X-PART:DURATION=0.5,URI="seg-42.0.m4s"
#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="other.mp4"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="seg-42.1.m4s"
#EXT-X-RENDITION-REPORT:URI="../v1/index.m3u8",LAST-MSN=42,LAST-PART=0
`),
		hlsCase("hint of a range", `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="x.m4s",BYTERANGE-START=270,BYTERANGE-LENGTH=50
`),
		hlsCase("hint of a range without end", `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="x.m4s",BYTERANGE-START=270
`),
		hlsCase("delta update", `#EXT-X-MEDIA-SEQUENCE:40
#EXT-X-SKIP:SKIPPED-SEGMENTS=2
#EXTINF:4,
#EXT-X-BYTERANGE:10
all.m4s
`+segment("seg-43.m4s")),
		hlsCase("dates", "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05Z\n"+segment("a.ts")+segment("b.ts")+"#EXT-X-DISCONTINUITY\n"+segment("c.ts")+
			"#EXT-X-PROGRAM-DATE-TIME:2026-01-02T04:00:00.25+0100\n"+segment("d.ts")+"#EXT-X-PROGRAM-DATE-TIME:2026-01-02T05:00:00\n"+segment("e.ts")+"#EXT-X-PROGRAM-DATE-TIME:soon\n"+segment("f.ts")),
		hlsCase("ads", segment("show.ts")+"#EXT-X-CUE-OUT:DURATION=8\n"+segment("ad-1.ts")+segment("ad-2.ts")+segment("show-2.ts")+
			"#EXT-X-DISCONTINUITY\n"+segment("https://EXAMPLE.com/live/v0/own.ts")+"#EXT-X-DISCONTINUITY\n"+segment("https://ads.example/a.ts")+segment("beside.ts")),
		imports,
		multivariant,
		urls,
	}
}

// TestVectors: the browser's reader runs these, too.
func TestVectors(t *testing.T) {
	v := manifestVectors{HLS: hlsCases(), MPD: mpdCases()}
	for i := range v.HLS {
		v.HLS[i].fill(t)
	}
	for i := range v.MPD {
		v.MPD[i].fill(t)
	}
	for _, name := range []string{"/a.m3u8", "/a.M3U8", "/a.m3u", "/a.mpd", "/a.MPD", "/a.ts", "/a.m3u8/b", "/m3u8", "/a.php", "/"} {
		v.Names = append(v.Names, nameVector{Name: name, Manifest: manifest.IsManifestName(name)})
	}
	vectors.Kept(t, "manifest.json", v, "the edge and the players of another version read manifests otherwise")
}
