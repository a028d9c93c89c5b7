package latency

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
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

func TestPolicies(t *testing.T) {
	const dir = "devices/system/cpu/cpufreq/"
	for name, c := range map[string]struct {
		files map[string]string
		want  []string // as text
	}{
		"two clusters": {map[string]string{
			dir + "policy0/related_cpus": "0 1 2 3\n", dir + "policy0/scaling_governor": "schedutil\n",
			dir + "policy0/scaling_cur_freq": "1190400\n", dir + "policy0/scaling_max_freq": "1510400\n", dir + "policy0/cpuinfo_max_freq": "1984000\n",
			dir + "policy4/related_cpus": "4 5\n", dir + "policy4/scaling_governor": "performance\n",
			dir + "policy4/cpuinfo_cur_freq": "1984000\n", dir + "policy4/cpuinfo_max_freq": "1984000\n",
		}, []string{"cores 0 1 2 3: governor schedutil, 1190 MHz, at most 1510 MHz (the hardware 1984 MHz)", "cores 4 5: governor performance, 1984 MHz, at most 1984 MHz"}},
		"governor alone":           {map[string]string{dir + "policy7/scaling_governor": "powersave\n"}, []string{"cores 7: governor powersave"}},
		"frequencies not known":    {map[string]string{dir + "policy0/scaling_governor": "ondemand\n", dir + "policy0/scaling_cur_freq": "<unknown>\n", dir + "policy0/scaling_max_freq": "-5"}, []string{"cores 0: governor ondemand"}},
		"folder for file":          {map[string]string{dir + "policy0/scaling_governor/x": "", dir + "policy0/scaling_max_freq": "800000"}, []string{"cores 0: governor unknown, at most 800 MHz"}},
		"empty policy":             {map[string]string{dir + "policy0/related_cpus": "0"}, nil},
		"no policy":                {map[string]string{dir + "boost": "1"}, nil},
		"no frequencies to choose": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range policiesOf(write(t, c.files)) {
				got = append(got, p.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
