// Package bundle makes the files that the edge serves of the browser peer's
// modules. Only "go generate ./meshcore/browser" and tests use it, so esbuild is in
// no server.
package bundle

import (
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/evanw/esbuild/pkg/api"
)

// worker is the service worker, a classic script; the others are ES modules.
const worker = "sw.js"

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
