// Package systemd holds the units to what systemd says of them, and to each other.
package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	service  = "robustnet-edge.service"
	template = "robustnet-edge@.service"
	dropIn   = "no-sandbox.conf"
)

// threshold is the greatest exposure that `systemd-analyze security` may find, of 10.
const threshold = 2.5

// setting is a line of a unit, with its section.
type setting struct{ section, key, value string }

func units(t *testing.T, name string) (list []setting) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case ok:
			list = append(list, setting{section, key, value})
		default:
			t.Errorf("%s: %q is no setting", name, line)
		}
	}
	return list
}

// values returns those of a key, in order.
func values(list []setting, key string) (all []string) {
	for _, s := range list {
		if s.key == key {
			all = append(all, s.value)
		}
	}
	return all
}

// staged returns a root folder with the units, and a program and a page that stand in for those
// that they name. An instance of the template is in it.
func staged(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	put := func(path string, text []byte, mode os.FileMode) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, mode); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{service: service, template: "robustnet-edge@video0.service"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		put("/etc/systemd/system/"+to, text, 0o644)
	}
	put("/usr/bin/robustnet-edge", []byte("#!/bin/sh\n"), 0o755)
	put("/bin/kill", []byte("#!/bin/sh\n"), 0o755)
	// What the units refer to is of systemd's own.
	for _, name := range []string{"basic", "network", "multi-user", "shutdown", "sysinit"} {
		put("/usr/lib/systemd/system/"+name+".target", []byte("[Unit]\nDescription="+name+"\n"), 0o644)
	}
	return root
}

func analyze(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skipf("systemd-analyze is not installed: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

func TestVerify(t *testing.T) {
	root := staged(t)
	for _, name := range []string{service, "robustnet-edge@video0.service"} {
		out := analyze(t, "verify", "--man=no", "--root="+root, filepath.Join(root, "etc/systemd/system", name))
		for line := range strings.Lines(out) {
			if strings.Contains(line, "robustnet") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}

var exposure = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)

func TestSecurity(t *testing.T) {
	root := staged(t)
	for _, name := range []string{service, "robustnet-edge@video0.service"} {
		out := analyze(t, "security", "--no-pager", "--offline=true", "--root="+root, name)
		found := exposure.FindStringSubmatch(out)
		if found == nil {
			t.Fatalf("%s: systemd-analyze names no exposure:\n%s", name, out)
		}
		level, err := strconv.ParseFloat(found[1], 64)
		if err != nil || level > threshold {
			t.Errorf("%s: exposure %s, want at most %v:\n%s", name, found[1], threshold, out)
		}
		t.Logf("%s: exposure %s of 10", name, found[1])
	}
}

// TestBoth holds the two units to differ in what tells a camera from the file of settings, and in
// nothing else.
func TestBoth(t *testing.T) {
	own := []string{"Description", "Documentation", "BindsTo", "After", "ExecStart", "Environment", "EnvironmentFile", "RuntimeDirectory", "WantedBy"}
	rest := func(name string) []setting {
		return slices.DeleteFunc(units(t, name), func(s setting) bool { return slices.Contains(own, s.key) })
	}
	one, each := rest(service), rest(template)
	if !slices.Equal(one, each) {
		lacks := func(from, what []setting) []setting {
			return slices.DeleteFunc(slices.Clone(what), func(s setting) bool { return slices.Contains(from, s) })
		}
		t.Errorf("%s alone has %v, %s %v, or their order is another", service, lacks(each, one), template, lacks(one, each))
	}
	for name, want := range map[string]map[string]string{
		service: {
			"Type": "notify", "NotifyAccess": "main", "WatchdogSec": "20", "Restart": "on-failure",
			"StartLimitIntervalSec": "0", "ExecReload": "/bin/kill -HUP $MAINPID",
			"MemoryDenyWriteExecute": "no", "PrivateDevices": "no", "User": "robustnet", "SupplementaryGroups": "video render",
			"ExecStart": "/usr/bin/robustnet-edge", "WantedBy": "multi-user.target",
		},
		template: {"ExecStart": "/usr/bin/robustnet-edge --camera /dev/%I", "BindsTo": "dev-%i.device", "WantedBy": "dev-%i.device"},
	} {
		list := units(t, name)
		for key, value := range want {
			if got := values(list, key); !slices.Equal(got, []string{value}) {
				t.Errorf("%s: %s is %q, want %q", name, key, got, value)
			}
		}
	}
	for _, name := range []string{service, template} {
		// The watchdog's signal and a panic end a Go program with the exit code of a fault on the
		// command line, and cameras may be plugged in after the service has started.
		if got := values(units(t, name), "RestartPreventExitStatus"); len(got) > 0 {
			t.Errorf("%s is left dead after exit codes %q", name, got)
		}
		if got := values(units(t, name), "DeviceAllow"); !slices.Contains(got, "char-81 rw") {
			t.Errorf("%s allows the devices %q, not V4L2's by number", name, got)
		}
	}
	if got := values(units(t, template), "After"); !slices.Contains(got, "dev-%i.device") {
		t.Errorf("%s starts after %q", template, got)
	}
}

// sandbox are the settings that keep the daemon from something.
var sandbox = regexp.MustCompile(`^(Protect|Restrict|Private|SystemCall|Lock|Device(Policy|Allow)$)`)

// kept are those of the sandbox that cannot keep CUDA from anything.
var kept = []string{"PrivateDevices", "RestrictSUIDSGID", "SystemCallErrorNumber"}

// TestDropIn holds the drop-in to take back what the units forbid.
func TestDropIn(t *testing.T) {
	undone := units(t, dropIn)
	for _, s := range units(t, service) {
		if !sandbox.MatchString(s.key) || slices.Contains(kept, s.key) {
			continue
		}
		if len(values(undone, s.key)) == 0 {
			t.Errorf("%s leaves %s=%s as it is", dropIn, s.key, s.value)
		}
	}
	root := staged(t)
	text, err := os.ReadFile(dropIn)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "etc/systemd/system", service+".d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, dropIn), text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := analyze(t, "verify", "--man=no", "--root="+root, filepath.Join(root, "etc/systemd/system", service)); strings.Contains(out, dropIn) {
		t.Error(out)
	}
}
