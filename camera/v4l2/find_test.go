package v4l2

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
)

// fakeMachine has two equal USB cameras of two nodes each, behind a hub and without a hub, and a
// camera of the board, laid out as the kernel does it.
func fakeMachine(t *testing.T, k *fakeKernel) machineFiles {
	t.Helper()
	root := t.TempDir()
	m := machineFiles{kernel: k, dev: filepath.Join(root, "dev"), sys: filepath.Join(root, "sys")}
	const usb = "devices/pci0000:00/0000:00:14.0/usb1"
	for at, content := range map[string]string{
		usb + "/busnum":                 "1\n",
		usb + "/serial":                 "0000:00:14.0\n", // a host controller has one, too
		usb + "/1-2/busnum":             "1\n",
		usb + "/1-2/1-2.1/busnum":       "1\n",
		usb + "/1-2/1-2.1/serial":       "AB 12/7\n",
		usb + "/1-2/1-2.1/1-2.1:1.0/x":  "",
		usb + "/1-4/busnum":             "1\n",
		usb + "/1-4/1-4:1.0/x":          "",
		"devices/platform/isp.0/driver": "",
	} {
		write(t, filepath.Join(m.sys, at), content)
	}
	for node, device := range map[string]string{
		"video0": usb + "/1-2/1-2.1/1-2.1:1.0", "video1": usb + "/1-2/1-2.1/1-2.1:1.0",
		"video2": usb + "/1-4/1-4:1.0", "video10": "devices/platform/isp.0",
	} {
		class := filepath.Join(m.sys, device, "video4linux", node)
		write(t, filepath.Join(class, "name"), "Camera at "+filepath.Base(device)+"\n")
		link(t, filepath.Join(m.sys, device), filepath.Join(class, "device"))
		link(t, class, filepath.Join(m.sys, "class/video4linux", node))
		write(t, filepath.Join(m.dev, node), "")
		if k != nil {
			k.nodes[filepath.Join(m.dev, node)] = k.nodes[node]
		}
	}
	link(t, filepath.Join(m.dev, "video0"), filepath.Join(m.dev, "v4l/by-id/usb-Maker_Cam_AB_12_7-video-index0"))
	return m
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(to, at)); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	m := fakeMachine(t, nil)
	link(t, filepath.Join(m.dev, "gone"), filepath.Join(m.dev, "v4l/by-id/usb-gone"))
	for name, tc := range map[string]struct {
		address string // %D is the folder of devices
		nodes   []string
		is      error
		says    string
	}{
		"all":               {address: "v4l2:", nodes: []string{"video0", "video1", "video2", "video10"}},
		"path":              {address: "v4l2:%D/video2", nodes: []string{"video2"}},
		"by id":             {address: "v4l2:%D/v4l/by-id/usb-Maker_Cam_AB_12_7-video-index0", nodes: []string{"video0"}},
		"serial":            {address: "v4l2:?serial=AB%2012%2F7", nodes: []string{"video0", "video1"}},
		"serial as in link": {address: "v4l2:?serial=AB_12_7", nodes: []string{"video0", "video1"}},
		"port of a hub":     {address: "v4l2:?port=1-2.1", nodes: []string{"video0", "video1"}},
		"port":              {address: "v4l2:?port=1-4", nodes: []string{"video2"}},
		"device":            {address: "v4l2:?port=isp.0", nodes: []string{"video10"}},
		"both":              {address: "v4l2:?port=1-2.1&serial=AB_12_7", nodes: []string{"video0", "video1"}},
		"hub, not camera":   {address: "v4l2:?port=1-2", is: syscall.ENODEV, says: "none of 4 nodes is of a camera with port 1-2"},
		"controller":        {address: "v4l2:?serial=0000:00:14.0", is: syscall.ENODEV, says: "serial number 0000:00:14.0"},
		"other port":        {address: "v4l2:?port=1-4&serial=AB_12_7", is: syscall.ENODEV, says: "serial number AB_12_7 and port 1-4"},
		"no node":           {address: "v4l2:%D/video7", is: fs.ErrNotExist},
		"link to nothing":   {address: "v4l2:%D/v4l/by-id/usb-gone", is: fs.ErrNotExist},
	} {
		uri, err := camera.ParseURI(strings.ReplaceAll(tc.address, "%D", m.dev))
		if err != nil {
			t.Fatal(err)
		}
		paths, err := m.find(uri)
		var nodes []string
		for _, p := range paths {
			nodes = append(nodes, filepath.Base(p))
		}
		if !slices.Equal(nodes, tc.nodes) || !errors.Is(err, tc.is) || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: find(%s) = %v, %v; want %v, %v", name, tc.address, nodes, err, tc.nodes, tc.is)
		}
	}
	empty := machineFiles{dev: t.TempDir(), sys: t.TempDir()}
	if _, err := empty.find(camera.URI{Scheme: "v4l2"}); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("find without nodes = %v, want ENODEV", err)
	}
}

