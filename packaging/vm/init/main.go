// Init is the first process of the virtual machines that test robustnet-edge. It loads modules
// and, as its plan says, boots a disk or runs commands on the host's file system, which it has
// read-only, and powers off.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

// root is where the host's file system or the disk is mounted.
const root = "/root"

func main() {
	if err := run(); err != nil {
		fmt.Println("init:", err)
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("init: power off:", err)
	}
}

func run() error {
	err := errors.Join(
		mount("devtmpfs", "/dev", "devtmpfs", 0, ""),
		mount("proc", "/proc", "proc", 0, ""),
		mount("sysfs", "/sys", "sysfs", 0, ""))
	if err != nil {
		return err
	}
	p, err := readPlan()
	if err != nil {
		return err
	}
	for _, m := range p.Modules {
		if err := load(m); err != nil {
			return err
		}
	}
	if p.Disk != "" {
		return bootDisk(p.Disk)
	}
	return runOnHost(p.Commands)
}

func readPlan() (*plan.Plan, error) {
	text, err := os.ReadFile(plan.File)
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	p := new(plan.Plan)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	return p, nil
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("mount %s: %w", source, err)
	}
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	return nil
}

func load(m plan.Module) error {
	file, err := os.Open(filepath.Join(plan.ModuleFolder, m.Name))
	if err != nil {
		return fmt.Errorf("load module: %w", err)
	}
	defer file.Close()
	if err := unix.FinitModule(int(file.Fd()), m.Parameters, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load module %s: %w", m.Name, err)
	}
	return nil
}

// bootDisk returns only when it fails.
func bootDisk(device string) error {
	if err := waitFor(device, 10*time.Second); err != nil {
		return err
	}
	if err := mount(device, root, "ext4", 0, ""); err != nil {
		return err
	}
	for _, folder := range []string{"/dev", "/proc", "/sys"} {
		if err := unix.Mount(folder, root+folder, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", folder, err)
		}
	}
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("enter the disk: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("make the disk the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("make the disk the root: %w", err)
	}
	err := unix.Exec("/sbin/init", []string{"/sbin/init"}, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
	return fmt.Errorf("start the disk's init: %w", err)
}

// waitFor waits for a device, which its driver finds some time after it was loaded.
func waitFor(path string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is still not there after %v", path, patience)
		case <-tick.C:
		}
	}
}

// runOnHost runs the commands with the host's files, this machine's devices and a /run of its
// own, under which the checkout will not lie, and leaves the results in the folder of results after each.
func runOnHost(commands []plan.Command) error {
	const version = "trans=virtio,version=9p2000.L,msize=524288"
	out := root + plan.OutFolder
	err := errors.Join(
		// What the host changes meanwhile does not matter, so reads may be cached.
		mount(plan.HostTag, root, "9p", unix.MS_RDONLY, version+",cache=loose"),
		mount("tmpfs", root+"/run", "tmpfs", 0, ""),
		mount("devtmpfs", root+"/dev", "devtmpfs", 0, ""),
		mount("proc", root+"/proc", "proc", 0, ""),
		mount("sysfs", root+"/sys", "sysfs", 0, ""),
		mount(plan.OutTag, out, "9p", 0, version))
	if err != nil {
		return err
	}
	defer unix.Unmount(out, 0)
	results := []plan.Result{}
	for _, c := range commands {
		results = append(results, runCommand(c))
		text, err := json.MarshalIndent(results, "", "  ")
		if err != nil {
			return fmt.Errorf("write results: %w", err)
		}
		if err := os.WriteFile(filepath.Join(out, plan.ResultFile), text, 0o644); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	return nil
}

func runCommand(c plan.Command) plan.Result {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env, cmd.Dir = append(c.Env, "TMPDIR=/run"), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	start := time.Now()
	err := cmd.Run()
	result := plan.Result{
		Exit: cmd.ProcessState.ExitCode(), Seconds: time.Since(start).Seconds(),
		Stdout: stdout.String(), Stderr: stderr.String(),
	}
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.Exited()) {
		result.Fault = err.Error()
		if ctx.Err() != nil {
			result.Fault = fmt.Sprintf("still running after %v", c.Timeout)
		}
	}
	return result
}
