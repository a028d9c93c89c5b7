package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

// vivid is the kernel's virtual camera, one that looks like a webcam.
var vivid = plan.Module{Name: "vivid", Parameters: "n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0"}

// workplace is the folder of one test below build/vm, and the kernel beside it.
type workplace struct {
	kernel *Kernel
	// cache is build/vm, path the folder.
	cache, path string
}

// newWorkplace empties the folder, or skips the test where nothing prepared build/vm.
func newWorkplace(t *testing.T, name string) *workplace {
	t.Helper()
	cache := os.Getenv("ROBUSTNET_VM")
	if cache == "" {
		t.Skip("make test-vm-light and make test-vm run virtual machines")
	}
	if _, err := exec.LookPath(qemu); err != nil {
		t.Skipf("no virtual machines here; packaging/setup.sh qemu-system-x86 installs qemu: %v", err)
	}
	kernel, err := OpenKernel(filepath.Join(cache, "kernel"))
	if err != nil {
		t.Skipf("no virtual machines here: %v", err)
	}
	w := &workplace{kernel: kernel, cache: cache, path: filepath.Join(cache, name)}
	if err := os.RemoveAll(w.path); err != nil {
		t.Fatal(err)
	}
	w.folder(t, ".")
	return w
}

func (w *workplace) folder(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(w.path, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *workplace) console() string { return filepath.Join(w.path, "console.log") }

// compile makes a program of this folder that needs no libraries.
func (w *workplace) compile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(w.path, name)
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("compile %s: %v\n%s", name, err, said)
	}
	return path
}

func (w *workplace) initramfs(t *testing.T, p *plan.Plan) string {
	t.Helper()
	path := filepath.Join(w.path, "initramfs")
	if err := WriteInitramfs(path, w.kernel, w.compile(t, "init"), p); err != nil {
		t.Fatal(err)
	}
	return path
}
