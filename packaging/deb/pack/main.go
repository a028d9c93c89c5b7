// Command pack writes the Debian package that a configuration of nfpm describes. It stands in for
// nfpm's own command, which needs the writers of all its other formats, and is a module of its own
// because the programs need nothing of it.
package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the writer
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack CONFIGURATION PACKAGE")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "pack: %v\n", err)
		os.Exit(1)
	}
}

// pack writes the package whole or not at all.
func pack(configuration, target string) error {
	const format = "deb"
	config, err := nfpm.ParseFile(configuration)
	if err != nil {
		return fmt.Errorf("read %s: %w", configuration, err)
	}
	info, err := config.Get(format)
	if err != nil {
		return fmt.Errorf("read %s: %w", configuration, err)
	}
	info = nfpm.WithDefaults(info)
	info.Target = target
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return fmt.Errorf("collect the files of %s: %w", configuration, err)
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	unfinished := target + ".part"
	out, err := os.Create(unfinished)
	if err != nil {
		return err
	}
	defer os.Remove(unfinished) // gone where all went well
	if err := cmp.Or(packager.Package(info, out), out.Close()); err != nil {
		return fmt.Errorf("write %s: %w", target, err)
	}
	return os.Rename(unfinished, target)
}
