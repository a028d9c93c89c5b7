package data_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/train/data"
)

// photo is a picture with flat, smooth and rough parts.
func photo(width, height int, seed uint64) *image.RGBA {
	rng := rand.New(rand.NewPCG(seed, 0))
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		x, y := i%width, i/width
		p := [3]int{120 + 100*y/height, 160, 220 - 60*y/height} // sky
		if y > height/3 && x/50%2 == 0 {
			p = [3]int{90 + x/50*7%100, 80, 70}
		}
		if y > height/2 {
			grain := rng.IntN(40)
			p = [3]int{60 + grain, 60 + grain, 70 + grain}
		}
		copy(img.Pix[4*i:], []uint8{uint8(p[0]), uint8(p[1]), uint8(p[2]), 255})
	}
	return img
}

// jpegs are the kinds of JPEG files that programs write.
func jpegs(t *testing.T) map[string][]byte {
	img := photo(480, 360, 1)
	grey := image.NewGray(img.Rect)
	for i := range grey.Pix {
		grey.Pix[i] = img.Pix[4*i]
	}
	files := map[string][]byte{}
	for name, img := range map[string]image.Image{"colour": img, "grey": grey, "flat": image.NewGray(img.Rect)} {
		var file bytes.Buffer
		if err := jpeg.Encode(&file, img, &jpeg.Options{Quality: 92}); err != nil {
			t.Fatal(err)
		}
		files[name] = file.Bytes()
	}
	m, err := gocv.NewMatFromBytes(360, 480, gocv.MatTypeCV8UC4, img.Pix)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	gocv.CvtColor(m, &m, gocv.ColorRGBAToBGR)
	for name, params := range map[string][]int{
		"OpenCV's":    {gocv.IMWriteJpegQuality, 92},
		"progressive": {gocv.IMWriteJpegProgressive, 1},
		"optimised":   {gocv.IMWriteJpegOptimize, 1},
		"restarts":    {gocv.IMWriteJpegRstInterval, 30},
	} {
		buffer, err := gocv.IMEncodeWithParams(gocv.JPEGFileExt, m, params)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = slices.Clone(buffer.GetBytes())
		buffer.Close()
	}
	return files
}

// faults are those that Check finds in unlabelled pictures.
func faults(t *testing.T, dir string) []string {
	t.Helper()
	r, err := data.Check(t.Context(), "camvid="+dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.Faults
}

// TestSoundJPEGs wants no fault in files that only look odd.
func TestSoundJPEGs(t *testing.T) {
	files := jpegs(t)
	whole := files["colour"]
	data, end := whole[:len(whole)-2], whole[len(whole)-2:]
	files["appended"] = append(slices.Clone(whole), "by a camera"...)
	files["fill bytes"] = slices.Concat(data, bytes.Repeat([]byte{0xff}, 100), end)
	files["aligned"] = slices.Concat(data, make([]byte, 15), end)
	files["small"] = jpg(t, 1)
	images := tree{}
	for name, content := range files {
		images["images/"+name+".jpg"] = content
	}
	if got := faults(t, images.in(t, t.TempDir())); len(got) > 0 {
		t.Errorf("faults of sound files:\n%s", strings.Join(got, "\n"))
	}
}

// TestDamagedJPEGs damages a block of a disk at several places, which OpenCV makes pictures of.
// Zeros can be the data of a progressive file.
func TestDamagedJPEGs(t *testing.T) {
	const block = 4096
	damages := map[string]func(content []byte, at int) []byte{
		"cut":   func(content []byte, at int) []byte { return slices.Delete(content, at, at+block) },
		"zeros": func(content []byte, at int) []byte { clear(content[at : at+block]); return content },
		"noise": func(content []byte, at int) []byte {
			rng := rand.New(rand.NewPCG(uint64(at), 0))
			for i := range block {
				content[at+i] = uint8(rng.Uint32())
			}
			return content
		},
	}
	files := jpegs(t)
	delete(files, "flat")
	for name, whole := range files {
		path := filepath.Join(tree{"images/x.jpg": whole}.in(t, t.TempDir()), "images/x.jpg")
		for damage, done := range damages {
			if name == "progressive" && damage == "zeros" {
				continue
			}
			for at := len(whole) / 10; at < len(whole)-block-100; at += len(whole) / 10 {
				if err := os.WriteFile(path, done(slices.Clone(whole), at), 0o644); err != nil {
					t.Fatal(err)
				}
				got := faults(t, filepath.Dir(filepath.Dir(path)))
				if len(got) != 1 || !strings.HasPrefix(got[0], path+": ") {
					t.Errorf("%s: %s of %d bytes at %d of %d: faults %q", name, damage, block, at, len(whole), got)
				}
			}
		}
	}
}

// TestDamagedPNG: checksums tell of every damage to the pixels, without Check.
func TestDamagedPNG(t *testing.T) {
	whole := encode(t, photo(96, 64, 2))
	for at := 45; at < len(whole)-16; at += len(whole) / 50 {
		content := slices.Clone(whole)
		content[at] ^= 1
		path := file(t, "x.png", content)
		if _, _, _, err := data.ReadRGB(path); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("byte %d of %d damaged: error %v", at, len(whole), err)
		}
	}
}
