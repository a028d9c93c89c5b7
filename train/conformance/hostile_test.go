package conformance

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// folder is a manifest and tensors that tests edit; both are read back from disk.
type folder struct {
	manifest map[string]any
	tensors  []float32
}

// newFolder returns a small one, of which our numbers are not those.
func newFolder() *folder {
	return &folder{manifest: map[string]any{
		"trunk": "mobilenetv2", "wt_layer": []int{0, 0, 2, 0, 0, 0, 0}, "clusters": 3, "lambda": 1, "classes": 3,
		"input": []int{2, 3, 32, 32}, "tensors": map[string]any{},
		"steps": []any{map[string]any{"ce": 1.1, "aux": 1.1, "whitening": 0.1, "whitening_per_layer": []float64{0.1}, "total": 1.64}},
	}}
}

// tensor adds a tensor of the same value throughout.
func (f *folder) tensor(name string, value float32, shape ...int) {
	f.manifest["tensors"].(map[string]any)[name] = map[string]any{"shape": shape, "offset": 4 * len(f.tensors)}
	n := 1
	for _, d := range shape {
		n *= d
	}
	f.tensors = append(f.tensors, slices.Repeat([]float32{value}, n)...)
}

func (f *folder) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	manifest, err := json.Marshal(f.manifest)
	if err != nil {
		t.Fatal(err)
	}
	save(t, dir, "manifest.json", manifest)
	tensors, err := binary.Append(nil, binary.LittleEndian, f.tensors)
	if err != nil {
		t.Fatal(err)
	}
	save(t, dir, "tensors.f32", tensors)
	return dir
}

func save(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	place := func(shape []int, offset int64) func(*folder) {
		return func(f *folder) {
			f.manifest["tensors"] = map[string]any{"far": map[string]any{"shape": shape, "offset": offset}}
			f.tensors = make([]float32, 10)
		}
	}
	set := func(key string, value any) func(*folder) {
		return func(f *folder) { f.manifest[key] = value }
	}
	const far = "tensors.f32: far does not fit into the file's 40 bytes"
	for name, c := range map[string]struct {
		edit func(*folder)
		want string
	}{
		"placement":         {set("wt_layer", []int{0, 0, 2}), "wt_layer has 3 numbers, not 7"},
		"no placement":      {set("wt_layer", nil), "wt_layer has 0 numbers, not 7"},
		"text as number":    {set("classes", "19"), "manifest.json: json: cannot unmarshal"},
		"gradient by name":  {set("gradients_step0", map[string]any{"x": map[string]any{"at": map[string]any{"one": 1}}}), "manifest.json: json: "},
		"no steps":          {set("steps", []any{}), "gradients or logits of training, but no steps"},
		"relaxation":        {set("relax_denom", -1), "relax_denom -1 is negative"},
		"clusters":          {set("clusters", 1<<40), "clusters 1099511627776 are not 0 to 1024"},
		"negative clusters": {set("clusters", -3), "clusters -3 are not"},
		"no input":          {set("input", nil), "input [0 0 0 0] is not a batch"},
		"grey":              {set("input", []int{2, 1, 32, 32}), "is not a batch"},
		"negative input":    {set("input", []int{2, 3, -32, 32}), "is not a batch"},
		"vast input":        {set("input", []int{1, 3, math.MaxInt, 32}), "is not a batch"},
		"vast batch":        {set("input", []int{64, 3, 4096, 4096}), "4194304 pixels in all"},
		"beyond the end":    {place([]int{10}, 4), far},
		"far beyond":        {place([]int{1}, math.MaxInt64-3), far},
		"before the start":  {place([]int{1}, -4), far},
		"no elements":       {place([]int{0}, 0), far},
		"negative shape":    {place([]int{-1, -3}, 0), far},
		"overflowing shape": {place([]int{1 << 32, 1 << 32, 4}, 0), far},
		"nearly overflows":  {place([]int{math.MaxInt}, 0), far},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder()
			f.manifest["gradients_step0"] = map[string]any{"final2.0.bias": nil}
			c.edit(f)
			dir := f.write(t)
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "read reference folder "+dir) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// manifest replaces the manifest.
func manifest(content string) func(dir string) error {
	return func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(content), 0o600)
	}
}

