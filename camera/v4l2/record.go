package v4l2

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"
	"github.com/prometheus/procfs"
)

// recording keeps the buffers of one start apart from those of another.
var recording sync.Mutex

// record starts streaming; if it fails, the device is closed. A driver that fails after it
// has mapped its buffers forgets them, and as long as one is mapped, the kernel keeps the
// camera busy, for this process too. So they are unmapped here.
func record(n node, mode prop.Media) (video.Reader, error) {
	recording.Lock()
	defer recording.Unlock()
	before, err := mappings(n.path)
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	reader, err := n.VideoRecord(mode)
	if err == nil {
		return reader, nil
	}
	after, mapErr := mappings(n.path)
	errs := []error{err, mapErr}
	for _, m := range after {
		if !slices.Contains(before, m) {
			errs = append(errs, m.unmap())
		}
	}
	return nil, errors.Join(errs...)
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// mappings lists where this process has the file at path in its memory. The file may have
// been deleted since, as the node of a camera that was unplugged.
func mappings(path string) ([]mapping, error) {
	self, err := procfs.Self()
	if err != nil {
		return nil, fmt.Errorf("list mapped buffers: %w", err)
	}
	all, err := self.ProcMaps()
	if err != nil {
		return nil, fmt.Errorf("list mapped buffers: %w", err)
	}
	var found []mapping
	for _, m := range all {
		if strings.TrimSuffix(m.Pathname, " (deleted)") == path {
			found = append(found, mapping{m.StartAddr, m.EndAddr})
		}
	}
	return found, nil
}

func (m mapping) unmap() error {
	if _, _, no := syscall.Syscall(syscall.SYS_MUNMAP, m.start, m.end-m.start, 0); no != 0 {
		return fmt.Errorf("unmap a buffer: %w", no)
	}
	return nil
}
