// Package udev has udev itself apply the rules to cameras that are not there: in mounts of the
// test's own, a made-up /sys, /etc, /run and /dev take the place of this machine's.
package udev

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const rules = "70-robustnet-edge.rules"

// node is a device of video4linux with the properties that Debian's rules would find.
type node struct {
	kernel, index string
	properties    map[string]string
	wanted        []string // names of files in /etc/robustnet/cameras
	action        string   // add, if empty
}

// outcome is what udev makes of a node.
type outcome struct {
	links, wants, run []string
	tagged            bool
	said              string
}

func camera(serial string, wanted ...string) node {
	n := node{kernel: "video0", index: "0", properties: map[string]string{"ID_V4L_CAPABILITIES": ":capture:"}, wanted: wanted}
	if serial != "" {
		n.properties["ID_SERIAL"] = serial
	}
	return n
}

func (n node) as(kernel, index string) node {
	n.kernel, n.index = kernel, index
	return n
}

func (n node) without(property string) node {
	n.properties = maps.Clone(n.properties)
	delete(n.properties, property)
	return n
}

const (
	serial = "046d_HD_Pro_Webcam-C920_5A2B3C4D"
	bus    = "platform-vivid.0" // of the node in the made-up /sys
)

func TestRules(t *testing.T) {
	removed := camera(serial, serial)
	removed.action = "remove"
	link := func(name, kernel string) []string {
		return []string{"/bin/mkdir -p /run/robustnet/cameras", "/bin/ln -sfn /etc/robustnet/cameras/" + name + " /run/robustnet/cameras/" + kernel + ".env"}
	}
	for title, c := range map[string]struct {
		node node
		want outcome
	}{
		"a camera": {
			camera(serial),
			outcome{tagged: true, links: []string{"by-path/" + bus, "by-serial/" + serial}},
		},
		"a camera without a serial": {
			camera("", "some_other_camera"),
			outcome{tagged: true, links: []string{"by-path/" + bus}},
		},
		"its second node of pictures": {
			camera(serial).as("video2", "2"),
			outcome{tagged: true, links: []string{"by-path/" + bus + "-index2", "by-serial/" + serial + "-index2"}},
		},
		"its node of metadata": {camera(serial, "video1", serial).without("ID_V4L_CAPABILITIES").as("video1", "1"), outcome{}},
		"a radio":              {camera(serial, "radio0", serial).as("radio0", "0"), outcome{}},
		"wanted by serial": {
			camera(serial, serial).as("video3", "0"),
			outcome{
				tagged: true, links: []string{"by-path/" + bus, "by-serial/" + serial},
				wants: []string{"robustnet-edge@video3.service"}, run: link(serial, "video3"),
			},
		},
		"another node than the wanted one": {
			camera(serial, serial).as("video2", "2"),
			outcome{tagged: true, links: []string{"by-path/" + bus + "-index2", "by-serial/" + serial + "-index2"}},
		},
		"the second node wanted": {
			camera(serial, serial+"-index2").as("video2", "2"),
			outcome{
				tagged: true, links: []string{"by-path/" + bus + "-index2", "by-serial/" + serial + "-index2"},
				wants: []string{"robustnet-edge@video2.service"}, run: link(serial+"-index2", "video2"),
			},
		},
		"wanted by path": {
			camera("", bus),
			outcome{
				tagged: true, links: []string{"by-path/" + bus},
				wants: []string{"robustnet-edge@video0.service"}, run: link(bus, "video0"),
			},
		},
		"wanted by all its names": {
			camera(serial, "video0", serial, bus),
			outcome{
				tagged: true, links: []string{"by-path/" + bus, "by-serial/" + serial},
				wants: []string{"robustnet-edge@video0.service"}, run: link(serial, "video0"),
			},
		},
		"unplugged": {removed, outcome{run: []string{"/bin/rm -f /run/robustnet/cameras/video0.env"}}},
	} {
		t.Run(title, func(t *testing.T) {
			got := apply(t, c.node)
			if strings.Contains(got.said, rules+":") && strings.Contains(got.said, "nvalid") {
				t.Errorf("udev does not understand the rules:\n%s", got.said)
			}
			if !slices.Equal(got.links, c.want.links) || !slices.Equal(got.wants, c.want.wants) ||
				!slices.Equal(got.run, c.want.run) || got.tagged != c.want.tagged {
				t.Errorf("links %q, wants %q, run %q, tagged %v; want %q, %q, %q, %v\n%s", got.links, got.wants, got.run, got.tagged,
					c.want.links, c.want.wants, c.want.run, c.want.tagged, got.said)
			}
		})
	}
}

