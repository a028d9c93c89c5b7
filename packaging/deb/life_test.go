package deb

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// system is a copy of this machine's system in which nothing runs and all changes are forgotten.
type system struct {
	t    *testing.T
	root string
}

// newSystem lays an overlay over this machine's root. The mounts are those of the calling thread
// alone, which ends with the test: nothing is left behind, however the test ends. Commands in it
// are to be started by the test's own goroutine.
func newSystem(t *testing.T) system {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("installing a package in a copy of this system needs root")
	}
	needTool(t, "dpkg", "adduser", "deb-systemd-helper")
	dir := t.TempDir()
	runtime.LockOSThread() // and never unlocked, so that the thread is not used again
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		t.Skipf("this system allows no mounts of one's own: %v", err)
	}
	s := system{t, filepath.Join(dir, "root")}
	mount := func(source, target, kind string, flags uintptr, options string) {
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount(source, target, kind, flags, options); err != nil {
			t.Skipf("this system does not allow to mount %s: %v", target, err)
		}
		if target != "/" {
			t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) }) // or it goes with the thread
		}
	}
	mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	changes := filepath.Join(dir, "changes")
	mount("tmpfs", changes, "tmpfs", 0, "")
	for _, sub := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(changes, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount("overlay", s.root, "overlay", 0, "lowerdir=/,upperdir="+changes+"/upper,workdir="+changes+"/work")
	mount("/proc", s.root+"/proc", "", syscall.MS_BIND|syscall.MS_REC, "")
	mount("/dev", s.root+"/dev", "", syscall.MS_BIND|syscall.MS_REC, "")
	mount("tmpfs", s.root+"/run", "tmpfs", 0, "") // where systemd and udev would be reached
	return s
}

// try runs a command in the system.
func (s system) try(args ...string) (string, error) {
	// env finds the program in there, where os/exec would look out here.
	cmd := exec.CommandContext(s.t.Context(), "/usr/bin/env", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: s.root}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}
	return run(cmd)
}

func (s system) run(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// copyIn puts a file of this machine into the system's /tmp.
func (s system) copyIn(path string) string {
	s.t.Helper()
	inside := "/tmp/" + filepath.Base(path)
	tool(s.t, "cp", path, s.root+inside)
	return inside
}

// has tells whether there is such a file, without following links.
func (s system) has(path string) bool {
	s.t.Helper()
	_, err := os.Lstat(s.root + path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	return err == nil
}

func (s system) expect(when string, present bool, paths ...string) {
	s.t.Helper()
	for _, path := range paths {
		if got := s.has(path); got != present {
			s.t.Errorf("%s: %s is there: %v, want %v", when, path, got, present)
		}
	}
}

const (
	enabled  = "/etc/systemd/system/multi-user.target.wants/robustnet-edge.service"
	conffile = "/etc/robustnet/edge.yaml"
)

// TestLife installs the package, upgrades, removes and purges it, and installs it again.
func TestLife(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	arch := hostArch(t)
	first := packaged(t, arch)
	second := newer(t, unpacked(t, arch))
	s := newSystem(t)
	first, second = s.copyIn(first), s.copyIn(second)
	if out, err := s.try("dpkg-query", "-W", "-f", "${db:Status-Status}", "robustnet-edge"); err == nil && out == "installed" {
		t.Skip("robustnet-edge is installed on this machine")
	}

	s.run("rm", "-f", "/var/lib/man-db/auto-update") // an index of all pages after each step

	s.installs(first)
	changed := s.upgrades(second)
	s.removes(second, changed)
	s.purges()
	s.run("dpkg", "--install", first)
	s.expect("installed after purging", true, enabled, conffile)
}

func (s system) installs(file string) {
	s.t.Helper()
	s.run("dpkg", "--install", file)
	s.expect("installed", true, "/usr/bin/robustnet-edge", conffile, enabled)
	groups := strings.Fields(s.run("id", "-nG", "robustnet"))
	for _, group := range []string{"robustnet", "video", "render"} {
		if !slices.Contains(groups, group) {
			s.t.Errorf("the user is in %v, not in %s", groups, group)
		}
	}
	s.run("robustnet-edge", "check", conffile)
	// With the package's own ONNX Runtime: no variable names another one.
	s.run("robustnet-edge", "--camera", "synthetic:?pace=0", "--frames", "3", "--http", "off", "--rtsp", "off")
	s.run("dpkg", "--install", file)
}

// upgrades sees that what an administrator has changed stays, in the file, which it returns, and
// in systemd.
func (s system) upgrades(file string) (changed string) {
	s.t.Helper()
	changed = read(s.t, s.root+conffile) + "\nlog:\n  level: debug\n"
	s.write(conffile, changed)
	s.write("/etc/robustnet/cameras/video7", "")
	s.run("systemctl", "--root=/", "disable", "robustnet-edge.service")
	s.run("dpkg", "--force-confdef", "--install", file)
	s.expect("upgraded", false, enabled)
	if got := read(s.t, s.root+conffile); got != changed {
		s.t.Errorf("upgraded: the changed settings are\n%s\nwant\n%s", got, changed)
	}
	s.run("robustnet-edge", "check", conffile)
	return changed
}

// removes sees that settings outlive the package, and installs it again.
func (s system) removes(file, changed string) {
	s.t.Helper()
	s.run("dpkg", "--remove", "robustnet-edge")
	s.expect("removed", false, "/usr/bin/robustnet-edge", "/lib/systemd/system/robustnet-edge.service")
	s.expect("removed", true, conffile, "/etc/robustnet/cameras/video7")
	s.run("dpkg", "--install", file)
	if got := read(s.t, s.root+conffile); got != changed {
		s.t.Errorf("installed again: the changed settings are\n%s\nwant\n%s", got, changed)
	}
}

// purges sees that nothing is left, and that purging what is gone does no harm.
func (s system) purges() {
	s.t.Helper()
	s.write("/var/lib/robustnet/drawn.mp4", "")
	s.write("/var/cache/robustnet/kernels", "")
	s.run("dpkg", "--purge", "robustnet-edge")
	s.expect("purged", false, "/etc/robustnet", "/var/lib/robustnet", "/var/cache/robustnet", enabled,
		"/usr/lib/robustnet", "/usr/share/robustnet", "/var/lib/dpkg/info/robustnet-edge.list")
	for _, list := range []string{"passwd", "group"} {
		if out, err := s.try("getent", list, "robustnet"); err == nil {
			s.t.Errorf("purged: %s still has %s", list, out)
		}
	}
	s.run("dpkg", "--purge", "robustnet-edge")
}

func (s system) write(path, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.root+path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.root+path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// newer makes a package of a greater version of an unpacked one, with other default settings.
func newer(t *testing.T, dir string) string {
	t.Helper()
	replace := func(path, old, with string) {
		text := read(t, path)
		if !strings.Contains(text, old) {
			t.Fatalf("%s has no %q", path, old)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(text, old, with, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	replace(filepath.Join(dir, "DEBIAN/control"), "\nVersion: ", "\nVersion: 1:")
	replace(filepath.Join(dir, conffile), "fps: 30", "fps: 25")
	path := filepath.Join(t.TempDir(), "newer.deb")
	tool(t, "dpkg-deb", "-Znone", "--build", dir, path)
	return path
}
