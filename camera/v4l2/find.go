package v4l2

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
)

// machineFiles is where devices and what the kernel says of them are: /dev and /sys, but in
// tests.
type machineFiles struct {
	kernel   kernel
	dev, sys string
	trial    time.Duration // see trialTime
}

func machine() machineFiles {
	return machineFiles{kernel: system{}, dev: "/dev", sys: "/sys", trial: trialTime}
}

var nodeName = regexp.MustCompile(`^video[0-9]+$`)

// nodes lists the paths of all nodes of cameras and the like, in the order of their numbers.
func (m machineFiles) nodes() ([]string, error) {
	entries, err := os.ReadDir(m.dev)
	if err != nil {
		return nil, fmt.Errorf("look for cameras: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if nodeName.MatchString(e.Name()) {
			paths = append(paths, filepath.Join(m.dev, e.Name()))
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return paths, nil
}

// find returns the nodes that an address may mean, in the order in which to try them.
func (m machineFiles) find(uri camera.URI) ([]string, error) {
	if uri.Path != "" {
		path, err := filepath.EvalSymlinks(uri.Path)
		if err != nil {
			return nil, cause(err)
		}
		return []string{path}, nil
	}
	all, err := m.nodes()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no %s/video* is there: %w", m.dev, syscall.ENODEV)
	}
	serial, port := uri.Text("serial", ""), uri.Text("port", "")
	if serial == "" && port == "" {
		return all, nil
	}
	fit := slices.DeleteFunc(slices.Clone(all), func(path string) bool { return !m.place(path).is(serial, port) })
	if len(fit) == 0 {
		return nil, fmt.Errorf("none of %d nodes is of a camera with %s: %w", len(all), describePlace(serial, port), syscall.ENODEV)
	}
	return fit, nil
}

// cause strips what the caller's sentence has already: operation and path.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func describePlace(serial, port string) string {
	var parts []string
	if serial != "" {
		parts = append(parts, "serial number "+serial)
	}
	if port != "" {
		parts = append(parts, "port "+port)
	}
	return strings.Join(parts, " and ")
}

// place is what sysfs says of a node's device.
type place struct{ serial, port string }

// is tells whether it is the one with that serial number and port, of which each may be empty.
func (p place) is(serial, port string) bool {
	return (serial == "" || p.serial == serial || underscored(p.serial) == serial) && (port == "" || p.port == port)
}

// underscored is a serial number as udev writes it into the names of links.
func underscored(serial string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '/' {
			return '_'
		}
		return r
	}, serial)
}

// place looks a node up in sysfs: its USB device, which has a serial number, if its maker gave
// it one, and whose name is that of the port; or for other buses the name of the device.
// (Documentation/ABI/stable/sysfs-bus-usb, Documentation/ABI/testing/sysfs-class-video4linux)
func (m machineFiles) place(path string) place {
	dir, err := filepath.EvalSymlinks(filepath.Join(m.sys, "class/video4linux", filepath.Base(path), "device"))
	if err != nil {
		return place{}
	}
	root, err := filepath.EvalSymlinks(m.sys)
	if err != nil {
		return place{}
	}
	for at := dir; len(at) > len(root); at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "busnum")); err != nil {
			continue
		}
		serial, _ := os.ReadFile(filepath.Join(at, "serial")) // many have none
		return place{serial: strings.TrimSpace(string(serial)), port: filepath.Base(at)}
	}
	return place{port: filepath.Base(dir)}
}
