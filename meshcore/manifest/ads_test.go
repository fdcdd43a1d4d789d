package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// TestAds: which of the segments, one of 10 s from each time on, are ads. The splice
// commands are those of ANSI/SCTE 35, section 14.
func TestAds(t *testing.T) {
	const (
		placement = "0xFC3034000000000000FFFFF00506FE72BD0050001E021C435545494800008E7FCF0001A599B00808000000002CA0A18A3402009AC9D17E" // begins, 307 s
		insert    = "0xFC302F000000000000FFFFF014054800008F7FEFFE7369C02EFE0052CCF500000000000A0008435545490000013562DBA30A"           // out of the network, 60.3 s
	)
	end := strings.Replace(placement, "8A3402", "8A3502", 1)
	chapter := strings.Replace(placement, "8A3402", "8A2002", 1)
	for name, c := range map[string]struct {
		ranges []string // date ranges, from the start on
		want   string   // a for an ad, of segments at 0, 60, 300, 600, 900 s
	}{
		"an out with a planned duration": {[]string{`SCTE35-OUT=0xFC,PLANNED-DURATION=70`}, "aa..."},
		"a splice_insert":                {[]string{"SCTE35-CMD=" + insert}, "aa..."},
		"a placement opportunity":        {[]string{"SCTE35-CMD=" + placement}, "aaa.."},
		"a duration beside the command":  {[]string{"DURATION=5,SCTE35-CMD=" + placement}, "a...."},
		"the end of an opportunity":      {[]string{"SCTE35-CMD=" + end}, "....."},
		"a chapter":                      {[]string{"SCTE35-CMD=" + chapter}, "....."},
		"a command that is none":         {[]string{"SCTE35-CMD=0xFC30"}, "aaa.."},
		"an out that nothing ends":       {[]string{"SCTE35-OUT=0xFC"}, "aaa.."},
		"an out and its in":              {[]string{"SCTE35-OUT=0xFC", `SCTE35-IN=0xFC,END-DATE="2026-01-01T00:01:00Z"`}, "a...."},
		"an interstitial":                {[]string{`CLASS="com.apple.hls.interstitial",DURATION=600,X-ASSET-URI="ad.m3u8"`}, "....."},
	} {
		t.Run(name, func(t *testing.T) {
			text := "#EXTM3U\n"
			for _, r := range c.ranges {
				text += `#EXT-X-DATERANGE:ID="1",START-DATE="2026-01-01T00:00:00Z",` + r + "\n"
			}
			for _, at := range []int{0, 60, 300, 600, 900} {
				text += fmt.Sprintf("#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:%02d:%02dZ\n#EXTINF:10,\n%d.ts\n", at/60, at%60, at)
			}
			p, err := manifest.ReadHLS([]byte(text), manifest.Source{URL: base})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, e := range p.Entries {
				got += map[bool]string{true: "a", false: "."}[e.Ad]
			}
			if got != c.want {
				t.Errorf("ads are %s, want %s", got, c.want)
			}
			if named := len(p.Interstitials) == 1 && relative(p.Interstitials[0]) == "ad.m3u8"; named != (name == "an interstitial") {
				t.Errorf("interstitials %v", p.Interstitials)
			}
		})
	}
}
