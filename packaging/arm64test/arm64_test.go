// Package arm64test holds the programs that packaging/arm64.sh cross-compiles against what
// JetPack has, and runs them under qemu beside those of this machine. `make test-arm64` starts it.
package arm64test

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// newest is what JetPack 6 has, which is Ubuntu 22.04: glibc 2.35, and the libraries of GCC 12.
var newest = map[string]string{"GLIBC": "2.35", "GLIBCXX": "3.4.30", "CXXABI": "1.3.13", "GCC": "12"}

// everywhere are the libraries that JetPack 6, JetPack 7 and Debian 12 have under the same name.
var everywhere = []string{
	"ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0",
	"libstdc++.so.6", "libgcc_s.so.1",
}

// opencv ends the names of Debian 12's OpenCV libraries, which Ubuntu 24.04 and with it JetPack 7
// have, too. Ubuntu 22.04's end in .so.4.5d, so that the programs do not start on JetPack 6.
const opencv = ".so.406"

var programs = []string{"robustnet-edge", "robustnet-quantize", "robustnet-train"}

func TestArm64(t *testing.T) {
	folder := os.Getenv("ROBUSTNET_ARM64")
	if folder == "" {
		t.Skip("make test-arm64 compiles and tests the programs for arm64")
	}
	if _, err := os.Stat(filepath.Join(folder, programs[0])); err != nil {
		t.Skipf("no programs for arm64 are here; make build-arm64 compiles them: %v", err)
	}
	shims, err := filepath.Glob(filepath.Join(folder, "lib", "librobustnet-trt*.so"))
	if err != nil {
		t.Fatal(err)
	}
	files := append(slices.Clone(programs), "lib/libonnxruntime.so.1")
	for _, shim := range shims {
		files = append(files, "lib/"+filepath.Base(shim))
	}
	for _, file := range files {
		t.Run("needs/"+filepath.Base(file), func(t *testing.T) { needs(t, filepath.Join(folder, file)) })
	}
	m := newMachine(t, folder)
	t.Run("start", func(t *testing.T) { starts(t, m) })
	for _, shim := range shims {
		t.Run("loads/"+filepath.Base(shim), func(t *testing.T) { loadsShim(t, m, shim) })
	}
	t.Run("info", func(t *testing.T) { showsModel(t, m) })
	t.Run("masks", func(t *testing.T) { segments(t, m) })
}

