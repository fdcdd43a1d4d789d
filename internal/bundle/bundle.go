// Package bundle makes the files that the edge serves of the browser peer's
// modules. Only "go generate ./meshcore/browser" and tests use it, so esbuild is in
// no server.
package bundle

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// worker is the service worker, a classic script; the others are ES modules.
const worker = "sw.js"

// outside are the modules that speak with others: with pages, players, the worker and the edge.
var outside = []string{"dash.js", "device.js", "hls.js", "mesh.js", "page.js", "session.js", "shaka.js", "signal.js", "stats.js", worker, "wire.js", "worker.js"}

// kept are members that objects of the browser have, too, and those that tests look at in a page.
var kept = strings.Fields(`accept adopt closed connect constructor deadline detach entries fixed held hints inputs layout order pending played
	position private quality query rate send slot step table timeline timing written
	backoffs barred byId connections gone hinted lookup parts playlists quiet sendChunk sequence starts startup theirs until waits`)

// Names are the files that are served.
var Names = []string{"mesh.js", worker, "hls.js", "shaka.js", "dash.js"}

// Make makes one minified file of the module name and of all that it imports, but
// for modules that Names lists: those are files of their own. The file exports what
// the module exports. Errors name the module and the line.
func Make(modules fs.FS, name string) ([]byte, error) {
	const namespace = "modules" // of files that esbuild asks us for
	format := api.FormatESModule
	if name == worker {
		format = api.FormatIIFE
	}
	own, err := private(modules)
	if err != nil {
		return nil, err
	}
	made := api.Build(api.BuildOptions{
		EntryPoints:       []string{name},
		Bundle:            true,
		Format:            format,
		Target:            api.ES2022,
		Charset:           api.CharsetUTF8,
		LegalComments:     api.LegalCommentsNone,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		MangleProps:       own,
		Plugins: []api.Plugin{{Name: namespace, Setup: func(b api.PluginBuild) {
			b.OnResolve(api.OnResolveOptions{Filter: `.*`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
				file := path.Join(path.Dir(a.Importer), a.Path)
				if a.Kind != api.ResolveEntryPoint && slices.Contains(Names, file) {
					return api.OnResolveResult{Path: a.Path, External: true}, nil
				}
				return api.OnResolveResult{Path: file, Namespace: namespace}, nil
			})
			b.OnLoad(api.OnLoadOptions{Filter: `.*`, Namespace: namespace}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
				b, err := fs.ReadFile(modules, a.Path)
				text := string(b)
				return api.OnLoadResult{Contents: &text}, err
			})
		}}},
	})
	if len(made.Errors) > 0 {
		m := made.Errors[0]
		if m.Location != nil {
			return nil, fmt.Errorf("%s:%d: %s", m.Location.File, m.Location.Line, m.Text)
		}
		return nil, fmt.Errorf("%s: %s", name, m.Text)
	}
	return made.OutputFiles[0].Contents, nil
}

var (
	members  = regexp.MustCompile(`(?m)\bthis\.(\w{4,}) =|^  (\w{4,})\(.*\) \{`)
	words    = regexp.MustCompile(`\w{4,}`)
	texts    = regexp.MustCompile("\"[^\"\n]*\"|`[^`]*`")
	comments = regexp.MustCompile(`(?s:/\*\*.*?\*/)|(?m:^\s*//.*$)`)
)

// private returns a pattern of the members of our classes that no module outside names, and no text: they
// are in no message and no part of what pages see, so that they may get short names.
func private(modules fs.FS) (string, error) {
	own, named := map[string]bool{}, map[string]bool{}
	name := func(b []byte) {
		for _, w := range words.FindAll(b, -1) {
			named[string(w)] = true
		}
	}
	err := fs.WalkDir(modules, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(file) != ".js" {
			return err
		}
		b, err := fs.ReadFile(modules, file)
		b = comments.ReplaceAll(b, nil)
		if slices.Contains(outside, file) {
			name(b)
			return err
		}
		for _, m := range members.FindAllSubmatch(b, -1) {
			own[string(m[1])+string(m[2])] = true
		}
		for _, t := range texts.FindAll(b, -1) {
			name(t)
		}
		return err
	})
	maps.DeleteFunc(own, func(name string, _ bool) bool { return named[name] || slices.Contains(kept, name) })
	return "^(" + strings.Join(slices.Sorted(maps.Keys(own)), "|") + ")$", err
}
