package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// Two label images of 4×2 pixels and masks of half their size. By hand, with 3 classes:
//
//	first:  0 0 1 1   mask 0 1   second: 2 2 2 2   mask 2 0
//	        0 0 1 3                      2 2 1 1
//
// class 0: 4 of 8 (4 right, the second picture's right half is 0, too)
// class 1: 3 of 5, class 2: 4 of 6; mean 58.89
var (
	first  = gray(4, 0, 0, 1, 1, 0, 0, 1, 3)
	second = gray(4, 2, 2, 2, 2, 2, 2, 1, 1)
	maskA  = gray(2, 0, 1)
	maskB  = gray(2, 2, 0)
)

const want3 = `  class  IoU %  pixels %
      0  50.00     26.67
      1  60.00     33.33
      2  66.67     40.00

images 2, pixel accuracy 73.33 %, mean IoU 58.89 %
`

func TestScore(t *testing.T) {
	tests := map[string]struct {
		masks map[string]image.Image
		list  string
		flags []string
		code  int
		out   string
		err   string
	}{
		"by name": {
			masks: map[string]image.Image{"x.png": maskA, "y.png": maskB},
			flags: []string{"--classes", "3"}, out: want3,
		},
		"by number": {
			masks: map[string]image.Image{"000000.png": maskB, "000001.png": maskA},
			list:  "y\r\n\n x \n", flags: []string{"--classes", "3"}, out: want3,
		},
		"list of names": {
			masks: map[string]image.Image{"x.png": maskA, "y.png": maskB, "other.png": maskB},
			list:  "x\ny\n", flags: []string{"--classes", "3"}, out: want3,
		},
		"palette": {
			masks: map[string]image.Image{"x.png": paletted(2, 0, 1), "y.png": maskB},
			flags: []string{"--classes", "3"}, out: want3,
		},
		"as the card says": {
			masks: map[string]image.Image{"x.png": maskA, "y.png": maskB},
			flags: []string{"--card", "model.onnx", "--domain", "near"},
			out:   strings.NewReplacer("      0", "      a", "      1", "      b", "      2", "      c").Replace(want3) + "the card states 58.50 % on near, +0.39 points away\n",
		},
		"not as the card says": {
			masks: map[string]image.Image{"x.png": maskA, "y.png": maskB},
			flags: []string{"--card", "model.onnx", "--domain", "far"}, code: 3,
			out: strings.NewReplacer("      0", "      a", "      1", "      b", "      2", "      c").Replace(want3),
			err: "miou: the accuracy is not the card's: the card states 60.00 % on far, which is -1.11 points away; 0.5 are accepted\n",
		},
		"tolerance": {
			masks: map[string]image.Image{"x.png": maskA, "y.png": maskB},
			flags: []string{"--card", "model.onnx", "--domain", "far", "--tolerance", "2"},
			out:   strings.NewReplacer("      0", "      a", "      1", "      b", "      2", "      c").Replace(want3) + "the card states 60.00 % on far, -1.11 points away\n",
		},
		"which domain": {
			flags: []string{"--card", "model.onnx"}, code: 1,
			err: `miou: the card states no accuracy on ""; choose one of ["far" "near"] with --domain` + "\n",
		},
		"other classes than the card": {
			flags: []string{"--card", "model.onnx", "--classes", "2"}, code: 1,
			err: "miou: the card names 3 classes, but --classes is 2\n",
		},
		"mask missing": {
			masks: map[string]image.Image{"000000.png": maskA},
			list:  "x\ny", flags: []string{"--classes", "3"}, code: 1,
			err: "miou: read mask: masks/000001.png: no such file or directory\n",
		},
		"label missing": {
			masks: map[string]image.Image{"z.png": maskA},
			flags: []string{"--classes", "3"}, code: 1,
			err: "miou: read labels: labels/z.png: no such file or directory\n",
		},
		"no masks": {flags: []string{"--classes", "3"}, code: 1, err: "miou: find masks: there is no PNG file in masks\n"},
		"class out of range": {
			masks: map[string]image.Image{"x.png": gray(2, 0, 7)},
			flags: []string{"--classes", "3"}, code: 1,
			err: "miou: score masks/x.png against labels/x.png: compare labels: pixel 2 has the predicted label 7, but classes are 0 to 2\n",
		},
		"colours": {
			masks: map[string]image.Image{"x.png": image.NewRGBA(image.Rect(0, 0, 2, 1))},
			flags: []string{"--classes", "3"}, code: 1,
			err: "miou: read mask: masks/x.png: the pixels are neither greys nor of a palette, so they are no ids\n",
		},
		"no folders":      {flags: []string{"--labels="}, code: 2, err: "miou: name both folders with --labels and --masks\n"},
		"no classes":      {code: 2, err: "miou: give the number of classes with --classes, or a model file with --card\n"},
		"class ignored":   {flags: []string{"--classes", "11", "--ignore", "3"}, code: 2, err: "miou: --ignore 3 is one of the classes 0 to 10\n"},
		"unknown flag":    {flags: []string{"--class", "11"}, code: 2, err: "miou: unknown flag: --class\n"},
		"stray argument":  {flags: []string{"--classes", "3", "labels"}, code: 2, err: "miou: \"labels\" is not a flag\n"},
		"not a tolerance": {flags: []string{"--classes", "3", "--tolerance", "NaN"}, code: 2, err: "miou: --tolerance NaN: points are 0 or more\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writePNGs(t, "labels", map[string]image.Image{"x.png": first, "y.png": second})
			writePNGs(t, "masks", tt.masks)
			writeFile(t, "model.onnx", trttest.Model(trttest.Options{Classes: 3, EditCard: func(c *trt.Card) {
				c.Accuracy["near"] = trt.Accuracy{MIoU: 58.5}
				c.Accuracy["far"] = trt.Accuracy{MIoU: 60}
			}}))
			args := []string{"--labels", "labels", "--masks", "masks", "--ignore", "3"}
			if tt.list != "" {
				writeFile(t, "list.txt", []byte(tt.list))
				args = append(args, "--list", "list.txt")
			}
			var out, errs bytes.Buffer
			code := run(append(args, tt.flags...), &out, &errs)
			if code != tt.code {
				t.Errorf("exit code = %d, want %d", code, tt.code)
			}
			if out.String() != tt.out {
				t.Errorf("output:\n%s\nwant:\n%s", out.String(), tt.out)
			}
			if errs.String() != tt.err {
				t.Errorf("error output:\n%s\nwant:\n%s", errs.String(), tt.err)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"--help"}, &out, &errs); code != 0 {
		t.Errorf("exit code = %d, want 0", code)
	}
	for _, want := range []string{"--tolerance points", "Exit codes: 0 scored", "(default 0.5)"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("help lacks %q:\n%s", want, errs.String())
		}
	}
}

func gray(width int, pix ...uint8) *image.Gray {
	return &image.Gray{Pix: pix, Stride: width, Rect: image.Rect(0, 0, width, len(pix)/width)}
}

func paletted(width int, pix ...uint8) *image.Paletted {
	return &image.Paletted{
		Pix: pix, Stride: width, Rect: image.Rect(0, 0, width, len(pix)/width),
		Palette: color.Palette{color.White, color.Black, color.RGBA{R: 9, A: 255}},
	}
}

func writePNGs(t *testing.T, folder string, images map[string]image.Image) {
	t.Helper()
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, img := range images {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(folder, name), b.Bytes())
	}
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
