package browsertest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestMPD reads manifests with the parser of the browser, which node has not.
func TestMPD(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{site: "handle_path /src/* {\n root " + absolute(t, "../../meshcore/browser/www") + "\n file_server\n }"})
	p := open(t, browser, "page", e.url("/native.html?src=/none"))
	const template = `<AdaptationSet mimeType="video/mp4"><SegmentTemplate timescale="10" duration="20" initialization="$RepresentationID$/i" media="$RepresentationID$/$Number%03d$"/><Representation id="v"/></AdaptationSet>`
	for _, c := range []struct {
		name, attributes, text string
		now                    string // since the epoch
		want                   []string
	}{
		{"number", `mediaPresentationDuration="PT5S"`, "<Period>" + template + "</Period>", "0", []string{"v main ended", "v/001 0+2", "v/002 2+2", "v/003 4+2"}},
		{"live", `type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z" timeShiftBufferDepth="PT4S"`, `<Period start="PT0S">` + template + "</Period>", "11000",
			[]string{"v main live", "v/004 6+2", "v/005 8+2"}},
		{"periods without starts", `mediaPresentationDuration="PT7S"`, `<Period duration="PT3S">` + template + `</Period><Period duration="PT2S"><BaseURL>b/</BaseURL>` + template + "</Period><Period>" +
			template + "</Period>", "0", []string{"v main ended", "v/001 0+2", "v/002 2+2", "b/v/001 3+2", "v/001 5+2"}},
		{"a period that others have not", `mediaPresentationDuration="PT4S"`, `<Period duration="PT2S">` + template +
			`</Period><Period start="PT2S"><AdaptationSet contentType="audio"><SegmentTemplate duration="2" media="ad-$Number$"/><Representation id="ad"/></AdaptationSet></Period>`, "0",
			[]string{"v main ended", "v/001 0+2", "ad audio ended", "ad-1 2+2"}},
		{"a timeline that repeats to its end", `mediaPresentationDuration="PT7S"`, `<Period><AdaptationSet contentType="video"><SegmentTemplate timescale="10" presentationTimeOffset="100" media="$Time$.m4s">` +
			`<SegmentTimeline><S t="100" d="20" r="1"/><S d="10" r="-1"/></SegmentTimeline></SegmentTemplate><Representation id="v"/></AdaptationSet></Period>`, "0",
			[]string{"v main ended", "100.m4s 0+2", "120.m4s 2+2", "140.m4s 4+1", "150.m4s 5+1", "160.m4s 6+1"}},
		{"a list of ranges", `mediaPresentationDuration="PT4S"`, `<Period><AdaptationSet contentType="video"><Representation id="v"><BaseURL>all.mp4</BaseURL><SegmentList duration="2">` +
			`<Initialization range="0-9"/><SegmentURL mediaRange="10-19"/><SegmentURL media="b.mp4"/></SegmentList></Representation></AdaptationSet></Period>`, "0",
			[]string{"v main ended", "all.mp4@10+10 0+2", "b.mp4 2+2"}},
		{"one file", `mediaPresentationDuration="PT4S"`, `<Period><AdaptationSet contentType="video"><Representation id="v"><BaseURL>all.mp4</BaseURL><SegmentBase indexRange="10-99"/></Representation></AdaptationSet></Period>`,
			"0", nil},
	} {
		script := fmt.Sprintf(`import("/src/mpd.js").then(({ parseMPD }) => parseMPD(%q, "https://example.com/").flatMap((r) => {
			const { ended, segments } = r.list(%s);
			return [r.id + " " + r.kind + (ended ? " ended" : " live"), ...segments.map((s) => s.url.slice(20) + (s.length ? "@" + s.offset + "+" + s.length : "") + " " + s.start / 1e9 + "+" + s.duration / 1e9)];
		}))`, "<MPD "+c.attributes+">"+c.text+"</MPD>", c.now)
		got, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](script, chromedp.EvalAwaitPromise))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}
