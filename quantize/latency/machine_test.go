package latency

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// write makes files of a kernel's file system and returns its root.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestCPU(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the file of processors has the form of x86")
	}
	const xeon = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R)  Xeon(R) Processor\nflags\t\t: fpu sse2\n\nprocessor\t: 1\nmodel name\t: another\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"processor":           {map[string]string{"cpuinfo": xeon}, "Intel(R) Xeon(R) Processor"},
		"board and processor": {map[string]string{"cpuinfo": xeon, "device-tree/model": "NVIDIA Jetson Orin Nano\x00"}, "NVIDIA Jetson Orin Nano, Intel(R) Xeon(R) Processor"},
		"board":               {map[string]string{"cpuinfo": "processor\t: 0\n", "device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\x00"}, "Raspberry Pi 5 Model B Rev 1.0"},
		"nothing":             {nil, "amd64"},
		"something else":      {map[string]string{"cpuinfo": "\x00\x01 no processors:"}, "amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cpuOf(write(t, c.files)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if got := cpuOf("/does/not/exist"); got != "amd64" {
		t.Errorf("without /proc: %q", got)
	}
}
