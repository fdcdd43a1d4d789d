package caddymodule_test

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestShareDASH: segments that a template of an MPD matches are vouched for, and
// with encrypted_only just those under ContentProtection.
func TestShareDASH(t *testing.T) {
	body, err := os.ReadFile("../edge/catalog/testdata/share/protected.mpd")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "s/index.mpd", string(body))
	for _, name := range []string{"s/video/v0/seg-00001.m4s", "s/video/v0/init.mp4", "media/audio-2.mp4", "s/video/v0/seg-x.m4s", "s/video/v0/seg-1.m4s",
		"s/video/key-cert-7.m4s", "licence/1.m4s", "licence/widevine", "s/subtitles.vtt"} {
		write(t, dir, name, string(pattern(name, 3000)))
	}
	for share, want := range map[string]string{
		"all":            "/s/video/v0/seg-00001.m4s /s/video/v0/init.mp4 /media/audio-2.mp4 /s/subtitles.vtt",
		"encrypted_only": "/s/video/v0/seg-00001.m4s /s/video/v0/init.mp4",
		"none":           "",
	} {
		t.Run(share, func(t *testing.T) {
			e := newEdge(t)
			e.load("", "mesh {\n share "+share+"\n }\n root "+dir+"\n file_server")
			resp, b := e.get("/s/index.mpd")
			if string(b) != string(body) || (resp.Header.Get(headerBootstrap) == "") != (share == "none") {
				t.Errorf("share %s: the MPD came with %q", share, resp.Header.Get(headerBootstrap))
			}
			var got []string
			for _, path := range []string{"/s/video/v0/seg-00001.m4s", "/s/video/v0/init.mp4", "/media/audio-2.mp4", "/s/subtitles.vtt",
				"/s/video/v0/seg-x.m4s", "/s/video/v0/seg-1.m4s", "/s/video/key-cert-7.m4s", "/licence/1.m4s", "/licence/widevine", "/s/index.mpd"} {
				if resp, _ := e.get(path); resp.Header.Get(headerSegment) != "" {
					got = append(got, path)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("share %s: vouched for\n%v\nwant\n%s", share, got, want)
			}
			if share == "all" {
				scope := e.openSession("/s/index.mpd").Pass
				pass, err := e.verifier().VerifyPass(scope, time.Now())
				if err != nil || !pass.Covers("/media/audio-2.mp4") {
					t.Errorf("the pass covers %v, %v", pass.Scope, err)
				}
			}
		})
	}
}

// TestAds: ads are shared while all viewers get the same, and not once two got
// different ones; or as the operator says.
func TestAds(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"show.ts", "ad-1.ts", "ad-2.ts"} {
		write(t, dir, "s/"+name, string(pattern(name, 3000)))
	}
	playlist := func(ad string) {
		write(t, dir, "s/index.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nshow.ts\n#EXT-X-CUE-OUT:10\n#EXTINF:10,\n"+ad+"\n#EXT-X-CUE-IN\n")
	}
	for option, want := range map[string][3]bool{"": {true, false, true}, "ads share": {true, true, true}, "ads origin_only": {false, false, true}} {
		t.Run(option, func(t *testing.T) {
			e := newEdge(t)
			e.load("", "mesh {\n "+option+"\n }\n root "+dir+"\n file_server")
			shared := func(path string) bool {
				resp, _ := e.get(path)
				return resp.Header.Get(headerSegment) != ""
			}
			playlist("ad-1.ts")
			e.get("/s/index.m3u8")
			same := shared("/s/ad-1.ts")
			playlist("ad-2.ts")
			e.get("/s/index.m3u8")
			if got := [3]bool{same, shared("/s/ad-2.ts"), shared("/s/show.ts")}; got != want {
				t.Errorf("%q: the ad, the ad once another viewer got another, the show: %v, want %v", option, got, want)
			}
		})
	}
}