func TestOpenRefusesFiles(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(dir string) error
		want   string
	}{
		"no manifest":     {func(dir string) error { return os.Remove(filepath.Join(dir, "manifest.json")) }, "manifest.json: no such file"},
		"no tensors":      {func(dir string) error { return os.Remove(filepath.Join(dir, "tensors.f32")) }, "tensors.f32: no such file"},
		"emptied":         {func(dir string) error { return os.Truncate(filepath.Join(dir, "manifest.json"), 0) }, "manifest.json: unexpected end"},
		"cut":             {func(dir string) error { return os.Truncate(filepath.Join(dir, "manifest.json"), 20) }, "manifest.json: unexpected end"},
		"Python's NaN":    {manifest(`{"classes": 3, "lambda": NaN}`), "manifest.json: invalid character 'N'"},
		"a list":          {manifest(`[1]`), "manifest.json: json: cannot unmarshal array"},
		"two values":      {manifest(`{} {}`), "manifest.json: invalid character '{' after"},
		"nested too deep": {manifest(strings.Repeat("[", 1e5)), "exceeded max depth"},
		"a folder": {func(dir string) error {
			path := filepath.Join(dir, "tensors.f32")
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		}, "is a directory"},
		"vast": {func(dir string) error { return os.Truncate(filepath.Join(dir, "tensors.f32"), 1<<40) }, "tensors.f32 is larger than 1 GiB"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newFolder().write(t)
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestCheckRefuses has folders that can be read and not be computed.
func TestCheckRefuses(t *testing.T) {
	lib := torchtest.Library(t)
	for name, c := range map[string]struct {
		edit func(*folder)
		want string
	}{
		"trunk":      {func(f *folder) { f.manifest["trunk"] = "VGG-16" }, `trunk "vgg16" is unknown`},
		"no trunk":   {func(f *folder) { delete(f.manifest, "trunk") }, `trunk "" is unknown`},
		"norm":       {func(f *folder) { f.manifest["wt_layer"] = []int{0, 0, 7, 0, 0, 0, -1 << 40} }, "there is no norm 7"},
		"no classes": {func(f *folder) { f.manifest["classes"] = -1 }, "-1 classes: 1 to 255 are possible"},
		"stride":     {func(f *folder) { f.manifest["output_stride"] = 0 }, "choose 8, 16 or 32"},
		"no masks":   {func(*folder) {}, "whiten layer0.1 selectively: it has no mask"},
		"clusters": {func(f *folder) {
			f.manifest["clusters"] = 1
			f.tensor("mask_after_trial0_layer0", 0, 16, 16)
		}, "1 clusters select nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder()
			c.edit(f)
			r, err := Open(f.write(t))
			if err != nil {
				t.Fatal(err)
			}
			if report, err := Check(lib, r, torch.Device{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("report %v, error %v; want one with %q", report, err, c.want)
			}
		})
	}
}

// TestCheckFails has a folder in which every quantity is wrong in its own way.
func TestCheckFails(t *testing.T) {
	lib := torchtest.Library(t)
	f := newFolder()
	f.tensor("eval_logits_image0", 1, 3, 32, 31)
	f.tensor("mask_after_trial0_layer0", 1, 4)
	f.tensor("trial0_layer0_mean_variance", float32(math.NaN()), 16, 16)
	f.tensor("mask_after_trial1_layer0", float32(math.NaN()), 16, 16)
	f.tensor("train_step0_layer0_covariance", float32(math.Inf(1)), 2, 16, 16)
	f.tensor(finalLogitsName, 1, 3, 32, 32)
	f.manifest["mask_ones"] = []int{1 << 40, 1}
	f.manifest["eval_argmax_hist"] = []int{-5, 1 << 30, 0, 0, 7}
	f.manifest["gradients_step0"] = map[string]any{
		"fc.weight": nil, "layer0.0.0.weight": nil,
		"final2.0.bias": map[string]any{"l2": -1, "sum": 1e300, "at": map[string]float64{"0": 9, "3": 0, "-1": 0}},
	}
	f.manifest["steps"] = []any{map[string]any{"whitening_per_layer": []float64{1, 2, 3}}}
	r, err := Open(f.write(t))
	if err != nil {
		t.Fatal(err)
	}
	report, err := Check(lib, r, torch.Device{})
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, l := range report.Failures().Lines {
		quantity, _, _ := strings.Cut(l.Quantity, " entries differ")
		failed = append(failed, quantity)
	}
	for _, want := range []string{
		"params_total", "params_inference", "eval_logits_sum", "eval_argmax_hist class 0", "eval_argmax_hist class 1", "eval_argmax_hist class 4",
		"eval_logits_image0 (number of values)", "trial0_layer0_mean_variance", "mask_after_trial0_layer0 (number of entries)",
		"mask_after_trial1_layer0 (256", "mask_ones layer 0", "mask_ones layer 1",
		"step 0 ce", "step 0 aux", "step 0 whitening", "step 0 whitened layers", "step 0 whitening layer 0", "step 0 total", "train_step0_layer0_covariance",
		"gradient fc.weight (parameter exists)", "gradient layer0.0.0.weight (exists)", "gradient final2.0.bias l2", "gradient final2.0.bias sum",
		"gradient final2.0.bias [0]", "gradient final2.0.bias [3]", "gradient final2.0.bias [-1]", finalLogitsName + " (number of values)",
	} {
		if !slices.Contains(failed, want) {
			t.Errorf("%q does not fail, but\n  %s", want, strings.Join(failed, "\n  "))
		}
	}
}

// TestCheckSmallest computes a batch of one picture of the smallest size, whose norms have a
// single value.
func TestCheckSmallest(t *testing.T) {
	f := newFolder()
	f.manifest["wt_layer"], f.manifest["input"] = make([]int, 7), []int{1, 3, 8, 8}
	r, err := Open(f.write(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Check(torchtest.Library(t), r, torch.Device{}); err == nil || !strings.Contains(err.Error(), "sees one value of each channel") {
		t.Errorf("error %v, want one about batch norms of a single value", err)
	}
}

func FuzzParse(f *testing.F) {
	small := newFolder()
	small.tensor("a", 1, 2, 2)
	seed, err := json.Marshal(small.manifest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, make([]byte, 16))
	f.Add([]byte(`{"wt_layer":[0,0,1,2,3,4,5],"trunk":"ResNet-101","classes":255,"input":[1,3,9,11],"tensors":{"a":{"shape":[1],"offset":1}}}`), []byte("\x00\x00\x00\xc0\x7f"))
	f.Add([]byte(`{"wt_layer":[0,0,0,0,0,0,0],"input":[2,3,8,8],"tensors":{"a":{"shape":[],"offset":-1}}}`), []byte{})
	f.Fuzz(func(t *testing.T, manifest, tensors []byte) {
		r, err := parse(manifest, tensors)
		if err != nil {
			return
		}
		if _, err := nn.New(r.Spec()); err == nil && (r.Classes < 1 || r.Classes > 255) {
			t.Errorf("a network of %d classes", r.Classes)
		}
		report := &Report{}
		for name := range r.Tensors {
			values := r.tensor(name)
			zeros := make([]float32, len(values))
			report.values(name, values, zeros, valueTolerance)
			equal := slices.Equal(values, zeros)
			if report.Lines[len(report.Lines)-1].OK() != equal {
				t.Errorf("%v compares with zeros as %v", values, !equal)
			}
			report.mask(name, values, make([]uint8, len(values)))
			if report.Lines[len(report.Lines)-1].OK() != equal {
				t.Errorf("%v compares with no flags as %v", values, !equal)
			}
		}
		if err := report.Write(&strings.Builder{}); err != nil {
			t.Error(err)
		}
	})
}
