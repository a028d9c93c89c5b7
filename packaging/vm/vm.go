// Package vm runs robustnet-edge on a kernel with a camera: Debian's, under qemu, with vivid,
// the kernel's virtual camera. `make test-vm-light` starts the test that runs the program with
// the host's own libraries; `make test-vm` boots a whole Debian (docs/vm-tests.md).
//
// The machines have no network. What runs inside has the host's file system read-only, if the
// test mounts it at all, and writes to one folder.
package vm

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

const qemu = "qemu-system-x86_64"

// Machine is a virtual machine.
type Machine struct {
	Kernel    *Kernel
	Initramfs string
	// Console is the file for what the kernel says.
	Console string
	// Out is the host's folder that the machine can write to.
	Out string
	// HostFiles lets the machine read the host's file system.
	HostFiles bool
	// Disk is the image of its disk; nothing for none.
	Disk string
	// Report receives what the machine writes to its second serial port; nil for none.
	Report io.Writer
	// Append ends the kernel's command line.
	Append       string
	MemoryMB     int
	Acceleration string
}

// Acceleration is what qemu runs a machine with: kvm where an ordinary kernel boots on it,
// and emulation elsewhere. ROBUSTNET_VM_ACCEL chooses.
func Acceleration() string {
	if a := os.Getenv("ROBUSTNET_VM_ACCEL"); a != "" {
		return a
	}
	const emulation = "tcg,thread=multi"
	// A nested KVM that wants kernels made for it lets others hang without a word.
	if _, err := os.Stat("/sys/module/kvm_pvm"); err == nil {
		return emulation
	}
	file, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return emulation
	}
	file.Close()
	return "kvm"
}

// Run boots the machine and returns when it has powered off or wants to boot again.
func (m *Machine) Run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, qemu, m.args()...)
	var complaint strings.Builder
	cmd.Stdout, cmd.Stderr = m.Report, &complaint
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the machine did not power off in time; see %s", m.Console)
	case err != nil:
		return fmt.Errorf("run a machine: %s: %w: %s", qemu, err, strings.TrimSpace(complaint.String()))
	}
	return nil
}

func (m *Machine) args() []string {
	// Programs that find wider vectors than these use them, and are slower for it emulated.
	processor := "Nehalem"
	if strings.HasPrefix(m.Acceleration, "kvm") {
		processor = "host"
	}
	args := []string{
		"-machine", "q35", "-accel", m.Acceleration, "-cpu", processor, "-smp", "2", "-m", fmt.Sprint(m.MemoryMB),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", m.Kernel.Image, "-initrd", m.Initramfs,
		// The machines run only what this repository made, so that they need no mitigations.
		"-append", strings.TrimSpace("console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off " + m.Append),
		"-serial", "file:" + m.Console,
	}
	if m.Report != nil {
		args = append(args, "-serial", "stdio")
	}
	if m.Out != "" {
		args = append(args, "-virtfs", "local,security_model=none,mount_tag="+plan.OutTag+",path="+m.Out)
	}
	if m.HostFiles {
		args = append(args, "-virtfs", "local,security_model=none,readonly=on,multidevs=remap,path=/,mount_tag="+plan.HostTag)
	}
	if m.Disk != "" {
		args = append(args, "-drive", "format=raw,if=virtio,cache=unsafe,file="+m.Disk)
	}
	return args
}
