package nvinfer_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/pixels"
)

// TestScale compares the code of the GPU's kernel, compiled for the CPU, with OpenCV's: a level
// of difference at most in noise, the hardest picture that there is.
func TestScale(t *testing.T) {
	program := filepath.Join(t.TempDir(), "scale")
	if out, err := exec.Command("c++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-o", program, "shimtest/testdata/scale.cpp").CombinedOutput(); err != nil {
		t.Fatalf("compile the kernel: %v\n%s", err, out)
	}
	const toWidth, toHeight = 48, 36
	for name, size := range map[string][2]int{
		"unscaled": {48, 36}, "larger": {78, 50}, "smaller": {32, 12}, "wider and lower": {90, 20}, "twice": {96, 72}, "two and two thirds": {128, 96},
		"two and a half": {122, 92}, "four times": {192, 144}, "720p": {1280, 720}, "eight times": {384, 288}, "sixteen times": {768, 576}, "only wide enough": {96, 50},
		"three times": {144, 108}, "much lower": {100, 540},
	} {
		for format, yuv := range []gocv.ColorConversionCode{-1, gocv.ColorYUVToBGRYUY2, gocv.ColorYUVToBGRNV12} {
			t.Run(fmt.Sprintf("%s in format %d", name, format), func(t *testing.T) {
				raw, bgr := noisy(t, size, format, yuv)
				cmd := exec.Command(program, strconv.Itoa(size[0]), strconv.Itoa(size[1]), strconv.Itoa(format), strconv.Itoa(toWidth), strconv.Itoa(toHeight))
				cmd.Stdin = bytes.NewReader(raw)
				got, err := cmd.Output()
				if err != nil {
					var exit *exec.ExitError
					errors.As(err, &exit)
					t.Fatalf("%v\n%s", err, exit.Stderr)
				}
				in, err := pixels.NewInput(trt.CardSize{Height: toHeight, Width: toWidth}, make([]byte, toHeight*toWidth*3))
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				if err := in.Fill(&camera.Frame{Pix: bgr, Width: size[0], Height: size[1]}); err != nil {
					t.Fatal(err)
				}
				if len(got) != len(in.Pixels()) {
					t.Fatalf("%d bytes, want %d", len(got), len(in.Pixels()))
				}
				differ, worst := 0, 0
				for i, want := range in.Pixels() {
					d := max(int(got[i])-int(want), int(want)-int(got[i]))
					worst = max(worst, d)
					if d > 0 {
						differ++
					}
				}
				t.Logf("%d of %d values differ", differ, len(got))
				if worst > 1 {
					t.Errorf("a value differs by %d levels, want 1 at most", worst)
				}
			})
		}
	}
}

// noisy returns a frame of random bytes in a format, and what OpenCV makes of it.
func noisy(t *testing.T, size [2]int, format int, code gocv.ColorConversionCode) (raw, bgr []byte) {
	t.Helper()
	width, height := size[0], size[1]
	bytes := map[int]int{0: 3 * width * height, 1: 2 * width * height, 2: 3 * width * height / 2}[format]
	rng := rand.New(rand.NewPCG(1, uint64(width)))
	raw = make([]byte, bytes)
	for i := range raw {
		raw[i] = byte(rng.IntN(256))
	}
	if format == 0 {
		return raw, raw
	}
	rows, kind := height, gocv.MatTypeCV8UC2
	if format == 2 {
		rows, kind = height*3/2, gocv.MatTypeCV8UC1
	}
	src, err := gocv.NewMatFromBytes(rows, width, kind, raw)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst := gocv.NewMat()
	defer dst.Close()
	gocv.CvtColor(src, &dst, code)
	return raw, dst.ToBytes()
}
