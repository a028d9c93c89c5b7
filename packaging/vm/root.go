package vm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

// Root is what a Debian 12 in a virtual machine is made of.
type Root struct {
	Kernel *Kernel
	// Packages are installed besides the smallest system that has apt.
	Packages []string
	// Modules are the kernel's that can be loaded there.
	Modules []plan.Module
	// Files are written last: content by path.
	Files map[string]string
	// Masked are units of systemd that must not start.
	Masked []string
}

const (
	suite    = "bookworm"
	diskSize = "3G"
)

// Image returns a disk image with such a root, which it makes once in the folder cache: later
// calls with the same content return the file that is there. It needs root and the network.
func (r *Root) Image(ctx context.Context, cache string) (string, error) {
	base := fmt.Sprintf("root-%.12x", sha256.Sum256(fmt.Append(nil, r.Kernel.Release, r.Packages, r.Modules, r.Files, r.Masked)))
	image := filepath.Join(cache, base+".img")
	if _, err := os.Stat(image); err == nil {
		return image, nil
	}
	if os.Getuid() != 0 {
		return "", errors.New("make a root: debootstrap makes its files as root alone; run this as root, or under sudo")
	}
	folder, err := os.MkdirTemp(cache, "root-")
	if err != nil {
		return "", fmt.Errorf("make a root: %w", err)
	}
	defer os.RemoveAll(folder)
	// Temporary folders are their owner's alone, and this one becomes /.
	if err := os.Chmod(folder, 0o755); err != nil {
		return "", fmt.Errorf("make a root: %w", err)
	}
	if err := r.fill(ctx, folder); err != nil {
		return "", fmt.Errorf("make a root: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(cache, "root-*.img*"))
	if err != nil {
		return "", fmt.Errorf("make a root: %w", err)
	}
	for _, path := range old {
		os.Remove(path)
	}
	part := image + ".part"
	// A journal would write everything twice, to a disk that does not outlive the test.
	if err := command(ctx, "mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-d", folder, part, diskSize); err != nil {
		return "", fmt.Errorf("make a root: %w", err)
	}
	if err := os.Rename(part, image); err != nil {
		return "", fmt.Errorf("make a root: %w", err)
	}
	return image, nil
}

func (r *Root) fill(ctx context.Context, folder string) error {
	mirror, err := mirror(ctx)
	if err != nil {
		return err
	}
	if err := command(ctx, "debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,udev,dbus,kmod", suite, folder, mirror); err != nil {
		return err
	}
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("let the root resolve names: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "etc/resolv.conf"), resolver, 0o644); err != nil {
		return fmt.Errorf("let the root resolve names: %w", err)
	}
	install := slices.Concat([]string{folder, "env", "DEBIAN_FRONTEND=noninteractive",
		"apt-get", "install", "-y", "-q", "--no-install-recommends"}, r.Packages)
	if err := command(ctx, "chroot", install...); err != nil {
		return err
	}
	if err := command(ctx, "chroot", folder, "apt-get", "clean"); err != nil {
		return err
	}
	return errors.Join(r.addModules(ctx, folder), r.addFiles(folder))
}

func (r *Root) addModules(ctx context.Context, folder string) error {
	modules, err := r.Kernel.Load(r.Modules...)
	if err != nil {
		return err
	}
	to := filepath.Join("lib/modules", r.Kernel.Release)
	for _, m := range modules {
		if err := copyFile(r.Kernel.Module(m.Name), filepath.Join(folder, to, "kernel", m.Name)); err != nil {
			return err
		}
	}
	lists, err := filepath.Glob(filepath.Join(r.Kernel.folder, to, "modules.*"))
	if err != nil {
		return err
	}
	for _, list := range lists {
		if err := copyFile(list, filepath.Join(folder, to, filepath.Base(list))); err != nil {
			return err
		}
	}
	return command(ctx, "chroot", folder, "depmod", r.Kernel.Release)
}

func (r *Root) addFiles(folder string) error {
	for name, content := range r.Files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	for _, unit := range r.Masked {
		if err := os.Symlink("/dev/null", filepath.Join(folder, "etc/systemd/system", unit)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// mirror is where this machine's apt has Debian from.
func mirror(ctx context.Context) (string, error) {
	said, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)",
		"Identifier: Packages", "Codename: "+suite).Output()
	uri, _, _ := strings.Cut(string(said), "\n")
	if err != nil || uri == "" {
		return "", fmt.Errorf("apt knows no mirror of %s (%v): this needs a Debian 12 with package lists; apt-get update fetches them", suite, err)
	}
	return uri, nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

// command runs a program and returns the end of what it wrote if it fails.
func command(ctx context.Context, name string, args ...string) error {
	said, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		const enough = 2000
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, said[max(0, len(said)-enough):])
	}
	return nil
}