// needs checks which libraries a file asks for, and in which versions.
func needs(t *testing.T, path string) {
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Machine != elf.EM_AARCH64 || file.Class != elf.ELFCLASS64 {
		t.Fatalf("it is for %v, %v", file.Machine, file.Class)
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	ofOpenCV := 0
	for _, name := range libraries {
		switch {
		case slices.Contains(everywhere, name):
		case strings.HasPrefix(name, "libopencv_") && strings.HasSuffix(name, opencv):
			ofOpenCV++
		default:
			t.Errorf("it needs %s, which JetPack may lack or have under another name", name)
		}
	}
	if ofOpenCV > 0 {
		t.Logf("%d libraries libopencv_*%s, as on Debian 12 and Ubuntu 24.04 (JetPack 7); JetPack 6 has them under other names", ofOpenCV, opencv)
	}

	libs, err := file.DynamicVersionNeeds()
	if err != nil {
		t.Fatal(err)
	}
	greatest := map[string]string{}
	for _, lib := range libs {
		for _, need := range lib.Needs {
			// Names without a number stand for features, such as GLIBC_ABI_DT_RELR of 2.36.
			family, version, _ := strings.Cut(need.Dep, "_")
			most, known := newest[family]
			if !known || compare(version, most) > 0 {
				t.Errorf("it needs %s of %s; JetPack 6 has %s_%s", need.Dep, lib.Name, family, most)
			}
			if compare(version, greatest[family]) > 0 {
				greatest[family] = version
			}
		}
	}
	for _, family := range slices.Sorted(maps.Keys(greatest)) {
		t.Logf("%s_%s; JetPack 6 has %s", family, greatest[family], newest[family])
	}
}

// compare orders versions such as 2.4 and 2.35; what is not a number is greater than any.
func compare(a, b string) int {
	numbers := func(version string) (list []int) {
		for part := range strings.SplitSeq(version, ".") {
			n, err := strconv.Atoi(part)
			if err != nil && version != "" {
				n = 1 << 30
			}
			list = append(list, n)
		}
		return list
	}
	return slices.Compare(numbers(a), numbers(b))
}

// machine runs programs for arm64.
type machine struct {
	folder string
	root   string // where programs find what is asked for by an absolute path
}

func newMachine(t *testing.T, folder string) machine {
	m := machine{folder, t.TempDir()}
	for _, name := range []string{"lib", "usr"} {
		if err := os.Symlink(filepath.Join(folder, "sysroot", name), filepath.Join(m.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	// Without these, qemu shows this machine's own, and ONNX Runtime, which looks for the fields
	// of an Arm processor, crashes when it is loaded. This is a Cortex-A76: of those that
	// Debian's qemu knows the nearest to Orin's A78AE.
	var cpus strings.Builder
	for i := range 2 {
		fmt.Fprintf(&cpus, "processor\t: %d\nBogoMIPS\t: 62.50\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"+
			"CPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: 0xd0b\nCPU revision\t: 1\n\n", i)
	}
	for name, text := range map[string]string{
		"proc/cpuinfo":                    cpus.String(),
		"sys/devices/system/cpu/possible": "0-1\n",
		"sys/devices/system/cpu/present":  "0-1\n",
	} {
		path := filepath.Join(m.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// run returns what a program for arm64 prints.
func (m machine) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	return output(t, m.command(t, program, args...))
}

// command makes one that runs a program for arm64.
func (m machine) command(t *testing.T, program string, args ...string) *exec.Cmd {
	return command(t, append([]string{"qemu-aarch64-static", "-cpu", "cortex-a76", "-L", m.root, filepath.Join(m.folder, program)}, args...)...)
}

// command makes one without this project's variables, which may name libraries for another
// processor.
func command(t *testing.T, words ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	return cmd
}

// output returns what a command prints.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		// A crash of Go prints all goroutines; the first lines say what it was.
		text := stderr.Bytes()
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, text[:min(len(text), 2000)])
	}
	return string(out)
}

func starts(t *testing.T, m machine) {
	for program, args := range map[string][]string{
		"robustnet-edge": {"version"}, "robustnet-quantize": {"--version"}, "robustnet-train": {"--version"},
	} {
		text := m.run(t, program, args...)
		t.Logf("%s: %s", program, strings.TrimSpace(text))
		if program == "robustnet-edge" && !strings.Contains(text, "linux/arm64") {
			t.Errorf("%s does not say that it is for linux/arm64", program)
		}
	}
}

// loadsShim has the daemon load a library for TensorRT, which here finds none: its version is that
// in the name of the library, and named as what is missing.
func loadsShim(t *testing.T, m machine, shim string) {
	var major int
	if _, err := fmt.Sscanf(filepath.Base(shim), "librobustnet-trt%d.so", &major); err != nil {
		t.Fatal(err)
	}
	cmd := m.command(t, "robustnet-edge", "doctor", "--json", "--model", "none.engine")
	cmd.Env = append(cmd.Env, "ROBUSTNET_TENSORRT_LIBRARY="+shim)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v, want exit code 1\n%s", err, out)
	}
	var findings []struct{ What, Text string }
	if err := json.Unmarshal(out, &findings); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(findings, func(f struct{ What, Text string }) bool { return f.What == "TensorRT" })
	want := fmt.Sprintf("libnvinfer.so.%d: cannot open shared object file", major)
	if at < 0 || !strings.Contains(findings[at].Text, want) {
		t.Fatalf("the daemon says %s; want %q of TensorRT", out, want)
	}
	t.Log(findings[at].Text)
}

func showsModel(t *testing.T, m machine) {
	args := []string{"info", "../../models/default.onnx", "--layers"}
	got := m.run(t, "robustnet-quantize", args...)
	want := output(t, command(t, append([]string{filepath.Join(m.folder, "..", "robustnet-quantize")}, args...)...))
	if got != want || !strings.Contains(got, "scene-tiny") {
		t.Errorf("on arm64 info prints\n%s\nwhere this machine has\n%s", got, want)
	}
}

// segments compares the default model's masks of one street in four styles.
func segments(t *testing.T, m machine) {
	const frames = 4
	dir := t.TempDir()
	args := func(name string) []string {
		return []string{
			// A style lasts ten seconds, which at this rate is one frame.
			"--camera", "synthetic:?style=cycle&fps=0.1&pace=0&size=320x180", "--frames", strconv.Itoa(frames),
			"--output", filepath.Join(dir, name+".mp4"), "--masks", filepath.Join(dir, name),
			"--rtsp", "off", "--http", "off", "--threads", "1",
		}
	}
	start := time.Now()
	m.run(t, "robustnet-edge", args("arm64")...)
	t.Logf("%d frames under qemu in %.0f s", frames, time.Since(start).Seconds())
	output(t, command(t, append([]string{filepath.Join(m.folder, "..", "robustnet-edge")}, args("here")...)...))

	pixels, different, classes := 0, 0, map[uint8]bool{}
	for i := range frames {
		name := fmt.Sprintf("%06d.png", i)
		got, want := readMask(t, filepath.Join(dir, "arm64", name)), readMask(t, filepath.Join(dir, "here", name))
		if got.Rect != want.Rect {
			t.Fatalf("mask %d is %v on arm64 and %v here", i, got.Rect, want.Rect)
		}
		for p, class := range want.Pix {
			classes[class] = true
			if got.Pix[p] != class {
				different++
			}
		}
		pixels += len(want.Pix)
	}
	t.Logf("%d of %d pixels have another class than on this machine; %d classes are there", different, pixels, len(classes))
	if len(classes) < 5 {
		t.Errorf("the masks have %d classes, too few to say anything", len(classes))
	}
	// Sums are rounded in another order, which may tip a pixel between two classes.
	if most := pixels / 500; different > most {
		t.Errorf("more than %d pixels differ", most)
	}

	probe := output(t, command(t,
		"ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,width,height,nb_read_frames",
		"-of", "csv=print_section=0", filepath.Join(dir, "arm64.mp4"),
	))
	if got, want := strings.TrimSpace(probe), fmt.Sprintf("h264,320,180,%d", frames); got != want {
		t.Errorf("ffprobe reads %s in the recording, want %s", got, want)
	}
}

func readMask(t *testing.T, path string) *image.Gray {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	gray, ok := img.(*image.Gray)
	if !ok {
		t.Fatalf("%s is not a label image but %T", path, img)
	}
	return gray
}
