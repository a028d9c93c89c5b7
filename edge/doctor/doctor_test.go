package doctor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/edge/doctor"
)

// system makes files below a root; content "dir" makes a folder, with which opening for writing
// fails for everybody.
func system(t *testing.T, files map[string]string) doctor.System {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if content == "dir" {
			err = os.Mkdir(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return doctor.System{Root: root}
}

const (
	tegra = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\n"
	orin  = "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\x00"
)

func TestBoard(t *testing.T) {
	for name, tt := range map[string]struct {
		files  map[string]string
		want   string
		jetson bool
	}{
		"Orin": {map[string]string{"etc/nv_tegra_release": tegra, "proc/device-tree/model": orin, "etc/os-release": "NAME=x\nPRETTY_NAME=\"Ubuntu 22.04.5 LTS\"\n"},
			"NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super, Ubuntu 22.04.5 LTS, L4T 36.4.3", true},
		"a release in another form": {map[string]string{"etc/nv_tegra_release": "R99 unreleased"}, ", L4T R99 unreleased", true},
		"commas alone":              {map[string]string{"etc/nv_tegra_release": ",,"}, ", L4T ,,", true},
		"without a release file":    {map[string]string{"proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\x00nvidia,tegra234\x00"}, "unknown", true},
		"a PC":                      {map[string]string{"etc/os-release": "PRETTY_NAME=Debian"}, "Debian", false},
		"nothing":                   {nil, "unknown", false},
		"an empty release":          {map[string]string{"etc/nv_tegra_release": "\n"}, "unknown", false},
	} {
		s := system(t, tt.files)
		if got := s.Board(); got.Text != tt.want || got.State != doctor.OK || s.IsJetson() != tt.jetson {
			t.Errorf("%s: %+v, Jetson %t; want %q, %t", name, got, s.IsJetson(), tt.want, tt.jetson)
		}
	}
}

func TestGPUNodes(t *testing.T) {
	all := map[string]string{}
	for _, node := range []string{"nvmap", "host1x-fence", "nvgpu/igpu0/power", "nvgpu/igpu0/ctrl", "nvgpu/igpu0/as", "nvgpu/igpu0/channel", "nvgpu/igpu0/nvsched", "dri/renderD128"} {
		all["dev/"+node] = ""
	}
	if got := system(t, all).GPUNodes(); got.State != doctor.OK || got.Text != "all 8 can be opened" {
		t.Errorf("all there: %+v", got)
	}
	if got := system(t, nil).GPUNodes(); got.State != doctor.Missing || !strings.Contains(got.Next, "--runtime nvidia") {
		t.Errorf("none there: %+v", got)
	}
	delete(all, "dev/nvgpu/igpu0/nvsched")
	if got := system(t, all).GPUNodes(); got.State != doctor.Note || !strings.HasPrefix(got.Text, "/dev/nvgpu/igpu0/nvsched are not there") {
		t.Errorf("one not there: %+v", got)
	}
	all["dev/nvmap"] = "dir"
	if got := system(t, all).GPUNodes(); got.State != doctor.Missing || !strings.HasPrefix(got.Text, "/dev/nvmap: ") || !strings.Contains(got.Next, "usermod") {
		t.Errorf("one refuses: %+v", got)
	}
}

func TestMemory(t *testing.T) {
	for bytes, want := range map[int64]doctor.State{8 << 30: doctor.OK, 1 << 30: doctor.Note, 0: doctor.OK} {
		if got := doctor.Memory(bytes, 3<<30); got.State != want || (got.Next != "") != (want == doctor.Note) {
			t.Errorf("%d bytes: %+v, want %s", bytes, got, want)
		}
	}
}

func TestWorst(t *testing.T) {
	for want, states := range map[doctor.State][]doctor.State{
		doctor.OK: nil, doctor.Note: {doctor.OK, doctor.Note, doctor.OK}, doctor.Slow: {doctor.Slow, doctor.Note}, doctor.Missing: {doctor.Missing, doctor.Slow},
	} {
		var findings []doctor.Finding
		for _, s := range states {
			findings = append(findings, doctor.Finding{State: s})
		}
		if got := doctor.Worst(findings); got != want {
			t.Errorf("worst of %v is %s, want %s", states, got, want)
		}
	}
}
