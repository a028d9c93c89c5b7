package report

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/run"
)

func sameColor(a, b color.Color) bool {
	ar, ag, ab, aa := a.RGBA()
	br, bg, bb, ba := b.RGBA()
	return [4]uint32{ar >> 8, ag >> 8, ab >> 8, aa >> 8} == [4]uint32{br >> 8, bg >> 8, bb >> 8, ba >> 8}
}

func save(t *testing.T, dir, name string, picture image.Image) string {
	t.Helper()
	folder := filepath.Join(dir, run.FiguresDir)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := png.Encode(&file, picture); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func noise(width, height int) image.Image {
	p := image.NewNRGBA(image.Rect(0, 0, width, height))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range p.Pix {
		p.Pix[i] = uint8(random.Uint32()) | uint8(i%4/3*255)
	}
	return p
}

// Labels keep their colours exactly, large or not; photographs become smaller.
func TestEmbed(t *testing.T) {
	dir := t.TempDir()
	set := labels.Cityscapes()
	drawn := image.NewRGBA(image.Rect(0, 0, 1900, 190))
	for i := range drawn.Pix {
		rgb := set.Classes[i/4%1900/100].Color
		drawn.Pix[i] = append(rgb[:], 255)[i%4]
	}
	url, err := embed(save(t, dir, "sample_0_truth.png", drawn), true)
	if err != nil {
		t.Fatal(err)
	}
	p := decoded(t, url)
	if p.Bounds().Dx() != maxWidth || p.Bounds().Dy() != 64 {
		t.Errorf("the labels are %v", p.Bounds())
	}
	for i, c := range set.Classes {
		if got := p.At((100*i+50)*maxWidth/1900, 30); !sameColor(got, color.RGBA{c.Color[0], c.Color[1], c.Color[2], 255}) {
			t.Errorf("%s is %v, want %v", c.Name, got, c.Color)
		}
	}
	url, err = embed(save(t, dir, "sample_0_image.png", noise(1200, 600)), false)
	if err != nil {
		t.Fatal(err)
	}
	file, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(url), "data:image/jpeg;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	if size, err := jpeg.DecodeConfig(bytes.NewReader(file)); err != nil || size.Width != 640 || size.Height != 320 || len(file) > 300_000 {
		t.Errorf("the photograph is %dx%d in %d bytes, %v", size.Width, size.Height, len(file), err)
	}
	if url, err := embed(save(t, dir, "sample_1_truth.png", noise(60, 40)), true); err != nil || decoded(t, url).Bounds().Dx() != 60 {
		t.Errorf("labels of many colours: %v", err)
	}
}

func TestReadPictures(t *testing.T) {
	dir := t.TempDir()
	little := image.NewGray(image.Rect(0, 0, 4, 2))
	for _, name := range []string{
		"sample_10_image.png", "sample_2_image.png", "sample_2_prediction.png", "rebuilt_0_whitened.png",
		"sample_x_image.png", "sample_2_base.png", "other.png", "worst_99999999999999999999_image.png",
	} {
		save(t, dir, name, little)
	}
	list := "sample_2\t41.26\tdusk a<b\nsample_10\tNaN\tno labels\nno line\n"
	if err := os.WriteFile(filepath.Join(dir, run.FiguresDir, run.FiguresList), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := readPictures(dir, run.Config{Labels: labels.CamVid()})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Samples) != 2 || len(p.Worst) != 0 || len(p.Rebuilt) != 1 || len(p.Samples[0].Parts) != 2 || len(p.Samples[1].Parts) != 1 {
		t.Errorf("the rows are %+v", p)
	}
	if a, b := p.Samples[0].Name, p.Samples[1].Name; a != "dusk a<b, mIoU 41.3" || b != "no labels" {
		t.Errorf("the names are %q and %q", a, b)
	}
	if alt := p.Samples[0].Parts[1].Alt; alt != "Sample 1: prediction" {
		t.Errorf("the text for the second part is %q", alt)
	}
}

func TestHostilePictures(t *testing.T) {
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, 4, 2))); err != nil {
		t.Fatal(err)
	}
	giant := bytes.Clone(file.Bytes())
	copy(giant[16:], []byte{0x7f, 0xff, 0xff, 0xff, 0x00, 0x00, 0xff, 0xff}) // the header's width and height
	for name, content := range map[string][]byte{
		"empty": nil, "text": []byte("no picture"), "cut": file.Bytes()[:file.Len()-20], "giant": giant,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := save(t, dir, "worst_0_image.png", image.NewGray(image.Rect(0, 0, 1, 1)))
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			p, err := readPictures(dir, run.Config{Labels: labels.CamVid()})
			if err == nil || !strings.Contains(err.Error(), path) || len(p.Worst) != 1 || p.Worst[0].Parts[0].Picture != "" {
				t.Errorf("read %+v, %v", p.Worst, err)
			}
		})
	}
}
