package v4l2

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/pion/mediadevices/pkg/driver"
	mdcamera "github.com/pion/mediadevices/pkg/driver/camera"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"
)

// device is what this package needs of a camera driver.
type device interface {
	Open() error
	Close() error
	// Properties lists the modes of an open device.
	Properties() []prop.Media
	// VideoRecord starts streaming; if it fails, the device is closed.
	VideoRecord(prop.Media) (video.Reader, error)
}

// node is a device and where it lies in the file system.
type node struct {
	device
	path string
}

// enumeration guards the driver's registry, which each enumeration empties and refills.
var enumeration sync.Mutex

// readTimeout is the variable of the environment by which the driver knows how many whole
// seconds it waits for a picture. It can be closed only between two such waits, and takes
// five without the variable, which is longer than a program has to stop.
const readTimeout = "PION_MEDIADEVICES_CAMERA_READ_TIMEOUT"

func shortenReadTimeout() error {
	if _, set := os.LookupEnv(readTimeout); set {
		return nil
	}
	return os.Setenv(readTimeout, "1")
}

// find returns the device at path, or all cameras in the order of their numbers if path
// is empty.
func find(path string) ([]node, error) {
	wanted := ""
	if path != "" {
		resolved, err := filepath.EvalSymlinks(path)
		if err == nil {
			err = probe(resolved)
		}
		if err != nil {
			return nil, err
		}
		wanted = filepath.Base(resolved)
	}
	nodes, err := enumerate(wanted)
	if err != nil {
		return nil, err
	}
	if len(nodes) > 0 {
		return nodes, nil
	}
	if path != "" {
		return nil, fmt.Errorf("is not a V4L2 device: %w", syscall.ENXIO)
	}
	return nil, fmt.Errorf("no /dev/video* is there: %w", syscall.ENODEV)
}

// probe opens a device node and closes it, because the driver hides why it could not.
func probe(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	stat, err := f.Stat()
	if err == nil && stat.Mode()&fs.ModeCharDevice == 0 {
		err = fmt.Errorf("is not a device: %w", syscall.ENXIO)
	}
	return errors.Join(err, f.Close())
}

// enumerate lists the cameras whose node has the given base name, or all.
func enumerate(base string) ([]node, error) {
	enumeration.Lock()
	defer enumeration.Unlock()
	if err := shortenReadTimeout(); err != nil {
		return nil, err
	}
	mdcamera.Initialize() // the driver looks only once by itself, when the program starts
	var nodes []node
	for _, d := range driver.GetManager().Query(driver.FilterVideoRecorder()) {
		label := d.Info().Label
		i := strings.LastIndex(label, mdcamera.LabelSeparator)
		dev, ok := d.(device)
		if i < 0 || !ok {
			continue
		}
		name := label[i+len(mdcamera.LabelSeparator):]
		if base == "" || name == base {
			nodes = append(nodes, node{device: dev, path: "/dev/" + name})
		}
	}
	slices.SortFunc(nodes, func(a, b node) int {
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), cmp.Compare(a.path, b.path))
	})
	return nodes, nil
}
