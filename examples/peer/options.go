package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"
)

// options are the command line.
type options struct {
	url       *url.URL
	listen    string
	count     int
	length    time.Duration
	rendition int
	json      bool
	every     time.Duration
	noMesh    bool
	noUpload  bool
	relayOnly bool
	ca        string
	token     string
	verbose   bool
}

// parse reads the command line.
func parse(args []string, usage io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("peer", flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&o.listen, "listen", "", "serve a local gateway for any player at this `address`, for example 127.0.0.1:7070")
	f.IntVar(&o.count, "count", 1, "run this many viewers")
	f.DurationVar(&o.length, "for", 0, "end after this time; 0 is never")
	f.IntVar(&o.rendition, "rendition", 0, "play this variant of a multivariant playlist, 0 for the first")
	f.BoolVar(&o.json, "json", false, "print one JSON object at the end")
	f.DurationVar(&o.every, "every", 0, "with json, print one at each such interval, too")
	f.BoolVar(&o.noMesh, "no-mesh", false, "take all from the origin, for comparison")
	f.BoolVar(&o.noUpload, "no-upload", false, "take from peers, give them nothing")
	f.BoolVar(&o.relayOnly, "relay-only", false, "connect over relays only")
	f.StringVar(&o.ca, "ca", "", "trust the CAs whose certificates (PEM) are in this `file`, beside those that the machine trusts")
	f.StringVar(&o.token, "token", "", "show this viewer `token` to the host of the URL, as Authorization: Bearer and in session requests;\n"+
		"in MESH_TOKEN other users of the machine do not see it")
	f.BoolVar(&o.verbose, "verbose", false, "log what happens")
	f.Usage = func() {
		fmt.Fprintln(usage, "usage: peer [flags] URL of an HLS playlist")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() != 1 {
		return o, errors.New("give the URL of one HLS playlist, for example http://localhost:8080/live/index.m3u8")
	}
	u, err := url.Parse(f.Arg(0))
	switch {
	case err != nil:
		return o, fmt.Errorf("read the URL: %w", err)
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return o, fmt.Errorf("%q is no http or https URL", f.Arg(0))
	case o.count < 1 || o.count > 1000:
		return o, fmt.Errorf("count is %d, 1 to 1000 are possible", o.count)
	case o.length < 0 || o.every < 0:
		return o, errors.New("for and every cannot be negative")
	case o.every > 0 && !o.json:
		return o, errors.New("every needs json")
	case o.listen != "" && (o.count != 1 || o.json):
		return o, errors.New("a gateway is one viewer and prints no JSON: leave out count and json")
	}
	if o.token == "" {
		o.token = os.Getenv("MESH_TOKEN")
	}
	o.url = u
	return o, nil
}
