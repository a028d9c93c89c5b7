package torch_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/ranks/rankstest"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// loadVariable makes the test program load the library that it names, and print the error:
// a process has one chance.
const loadVariable = "TORCH_TEST_LOAD"

func TestMain(m *testing.M) {
	if path, ok := os.LookupEnv(loadVariable); ok {
		_, err := torch.Load(path)
		fmt.Print(errors.Is(err, torch.ErrLibrary), " ", err)
		return
	}
	rankstest.Main(m, rankstest.Roles{"collectives": collectives})
}

// run is Library.Run with two threads, for an f that must not fail.
func run(tb testing.TB, f func(s *torch.Scope)) {
	tb.Helper()
	if err := runErr(tb, f); err != nil {
		tb.Fatal(err)
	}
}

func runErr(tb testing.TB, f func(s *torch.Scope)) error {
	tb.Helper()
	return torchtest.Library(tb).Run(torch.Options{Threads: 2}, func(s *torch.Scope) error {
		f(s)
		return nil
	})
}

// ramp is a tensor of values between -1.25 and 1.25 that neighbours do not share:
// ((7i + 3) mod 11 - 5) / 4, as in the Python code that the expected values are from.
func ramp(s *torch.Scope, shape ...int) *torch.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32((i*7+3)%11-5) / 4
	}
	return s.FromFloat32(data, shape...)
}

// near compares a tensor with a shape and values that Python's torch 1.13.1 printed.
func near(t *testing.T, what string, s *torch.Scope, got *torch.Tensor, shape []int, want []float64) {
	t.Helper()
	values := s.Float64s(got)
	if err := s.Err(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if !slices.Equal(got.Shape(), shape) {
		t.Errorf("%s: shape %v, want %v", what, got.Shape(), shape)
	}
	ok := slices.EqualFunc(values, want, func(a, b float64) bool { return math.Abs(a-b) <= 2e-6*math.Max(1, math.Abs(b)) })
	if !ok {
		t.Errorf("%s:\n got %.7g\nwant %.7g", what, values, want)
	}
}

func TestLoadErrors(t *testing.T) {
	text := filepath.Join(t.TempDir(), "librobustnet-torch.so")
	if err := os.WriteFile(text, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	libm, err := filepath.Glob("/lib*/*-linux-gnu/libm.so.6")
	if err != nil || len(libm) == 0 {
		t.Fatalf("no libm: %v", err)
	}
	const step = "; run `make setup`, or install libtorch-dev and libopenblas0-pthread, run packaging/build-torch-shim.sh, and name its librobustnet-torch.so in ROBUSTNET_TORCH_LIBRARY"
	for name, c := range map[string]struct{ argument, variable, want string }{
		"nowhere":       {"", "", "true libtorch cannot be loaded: no librobustnet-torch.so in "},
		"not there":     {"/nowhere/a.so", "", "true libtorch cannot be loaded: stat /nowhere/a.so: no such file or directory" + step},
		"variable":      {"", "/nowhere/b.so", "true libtorch cannot be loaded: stat /nowhere/b.so: no such file or directory" + step},
		"not a library": {text, "", "true libtorch cannot be loaded from " + text + ": " + text + ": file too short" + step},
		"another's":     {libm[0], "", "true libtorch cannot be loaded from " + libm[0] + ": " + libm[0] + ": undefined symbol: rt_abi"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), loadVariable+"="+c.argument, "ROBUSTNET_TORCH_LIBRARY="+c.variable)
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := string(out); !strings.HasPrefix(got, c.want) || !strings.HasSuffix(got, step) || strings.Contains(got, "\n") {
				t.Errorf("got  %s\nwant %s … %s", got, c.want, step)
			}
		})
	}
}

func TestLoadIsIdempotent(t *testing.T) {
	l := torchtest.Library(t)
	again, err := torch.Load("")
	if err != nil || again != l {
		t.Errorf("Load(\"\") = %p, %v; want %p", again, err, l)
	}
	if _, err := torch.Load("/nowhere/other.so"); !errors.Is(err, torch.ErrLibrary) {
		t.Errorf("another library: %v", err)
	}
	if v := l.Version(); !strings.HasPrefix(v, "1.") && !strings.HasPrefix(v, "2.") {
		t.Errorf("version %q", v)
	}
}

func TestParseDevice(t *testing.T) {
	for name, want := range map[string]string{"cpu": "cpu", "cuda": "cuda:0", "cuda:0": "cuda:0", "cuda:127": "cuda:127"} {
		if d, err := torch.ParseDevice(name); err != nil || d.String() != want {
			t.Errorf("%q: %v, %v", name, d, err)
		}
	}
	for _, name := range []string{"", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda:128", "CUDA", "cuda:99999999999999999999"} {
		if d, err := torch.ParseDevice(name); err == nil {
			t.Errorf("%q: %v, want an error", name, d)
		}
	}
}

func TestOptionsErrors(t *testing.T) {
	l := torchtest.Library(t)
	none := func(*torch.Scope) error { t.Error("f was called"); return nil }
	if err := l.Run(torch.Options{Threads: -1}, none); err == nil {
		t.Error("-1 threads: no error")
	}
	last, err := torch.ParseDevice("cuda:127")
	if err != nil {
		t.Fatal(err)
	}
	err = l.Run(torch.Options{Device: last}, none)
	want := "sees no GPU; use cpu, or build packaging/build-torch-shim.sh with LIBTORCH set to the folder of a CUDA libtorch"
	if l.HasCUDA() {
		want = "cuda:0 to cuda:"
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("cuda:127: %v", err)
	}
}
