// Package telemetrytest makes the files of machines for tests of what reads their sensors.
package telemetrytest

import (
	"embed"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

//go:embed machines
var machines embed.FS

// The machines.
const (
	OrinJetPack6 = "orin_jetpack6"
	OrinJetPack7 = "orin_jetpack7"
	PC           = "pc"
	// Nothing has no files at all.
	Nothing = ""
)

// Files are those of a system by their paths below its root.
type Files map[string]string

// Machine returns the files of one of the machines: of each line "path: content" of its text one
// file, which ends in a newline as those of the kernel do. Content in quotes is as in Go.
func Machine(tb testing.TB, name string) Files {
	tb.Helper()
	files := Files{}
	if name == Nothing {
		return files
	}
	text, err := machines.ReadFile("machines/" + name + ".txt")
	if err != nil {
		tb.Fatal(err)
	}
	for row := range strings.Lines(string(text)) {
		row = strings.TrimSuffix(row, "\n")
		if row == "" || row[0] == '#' {
			continue
		}
		path, content, ok := strings.Cut(row, ": ")
		if !ok {
			tb.Fatalf("%s: line %q is no file", name, row)
		}
		if content[0] == '"' {
			if content, err = strconv.Unquote(content); err != nil {
				tb.Fatalf("%s: file %s: %v", name, path, err)
			}
		}
		files[path] = content + "\n"
	}
	return files
}

// Tree writes the files into a folder that lasts as long as the test, and returns it.
func (f Files) Tree(tb testing.TB) string {
	tb.Helper()
	root := tb.TempDir()
	for path, content := range f {
		Write(tb, root, path, content)
	}
	return root
}

// Tree writes the files of one of the machines.
func Tree(tb testing.TB, name string) string {
	tb.Helper()
	return Machine(tb, name).Tree(tb)
}

// Write replaces a file below root.
func Write(tb testing.TB, root, path, content string) {
	tb.Helper()
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// Remove deletes a file or folder below root.
func Remove(tb testing.TB, root, path string) {
	tb.Helper()
	if err := os.RemoveAll(filepath.Join(root, path)); err != nil {
		tb.Fatal(err)
	}
}