// apply has udev look at a node.
func apply(t *testing.T, n node) outcome {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("giving udev a made-up /sys needs root")
	}
	for _, tool := range []string{"udevadm", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: %v", tool, err)
		}
	}
	top := t.TempDir()
	device := "sys/devices/platform/vivid.0/video4linux/" + n.kernel
	write(t, filepath.Join(top, device, "uevent"), "MAJOR=81\nMINOR=0\nDEVNAME="+n.kernel+"\n")
	write(t, filepath.Join(top, device, "index"), n.index+"\n")
	write(t, filepath.Join(top, "sys/devices/platform/vivid.0/uevent"), "MODALIAS=platform:vivid\n")
	write(t, filepath.Join(top, "sys/class/video4linux/.keep"), "")
	write(t, filepath.Join(top, "sys/bus/platform/.keep"), "")
	link(t, "../../../../../class/video4linux", filepath.Join(top, device, "subsystem"))
	link(t, "../../../bus/platform", filepath.Join(top, "sys/devices/platform/vivid.0/subsystem"))
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(top, "etc/udev/rules.d", rules), string(text))
	found := `SUBSYSTEM=="video4linux"`
	for name, value := range n.properties {
		found += fmt.Sprintf(", ENV{%s}=%q", name, value)
	}
	write(t, filepath.Join(top, "etc/udev/rules.d/61-found.rules"), found+"\n")
	write(t, filepath.Join(top, "etc/group"), "root:x:0:\nvideo:x:44:\n")
	for _, name := range n.wanted {
		write(t, filepath.Join(top, "etc/robustnet/cameras", name), "")
	}
	write(t, filepath.Join(top, "run/robustnet/cameras/video0.env"), "")

	action := n.action
	if action == "" {
		action = "add"
	}
	const script = `mount --bind "$0/sys" /sys && mount --bind "$0/etc" /etc && mount --bind "$0/run" /run &&
		mount -t tmpfs none /dev && mknod /dev/null c 1 3 || exit 77
		SYSTEMD_DEVICE_VERIFY_SYSFS=0 exec udevadm test --action="$1" "$2"`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-c", script, top, action, "/"+device)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if strings.Contains(stderr.String(), "unshare failed") || cmd.ProcessState.ExitCode() == 77 {
			t.Skipf("this system allows no mounts of one's own: %s", stderr.Bytes())
		}
		t.Fatalf("udevadm: %v\n%s", err, stderr.Bytes())
	}
	return readOutcome(stdout.String(), stderr.String())
}

// readOutcome reads what udevadm prints.
func readOutcome(stdout, stderr string) (o outcome) {
	o.said = stderr
	for line := range strings.Lines(stdout) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "DEVLINKS":
			for _, path := range strings.Fields(value) {
				if name, ours := strings.CutPrefix(path, "/dev/robustnet/"); ours {
					o.links = append(o.links, name)
				}
			}
		case "SYSTEMD_WANTS":
			o.wants = strings.Fields(value)
		case "CURRENT_TAGS":
			o.tagged = strings.Contains(value, ":systemd:")
		}
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "run: '"); ok && strings.Contains(command, "robustnet") {
			o.run = append(o.run, strings.TrimSuffix(command, "'"))
		}
	}
	slices.Sort(o.links)
	return o
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
