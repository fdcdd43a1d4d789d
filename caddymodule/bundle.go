package caddymodule

import (
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/evanw/esbuild/pkg/api"
)

// scriptNames are the files of the browser peer that are served; workerName is
// the service worker.
const workerName = "sw.js"

var scriptNames = []string{"mesh.js", workerName, "hls.js", "shaka.js", "dash.js"}

// bundle makes one minified file of the module name and all that it imports,
// except what is served as a file of its own. It has the exports that the module
// has. Errors name the module and the line.
func bundle(files fs.FS, name string) ([]byte, error) {
	const modules = "modules" // esbuild's name for what lies in files
	made := api.Build(api.BuildOptions{
		EntryPoints:       []string{name},
		Bundle:            true,
		Format:            scriptFormat(name),
		Target:            api.ES2022,
		Charset:           api.CharsetUTF8,
		LegalComments:     api.LegalCommentsNone,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Plugins: []api.Plugin{{Name: modules, Setup: func(b api.PluginBuild) {
			b.OnResolve(api.OnResolveOptions{Filter: `.*`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
				file := path.Join(path.Dir(a.Importer), a.Path)
				if a.Kind != api.ResolveEntryPoint && slices.Contains(scriptNames, file) {
					return api.OnResolveResult{Path: a.Path, External: true}, nil
				}
				return api.OnResolveResult{Path: file, Namespace: modules}, nil
			})
			b.OnLoad(api.OnLoadOptions{Filter: `.*`, Namespace: modules}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
				b, err := fs.ReadFile(files, a.Path)
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

// scriptFormat is how a file is made: the worker is a classic script.
func scriptFormat(name string) api.Format {
	if name == workerName {
		return api.FormatIIFE
	}
	return api.FormatESModule
}