func TestCameras(t *testing.T) {
	depth := []fakeFormat{listed("Z16 ", 30, [2]int{64, 48})}
	k := newFake(t, map[string]*fakeDriver{
		"video0": {formats: append(webcam(), depth...)}, "video1": {capabilities: capMetadata},
		"video2":  {formats: webcam(), fail: map[uintptr]error{doSetFormat: syscall.EBUSY}},
		"video10": {openErr: syscall.EACCES},
	})
	m := fakeMachine(t, k)
	all, err := m.cameras()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Fatalf("%d cameras, want 3: %+v", len(all), all)
	}
	first := all[0]
	if first.Path != m.dev+"/video0" || first.ByID != m.dev+"/v4l/by-id/usb-Maker_Cam_AB_12_7-video-index0" || first.Serial != "AB 12/7" ||
		first.Port != "1-2.1" || first.Driver != "uvcvideo" || first.Card != "HD Webcam" || first.State != Ready || first.Problem != "" ||
		!slices.Equal(names(first.Modes), []string{"MJPEG 1280x720@30", "MJPEG 64x48@30", "YUYV 640x480@30", "YUYV 64x48@30"}) || !slices.Equal(first.Unreadable, []string{"Z16"}) {
		t.Errorf("camera = %+v", first)
	}
	if got := first.Address(first.Modes[0]); got != m.dev+"/video0?format=MJPEG&size=1280x720&fps=30" {
		t.Errorf("address = %s", got)
	}
	if busy := all[1]; busy.State != Busy || !strings.Contains(busy.Problem, "fuser -v "+m.dev+"/video2") || len(busy.Modes) != 4 || busy.Serial != "" || busy.Port != "1-4" {
		t.Errorf("busy camera = %+v", busy)
	}
	if denied := all[2]; denied.State != Denied || !strings.Contains(denied.Problem, "usermod") || denied.Card != "Camera at isp.0" || denied.Port != "isp.0" {
		t.Errorf("forbidden camera = %+v", denied)
	}
	text, err := json.Marshal(all[2])
	if err != nil || !strings.Contains(string(text), `"modes":[]`) {
		t.Errorf("JSON %s, %v", text, err)
	}
}

// Other faults are told, too, and one camera's hides no other.
func TestCamerasFaults(t *testing.T) {
	k := newFake(t, map[string]*fakeDriver{
		"video0":  {formats: []fakeFormat{listed("Z16 ", 30, [2]int{64, 48})}},
		"video1":  {capabilities: capMultiPlanar | capStreaming},
		"video2":  {openErr: syscall.ENXIO},
		"video10": {formats: webcam(), fail: map[uintptr]error{doInterval: syscall.EIO}},
	})
	all, err := fakeMachine(t, k).cameras()
	if err != nil || len(all) != 4 {
		t.Fatalf("%d cameras, %v; want 4", len(all), err)
	}
	for i, says := range []string{"(Z16); gst:v4l2src", "multi-planar", "nothing is behind", "VIDIOC_ENUM_FRAMEINTERVALS"} {
		if c := all[i]; c.State != Faulty || !strings.Contains(c.Problem, says) {
			t.Errorf("%s: %s, %q; want %q", c.Path, c.State, c.Problem, says)
		}
	}
	if _, err := (machineFiles{dev: filepath.Join(t.TempDir(), "none")}).cameras(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder of devices: %v", err)
	}
	none, err := machineFiles{dev: t.TempDir()}.cameras()
	if text, _ := json.Marshal(none); err != nil || string(text) != "[]" {
		t.Errorf("without cameras: %s, %v", text, err)
	}
}
