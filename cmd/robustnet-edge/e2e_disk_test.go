package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// cannotMount is the exit code of smallDisk when the system lets nobody mount.
const cannotMount = 77

// smallDisk mounts a disk of a megabyte on $1, runs the rest of its arguments, and copies
// what is on the disk to $2, because the disk goes with the process.
const smallDisk = `disk=$1 saved=$2
shift 2
mount -t tmpfs -o size=1m tmpfs "$disk" || exit 77
"$@"
code=$?
cp -r "$disk/." "$saved"
exit $code`

// spawnOnSmallDisk starts the program where the folder disk is a small disk of its own, in
// a name space that needs no privileges. It skips where the system has none.
func spawnOnSmallDisk(t *testing.T, disk, saved string, args ...string) *child {
	t.Helper()
	inNamespace := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		return cmd
	}
	if err := inNamespace("true").Run(); err != nil {
		t.Skipf("the system gives no name space to mount a small disk in: %v", err)
	}
	command := append([]string{"-c", smallDisk, "sh", disk, saved, testBinary(t)}, freePorts(t, args)...)
	return spawnCommand(t, inNamespace("sh", command...))
}

// A disk that fills up ends the daemon with one sentence, and what it holds stays good.
func TestDiskFull(t *testing.T) {
	for name, c := range map[string]struct {
		flag, target string
		check        func(t *testing.T, saved string)
	}{
		"video": {"--output", "out.mp4", func(t *testing.T, saved string) { checkVideo(t, saved, 320, 180, 0) }},
		"masks": {"--masks", "masks", func(t *testing.T, saved string) {
			for i, name := range fileNames(t, saved) {
				if want := fmt.Sprintf("%06d.png", i); name != want {
					t.Errorf("file %d in the folder of masks is %s, want %s", i, name, want)
					continue
				}
				readIDs(t, filepath.Join(saved, name))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			disk, saved := t.TempDir(), t.TempDir()
			model := writeModel(t, trttest.Options{})
			p := spawnOnSmallDisk(t, disk, saved, headless("--camera", "synthetic:?size=320x180&fps=15&pace=0",
				"--model", model, "--frames", "5000", c.flag, filepath.Join(disk, c.target))...)
			state := p.within(patience)
			if state.ExitCode() == cannotMount {
				t.Skipf("a small disk cannot be mounted here: %s", p.log)
			}
			complaint := p.log.complaint()
			if state.ExitCode() != cli.Failure || !strings.Contains(complaint, "no space left on device") || strings.Count(complaint, "\n") != 1 {
				t.Errorf("%v, %q; want exit code 1 and one line: no space left on device", state, complaint)
			}
			c.check(t, filepath.Join(saved, c.target))
		})
	}
}
