//go:build !race

// The race detector takes several times the memory that is measured here.

package pth

import (
	"archive/zip"
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestMain can read a checkpoint and print the most memory that it took, instead
// of running tests: only a process of its own has a peak of its own.
func TestMain(m *testing.M) {
	path := os.Getenv("PTH_MEASURE")
	if path == "" {
		os.Exit(m.Run())
	}
	f, err := Open(path)
	if err == nil {
		for _, tensor := range f.Tensors() {
			if _, err = f.Float32s(tensor.Name); err != nil {
				break
			}
		}
	}
	status, statusErr := os.ReadFile("/proc/self/status")
	fmt.Printf("%s\nstatus: %v\noutcome: %v\n", status, statusErr, err)
}

// peakBytes reads a checkpoint in another process and expects an error, or "<nil>".
func peakBytes(t *testing.T, path, wantError string) int64 {
	t.Helper()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the peak of resident memory is read from /proc")
	}
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "PTH_MEASURE="+path)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if _, outcome, _ := strings.Cut(string(output), "\noutcome: "); !strings.Contains(outcome, wantError) {
		t.Fatalf("want the error %q, got %s", wantError, outcome)
	}
	for line := range strings.Lines(string(output)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("peak %.1f MiB", float64(kib)/1024)
			return kib << 10
		}
	}
	t.Fatalf("no peak in %s", output)
	return 0
}

// programBytes is what the test program takes before it opens anything.
const programBytes = 16 << 20

func TestPeakMemoryIsTwiceTheFile(t *testing.T) {
	const megabytes = 64
	for name, c := range map[string]struct {
		class         string
		bytes, pieces int64
		stride        []int64 // of a matrix with 16 rows
	}{
		"one float32":        {"FloatStorage", 4, 1, nil},
		"one float16":        {"HalfStorage", 2, 1, nil},
		"one transposed":     {"FloatStorage", 4, 1, []int64{1, 16}},
		"sixteen float32":    {"FloatStorage", 4, 16, nil},
		"sixteen transposed": {"HalfStorage", 2, 16, []int64{1, 16}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "large.pth")
			elements := megabytes << 20 / c.pieces / c.bytes
			pickle := new(assemble).op("\x80\x02}")
			for i := range c.pieces {
				stride := c.stride
				if stride == nil {
					stride = []int64{elements / 16, 1}
				}
				pickle.text(fmt.Sprint("w", i)).tensor(c.class, fmt.Sprint(i), elements, 0, []int64{16, elements / 16}, stride).op("s")
			}
			writeLarge(t, path, pickle.op(".").Bytes(), c.pieces, elements*c.bytes)
			if got, limit := peakBytes(t, path, "<nil>"), int64(2*megabytes<<20+programBytes); got > limit {
				t.Errorf("peak %d bytes, want at most %d", got, limit)
			}
		})
	}
}

// writeLarge writes a checkpoint of storages of zeros.
func writeLarge(t *testing.T, path string, pickle []byte, storages, bytesEach int64) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	buffered := bufio.NewWriter(file)
	w := zip.NewWriter(buffered)
	for i := int64(-1); i < storages; i++ {
		name, content := fmt.Sprint("m/data/", i), make([]byte, bytesEach)
		if i < 0 {
			name, content = "m/data.pkl", pickle
		}
		e, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := buffered.Flush(); err != nil {
		t.Fatal(err)
	}
}

// costlyPickles repeat what costs most memory to so many opcodes.
func costlyPickles(opcodes int) map[string]string {
	fill := func(each int, piece func(i int) string) string {
		a := new(assemble).op("\x80\x02")
		for i := range (opcodes - 100) / each {
			a.op(piece(i))
		}
		return a.op(".").String()
	}
	constant := func(piece string) func(int) string { return func(int) string { return piece } }
	remembered := func(i int) string { return "]r" + string([]byte{byte(i), byte(i >> 8), byte(i >> 16), 0}) }
	text := new(assemble).op("\x80\x02").text(strings.Repeat("x", 48*opcodes)).op("0").String()
	empty := new(assemble).op("\x80\x02}").tensor("FloatStorage", "0", 0, 0,
		[]int64{0, 1, 1, 1, 1, 1, 1, 1}, make([]int64, 8)).op("q\x000").String()
	return map[string]string{
		"marks":         fill(1, constant("(")),
		"lists":         fill(1, constant("]")),
		"classes":       fill(1, constant("c\n\n")),
		"integers":      fill(1, constant("J\xff\xff\xff\x00")),
		"tuples":        fill(2, constant("]\x85")),
		"dicts":         fill(4, constant("}NNs")),
		"calls":         fill(4, constant("ca\nb\n]\x85R")),
		"memo":          fill(2, remembered),
		"memo and text": text + fill(2, remembered),
		"storages": fill(8, func(i int) string {
			return new(assemble).storage("FloatStorage", fmt.Sprint(i), 1).String()
		}),
		"references": new(assemble).op("\x80\x02(").text("storage").op("c\n"+strings.Repeat("\xff", maxClassBytes)+"\n").
			text("0").text("cpu").int(1).op("tq\x00").String() + fill(2, constant("h\x00Q")),
		"entries":       "\x80\x02}" + fill(3, func(i int) string { return new(assemble).text(fmt.Sprint(i)).op("Ns").String() })[2:],
		"empty tensors": empty + fill(3, func(i int) string { return new(assemble).text(fmt.Sprint(i)).op("h\x00s").String() })[2:],
	}
}

func TestPeakMemoryOfHostileFiles(t *testing.T) {
	for name, pickle := range costlyPickles(maxOpcodes) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hostile.pth")
			if err := os.WriteFile(path, checkpoint(t, pickle, 24<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, limit := peakBytes(t, path, ""), int64(maxOpenBytes+programBytes); got > limit {
				t.Errorf("peak %d bytes, want at most %d", got, limit)
			}
		})
	}
}

// maxOpenBytes is what the package promises for Open.
const maxOpenBytes = 64 << 20

// TestHostileFilesAllocateTwiceTheirSize counts what Open allocates, garbage included: files
// with as many opcodes as their size allows, and some more.
func TestHostileFilesAllocateTwiceTheirSize(t *testing.T) {
	files := map[string][]byte{}
	for _, c := range []struct{ opcodes, padding int }{{4200, 16}, {4200, 20 << 10}, {30000, 16}, {30000, 2 << 20}} {
		for name, pickle := range costlyPickles(c.opcodes) {
			files[fmt.Sprintf("%s: %d opcodes, %d bytes of data", name, c.opcodes, c.padding)] = checkpoint(t, pickle, c.padding)
		}
	}
	for _, entries := range []int{400, 5000} {
		crowd := map[string][]byte{}
		for i := range entries {
			crowd[fmt.Sprint(i)] = nil
		}
		files[fmt.Sprintf("directory of %d", entries)] = zipOf(t, crowd)
	}
	for name, content := range files {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readBytes(content)
		runtime.ReadMemStats(&after)
		got, limit := after.TotalAlloc-before.TotalAlloc, uint64(2*len(content)+1<<20)
		if got > limit {
			t.Errorf("%s: %d bytes allocated, want at most %d (%v)", name, got, limit, err)
		}
	}
}
