// Package deb holds the Debian packages that `make deb` and `make deb-arm64` make to what they are
// to contain and to need, and installs, upgrades, removes and purges one in a copy of this system.
package deb

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the top of the checkout.
const root = "../.."

// packaged returns the path of the package for an architecture, or skips.
func packaged(t *testing.T, arch string) string {
	t.Helper()
	needTool(t, "dpkg-deb", "dpkg")
	found, err := filepath.Glob(filepath.Join(root, "build", "robustnet-edge_*_"+arch+".deb"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 {
		target := "make deb"
		if arch != hostArch(t) {
			target = "make deb-arm64"
		}
		t.Skipf("there are %d packages for %s in build/, not one: %s makes it", len(found), arch, target)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// unpacked returns a folder with the files of a package, and with those of its control part in
// DEBIAN.
func unpacked(t *testing.T, arch string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "package")
	tool(t, "dpkg-deb", "--raw-extract", packaged(t, arch), dir)
	return dir
}

func hostArch(t *testing.T) string {
	t.Helper()
	needTool(t, "dpkg")
	return strings.TrimSpace(tool(t, "dpkg", "--print-architecture"))
}

func needTool(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: %v", name, err)
		}
	}
}

// tool runs a program and returns what it printed.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := run(exec.CommandContext(t.Context(), name, args...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run starts a command and returns its output; an error has that of both streams.
func run(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s%s", strings.Join(cmd.Args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// field returns the entries of a field of the control file that holds a list.
func field(t *testing.T, dir, name string) []string {
	t.Helper()
	for line := range strings.Lines(read(t, filepath.Join(dir, "DEBIAN", "control"))) {
		if list, ok := strings.CutPrefix(line, name+": "); ok {
			entries := strings.Split(strings.TrimSpace(list), ", ")
			slices.Sort(entries)
			return entries
		}
	}
	return nil
}
