package augment

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/robustnet-edge/robustnet/train/internal/strictyaml"
)

func TestPublishedRecipesAreValid(t *testing.T) {
	r := Published(768)
	r.PASTA, r.FDA = PublishedPASTA(), PublishedFDA()
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}

func TestRecipesAreKept(t *testing.T) {
	r := Published(256)
	for name, r := range map[string]Recipe{"published": r, "pasta": {CropSide: 9, ScaleMin: 1, ScaleMax: 1, PASTA: PublishedPASTA(), FDA: PublishedFDA()}} {
		t.Run(name, func(t *testing.T) {
			text, err := yaml.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if name == "published" && strings.Contains(string(text), "pasta") {
				t.Errorf("what is off is written:\n%s", text)
			}
			path := filepath.Join(t.TempDir(), "recipe.yaml")
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
			var read Recipe
			if err := strictyaml.Read(path, &read); err != nil || read != r {
				t.Errorf("read %+v, %v, want %+v", read, err, r)
			}
		})
	}
}

func TestRecipesAreChecked(t *testing.T) {
	nan := math.NaN()
	for want, change := range map[string]func(*Recipe){
		"crop is 0":                       func(r *Recipe) { r.CropSide = 0 },
		"crop is 1000000":                 func(r *Recipe) { r.CropSide = 1_000_000 },
		"scale_min is 0":                  func(r *Recipe) { r.ScaleMin = 0 },
		"scale_min is 3 and scale_max 2":  func(r *Recipe) { r.ScaleMin = 3 },
		"scale_max NaN":                   func(r *Recipe) { r.ScaleMax = nan },
		"flip_probability is NaN":         func(r *Recipe) { r.FlipProbability = nan },
		"jitter.probability is -1":        func(r *Recipe) { r.Jitter.Probability = -1 },
		"jitter.brightness is 2":          func(r *Recipe) { r.Jitter.Brightness = 2 },
		"jitter.contrast is 2":            func(r *Recipe) { r.Jitter.Contrast = 2 },
		"jitter.saturation is 2":          func(r *Recipe) { r.Jitter.Saturation = 2 },
		"jitter.hue is 0.6":               func(r *Recipe) { r.Jitter.Hue = 0.6 },
		"blur.probability is 7":           func(r *Recipe) { r.Blur.Probability = 7 },
		"blur.sigma_min is -1":            func(r *Recipe) { r.Blur.SigmaMin = -1 },
		"sigma_max 1e+09":                 func(r *Recipe) { r.Blur.SigmaMax = 1e9 },
		"pasta has alpha -3 and beta 0":   func(r *Recipe) { r.PASTA.Alpha = -3 },
		"pasta.k is NaN":                  func(r *Recipe) { r.PASTA.K = nan },
		"fda.beta is 0.6":                 func(r *Recipe) { r.FDA.Beta = 0.6 },
		"fda.probability is 2":            func(r *Recipe) { r.FDA.Probability = 2 },
		"augmentation.crop is -5; take 1": func(r *Recipe) { r.CropSide = -5 },
	} {
		r := Published(64)
		change(&r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
