// Generate writes the files that the edge serves of the browser peer. Run it as
//
//	go generate ./meshcore/browser
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/viewmesh/viewmesh/internal/bundle"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: generate MODULES BUNDLES, two folders")
	}
	modules, bundles := os.DirFS(os.Args[1]), os.Args[2]
	if err := os.MkdirAll(bundles, 0o755); err != nil {
		log.Fatal(err)
	}
	for _, name := range bundle.Names {
		b, err := bundle.Make(modules, name)
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bundles, name), b, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
