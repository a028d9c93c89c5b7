package nvinfer_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt/nvinfer/faketest"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// TestShimWithFake walks through the shim, with the sanitizers, against a TensorRT that needs no
// GPU, for each folder of headers in TENSORRT_INCLUDE.
func TestShimWithFake(t *testing.T) {
	folders := faketest.Headers(t)
	runtime := trttest.Library(t)
	driver, files := filepath.Join(t.TempDir(), "driver"), shimFiles(t)
	command(t, nil, "c++", "-std=c++17", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
		"-o", driver, "fake/driver.cpp", "-ldl")
	for _, folder := range folders {
		t.Run(strings.Trim(folder, "/"), func(t *testing.T) {
			shim := faketest.Shim(t, folder, true)
			fake := filepath.Dir(shim)
			environment := []string{"LD_LIBRARY_PATH=" + fake, "ROBUSTNET_MODEL_LIBRARY=" + runtime, "FAKE_CUDA_CHECK=1",
				"LSAN_OPTIONS=print_suppressions=0:suppressions=" + filepath.Join(files, "suppressions")}
			out := command(t, environment, driver, shim, "walk", files)
			if !strings.Contains(out, "fake CUDA: nothing leaked") {
				t.Errorf("the driver said\n%s", out)
			}
			t.Logf("TensorRT %s", strings.Fields(out)[0])
			checkMissing(t, driver, shim, fake)
		})
	}
}

// checkMissing takes the libraries away, one after the other.
func checkMissing(t *testing.T, driver, shim, fake string) {
	entries, err := filepath.Glob(filepath.Join(fake, "lib[cn]*.so*"))
	if err != nil || len(entries) != 4 {
		t.Fatalf("libraries %v, %v", entries, err)
	}
	for i, missing := range entries {
		dir := t.TempDir()
		for _, path := range slices.Delete(slices.Clone(entries), i, i+1) {
			if path, err = filepath.Abs(path); err == nil {
				err = os.Symlink(path, filepath.Join(dir, filepath.Base(path)))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		// The shim finds what lies beside it.
		alone := filepath.Join(t.TempDir(), filepath.Base(shim))
		text, err := os.ReadFile(shim)
		if err == nil {
			err = os.WriteFile(alone, text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(missing), ".so")
		command(t, []string{"LD_LIBRARY_PATH=" + dir}, driver, alone, "missing", name+".so")
	}
}

// shimFiles makes a folder with what the driver reads: models, and a picture at two sizes with
// the mask that it has.
func shimFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text := trttest.Model(trttest.Options{})
	write("model.onnx", text)
	write("suppressions", []byte("leak:libonnxruntime\n")) // which leaks 14 bytes once
	m, err := onnx.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Graph.Nodes {
		if n.Op == "ArgMax" {
			n.Op, n.Name = "ArgMix", "nearest"
		}
	}
	if text, err = m.Marshal(); err != nil {
		t.Fatal(err)
	}
	write("broken.onnx", text)

	const width, height = 24, 18 // of the mask
	classes := trttest.Classes(11)
	mask, image, twice := make([]byte, width*height), make([]byte, 2*width*2*height*3), make([]byte, 4*width*4*height*3)
	for i := range mask {
		mask[i] = byte(i % len(classes))
	}
	for i := range image {
		x, y, c := i/3%(2*width), i/3/(2*width), i%3
		image[i] = classes[mask[y/2*width+x/2]].Color[c]
	}
	for i := range twice { // blue, green, red
		x, y, c := i/3%(4*width), i/3/(4*width), i%3
		twice[i] = image[(y/2*2*width+x/2)*3+2-c]
	}
	write("mask", mask)
	write("image", image)
	write("twice", twice)
	return dir
}

// command runs a program with variables added to the environment, and returns what it says.
func command(t *testing.T, environment []string, name string, arguments ...string) string {
	t.Helper()
	cmd := exec.Command(name, arguments...)
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out))
	}
	return string(out)
}
