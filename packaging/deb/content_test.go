package deb

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/edge/config"
)

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// architectures are this machine's, whose package `make test` has just made, and that which
// `make deb-arm64` names.
func architectures(t *testing.T) []string {
	list := []string{hostArch(t)}
	if other := os.Getenv("ROBUSTNET_DEB"); other != "" && other != list[0] {
		list = append(list, other)
	}
	return list
}

var programs = []string{"usr/bin/robustnet-edge", "usr/bin/robustnet-quantize"}

const onnxRuntime = "usr/lib/robustnet/libonnxruntime.so.1"

// copied are the files that are the checkout's own.
var copied = map[string]string{
	"etc/robustnet/edge.yaml":                               "packaging/deb/edge.yaml",
	"lib/systemd/system/robustnet-edge.service":             "systemd/robustnet-edge.service",
	"lib/systemd/system/robustnet-edge@.service":            "systemd/robustnet-edge@.service",
	"lib/udev/rules.d/70-robustnet-edge.rules":              "udev/70-robustnet-edge.rules",
	"usr/share/robustnet/default.onnx":                      "models/default.onnx",
	"usr/share/doc/robustnet-edge/default-model.md":         "models/README.md",
	"usr/share/doc/robustnet-edge/install.md":               "docs/install.md",
	"usr/share/doc/robustnet-edge/examples/no-sandbox.conf": "systemd/no-sandbox.conf",
	"DEBIAN/postinst":                                       "packaging/deb/postinst",
	"DEBIAN/prerm":                                          "packaging/deb/prerm",
	"DEBIAN/postrm":                                         "packaging/deb/postrm",
}

// made are the files that the build of the package makes, beside the programs.
var made = []string{
	"usr/share/bash-completion/completions/robustnet-edge",
	"usr/share/bash-completion/completions/robustnet-quantize",
	"usr/share/zsh/vendor-completions/_robustnet-edge",
	"usr/share/zsh/vendor-completions/_robustnet-quantize",
	"usr/share/fish/vendor_completions.d/robustnet-edge.fish",
	"usr/share/fish/vendor_completions.d/robustnet-quantize.fish",
	"usr/share/man/man1/robustnet-edge.1.gz",
	"usr/share/man/man1/robustnet-quantize.1.gz",
	"usr/share/doc/robustnet-edge/CHANGELOG.md.gz",
	"usr/share/doc/robustnet-edge/changelog.gz",
	"usr/share/doc/robustnet-edge/copyright",
	"usr/share/doc/robustnet-edge/licences.gz",
}

func TestSettings(t *testing.T) {
	loaded, err := config.Check("edge.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := loaded.Config
	if c.Camera.URI != "v4l2:" || c.Stream.RTSP != "127.0.0.1:8554" || c.Stream.Path != "overlay" {
		t.Errorf("the first camera is not at rtsp://127.0.0.1:8554/overlay: %+v, %+v", c.Camera, c.Stream)
	}
}

func TestContent(t *testing.T) {
	for _, arch := range architectures(t) {
		t.Run(arch, func(t *testing.T) {
			dir := unpacked(t, arch)
			for path, source := range copied {
				if read(t, filepath.Join(dir, path)) != read(t, filepath.Join(root, source)) {
					t.Errorf("%s is not %s as it is now; make the package anew", path, source)
				}
			}
			want := slices.Concat(programs, made, []string{onnxRuntime, "DEBIAN/control", "DEBIAN/md5sums", "DEBIAN/conffiles"})
			for path := range copied {
				want = append(want, path)
			}
			slices.Sort(want)
			if got := files(t, dir); !slices.Equal(got, want) {
				t.Errorf("it has the files\n%q\nwant\n%q", got, want)
			}
			if got := strings.TrimSpace(read(t, filepath.Join(dir, "DEBIAN/conffiles"))); got != "/etc/robustnet/edge.yaml" {
				t.Errorf("files whose changes are kept: %q", got)
			}
			for _, path := range append(slices.Clone(programs), onnxRuntime) {
				file, err := elf.Open(filepath.Join(dir, path))
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				if file.Machine != machines[arch] {
					t.Errorf("%s is for %v", path, file.Machine)
				}
			}
		})
	}
}

// files lists what is no folder under a folder.
func files(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			var relative string
			relative, err = filepath.Rel(dir, path)
			list = append(list, relative)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// providers says which package of Debian 12 has a library.
func providers(soname string) string {
	switch name, version, _ := strings.Cut(soname, ".so."); {
	case strings.HasPrefix(name, "libopencv_"):
		return "libopencv-" + strings.TrimPrefix(name, "libopencv_") + version
	case name == "libjpeg":
		return "libjpeg" + version + "-turbo"
	case name == "libx264":
		return "libx264-" + version
	case name == "libstdc++":
		return "libstdc++6"
	case name == "libgcc_s":
		return "libgcc-s1"
	}
	return "libc6"
}

// TestDepends compares the packages that a package needs with what its programs load, and libc's
// version with the newest symbol that they ask for.
func TestDepends(t *testing.T) {
	for _, arch := range architectures(t) {
		t.Run(arch, func(t *testing.T) {
			dir := unpacked(t, arch)
			want, glibc := []string{"adduser"}, 0
			for _, path := range append(slices.Clone(programs), onnxRuntime) {
				file, err := elf.Open(filepath.Join(dir, path))
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				libraries, err := file.ImportedLibraries()
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range libraries {
					want = append(want, providers(name))
				}
				needs, err := file.DynamicVersionNeeds()
				if err != nil {
					t.Fatal(err)
				}
				for _, library := range needs {
					for _, need := range library.Needs {
						if minor, ok := strings.CutPrefix(need.Dep, "GLIBC_2."); ok {
							n, _ := strconv.Atoi(strings.Split(minor, ".")[0]) // all are numbers
							glibc = max(glibc, n)
						}
					}
				}
			}
			slices.Sort(want)
			want = slices.Compact(want)

			var got []string
			for _, entry := range field(t, dir, "Depends") {
				name, least, _ := strings.Cut(entry, " ")
				got = append(got, name)
				if wanted := "(>= 2." + strconv.Itoa(glibc) + ")"; name == "libc6" && least != wanted {
					t.Errorf("it needs libc6 %s, its programs %s", least, wanted)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("it needs\n%q\nits programs need\n%q", got, want)
			}
		})
	}
}

// TestScripts asks shellcheck, where it is.
func TestScripts(t *testing.T) {
	needTool(t, "shellcheck")
	for _, name := range []string{"postinst", "prerm", "postrm", "build.sh"} {
		if out, err := exec.CommandContext(t.Context(), "shellcheck", name).Output(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestCompletions has bash and fish read theirs.
func TestCompletions(t *testing.T) {
	dir := unpacked(t, hostArch(t))
	for _, path := range made {
		shell := ""
		switch {
		case strings.Contains(path, "bash"):
			shell = "bash"
		case strings.Contains(path, "zsh"):
			shell = "zsh"
		case strings.Contains(path, "fish"):
			shell = "fish"
		default:
			continue
		}
		if text := read(t, filepath.Join(dir, path)); !strings.Contains(text, "robustnet-") {
			t.Errorf("%s completes something else", path)
		}
		if _, err := exec.LookPath(shell); errors.Is(err, exec.ErrNotFound) {
			t.Logf("%s is not here to read %s", shell, path)
			continue
		}
		tool(t, shell, "-n", filepath.Join(dir, path))
	}
}
