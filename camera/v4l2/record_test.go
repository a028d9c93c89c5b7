package v4l2

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"
)

// mappingDevice maps its node as the driver does, and then starts or does not.
type mappingDevice struct {
	fakeDevice
	path string
	maps int
	err  error
}

func (d *mappingDevice) VideoRecord(prop.Media) (video.Reader, error) {
	for range d.maps {
		if _, err := mapFile(d.path); err != nil {
			return nil, err
		}
	}
	return video.ReaderFunc(d.read), d.err
}

func mapFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return syscall.Mmap(int(f.Fd()), 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
}

// A buffer that stays mapped after a failed start makes the kernel call the camera busy.
func TestFailedStartLeavesNoBuffers(t *testing.T) {
	failure := errors.New("Failed to start streaming: no space left on device")
	for name, tc := range map[string]struct {
		maps int
		err  error
		want int // mappings in the end, with the one that was there before
	}{
		"fails before buffers": {0, failure, 1},
		"fails with buffers":   {2, failure, 1},
		"starts":               {2, nil, 3},
	} {
		path := filepath.Join(t.TempDir(), "video0")
		if err := os.WriteFile(path, []byte("the other camera's"), 0o600); err != nil {
			t.Fatal(err)
		}
		other, err := mapFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := record(node{&mappingDevice{path: path, maps: tc.maps, err: tc.err}, path}, prop.Media{}); !errors.Is(err, tc.err) {
			t.Errorf("%s: record = %v, want %v", name, err, tc.err)
		}
		left, err := mappings(path)
		if err != nil || countPages(left) != tc.want {
			t.Errorf("%s: %v, %v are mapped; want %d pages", name, left, err, tc.want)
		}
		if string(other[:3]) != "the" {
			t.Errorf("%s: a buffer that was there before reads %q", name, other[:3])
		}
		for _, m := range left {
			if err := m.unmap(); err != nil {
				t.Error(err)
			}
		}
	}
}

// countPages counts pages, since the kernel may join adjoining mappings.
func countPages(ms []mapping) int {
	n := 0
	for _, m := range ms {
		n += int(m.end-m.start) / os.Getpagesize()
	}
	return n
}
