package v4l2

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/robustnet-edge/robustnet/camera"
)

// State is whether a camera can be opened.
type State string

// The states.
const (
	Ready  State = "ready"
	Busy   State = "busy"   // another program has it
	Denied State = "denied" // no permission
	Faulty State = "faulty" // anything else
)

// Camera is a device of this machine that captures pictures.
type Camera struct {
	// Path is that of the device node, ByID the link to it that keeps its name over
	// reboots, empty where udev made none.
	Path string `json:"path"`
	ByID string `json:"by_id,omitempty"`
	// Serial is the USB device's serial number, empty where its maker gave it none. Port
	// is the USB port, such as "1-2.1" for port 1 of the hub in port 2 of bus 1; for other
	// buses it is the name of the device. Both can be given in an address:
	// v4l2:?serial=SERIAL, v4l2:?port=PORT.
	Serial string `json:"serial,omitempty"`
	Port   string `json:"port,omitempty"`
	// Driver and Card are the kernel's names of the driver and the device.
	Driver string `json:"driver,omitempty"`
	Card   string `json:"card,omitempty"`
	State  State  `json:"state"`
	// Problem says why it cannot be opened, with the next step; empty if it can.
	Problem string `json:"problem,omitempty"`
	// Modes are those that can be read. Of a camera that takes any size or rate within
	// bounds they are the usual ones and the bounds.
	Modes []Mode `json:"modes"`
	// Unreadable are the kernel's names of formats that cannot be read.
	Unreadable []string `json:"unreadable,omitempty"`
}

// Address is the camera's in this mode.
func (c Camera) Address(m Mode) string {
	address := fmt.Sprintf("%s?format=%s&size=%dx%d", (&url.URL{Path: c.Path}).EscapedPath(), m.Format, m.Width, m.Height)
	if m.FPS > 0 {
		address += fmt.Sprintf("&fps=%.4g", m.FPS)
	}
	return address
}

// Cameras lists the cameras of this machine in the order of their nodes' numbers. It opens each,
// and asks its driver to set the format that it has, to learn whether another program has it;
// nobody's stream is disturbed. Nodes that never deliver pictures, such as those for metadata,
// are left out. No camera is an empty list.
func Cameras() ([]Camera, error) { return machine().cameras() }

func (m machineFiles) cameras() ([]Camera, error) {
	paths, err := m.nodes()
	if err != nil {
		return nil, err
	}
	links := m.links()
	all := []Camera{}
	for _, path := range paths {
		p := m.place(path)
		c := Camera{Path: path, ByID: links[path], Serial: p.serial, Port: p.port, State: Ready, Modes: []Mode{}}
		err := m.examine(&c)
		if errors.Is(err, errNoCamera) {
			continue
		}
		if err != nil {
			c.State, c.Problem = stateOf(err), explain("open "+path, path, err).Error()
		}
		if c.Card == "" { // the device would not tell
			c.Card = strings.TrimSpace(readText(m.sys, "class/video4linux", filepath.Base(path), "name"))
		}
		all = append(all, c)
	}
	return all, nil
}

func readText(elements ...string) string {
	content, _ := os.ReadFile(filepath.Join(elements...)) // then there is none
	return string(content)
}

// links maps nodes to their links by identity.
func (m machineFiles) links() map[string]string {
	dir, links := filepath.Join(m.dev, "v4l/by-id"), map[string]string{}
	entries, _ := os.ReadDir(dir) // without udev, or without a USB camera, there is no such folder
	for _, e := range entries {
		link := filepath.Join(dir, e.Name())
		if to, err := filepath.EvalSymlinks(link); err == nil {
			links[to] = link
		}
	}
	return links
}

func stateOf(err error) State {
	switch {
	case errors.Is(err, syscall.EBUSY):
		return Busy
	case errors.Is(err, fs.ErrPermission):
		return Denied
	}
	return Faulty
}

// examine fills in what the driver tells of the camera.
func (m machineFiles) examine(c *Camera) (err error) {
	d, err := openDevice(m.kernel, c.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	what, err := d.capability()
	if err != nil {
		return err
	}
	c.Driver, c.Card = what.driver, what.card
	if err := what.check(); err != nil {
		return err
	}
	modes, unreadable, err := d.modes(wishOf(camera.URI{}, camera.Want{}))
	if err != nil {
		return err
	}
	if len(modes) == 0 {
		return fmt.Errorf("its formats cannot be read (%s); gst:v4l2src may", orNone(unreadable))
	}
	c.Modes, c.Unreadable = modes, unreadable
	return d.tryOut()
}

// tryOut asks for the format that the device has, which fails if another program streams.
func (d *device) tryOut() error {
	now, err := d.layout()
	if err != nil {
		return err
	}
	_, err = d.setLayout(now.format, now.width, now.height)
	return err
}
