// Package conformance compares our networks, whitening, gradients and optimiser with numbers
// that the published implementation computed, folder by folder.
package conformance

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/robustnet-edge/robustnet/train/nn"
)

// Reference is one folder: manifest.json and the tensors it speaks of, tensors.f32.
type Reference struct {
	Trunk        string  `json:"trunk"`
	Placement    []int   `json:"wt_layer"`
	RelaxDenom   float64 `json:"relax_denom"`
	Clusters     int     `json:"clusters"`
	Input        [4]int  `json:"input"` // batch, 3, height, width
	Classes      int     `json:"classes"`
	OutputStride int     `json:"output_stride"` // 16 when missing
	WhitenWeight float64 `json:"lambda"`

	ParamsTotal     int     `json:"params_total"`
	ParamsInference int     `json:"params_inference"`
	EvalLogitsSum   float64 `json:"eval_logits_sum"`
	EvalArgmaxHist  []int   `json:"eval_argmax_hist"`
	MaskOnes        []int   `json:"mask_ones"`
	Steps           []Step  `json:"steps"`
	// Gradients holds those of the first step by key; nil for a parameter without one.
	Gradients map[string]*Gradient `json:"gradients_step0"`
	Tensors   map[string]struct {
		Shape  []int `json:"shape"`
		Offset int64 `json:"offset"`
	} `json:"tensors"`

	data []byte
}

// Step holds the losses of one training step, before the weights moved.
type Step struct {
	CE             float64   `json:"ce"`
	Aux            float64   `json:"aux"`
	Whitening      float64   `json:"whitening"`
	WhiteningLayer []float64 `json:"whitening_per_layer"`
	Total          float64   `json:"total"`
}

// Gradient summarises a parameter's gradient.
type Gradient struct {
	L2  float64         `json:"l2"`
	Sum float64         `json:"sum"`
	At  map[int]float64 `json:"at"` // by flat index
}

// maxFile bounds what is read into memory, maxPixels the batch and maxClusters the time that
// k-means takes.
const (
	maxFile     = 1 << 30
	maxPixels   = 1 << 22
	maxClusters = 1 << 10
)

// Open reads the folder and checks that it is complete.
func Open(dir string) (*Reference, error) {
	r, err := open(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read reference folder %s: %w; a reference folder holds manifest.json and tensors.f32", dir, err)
	case err != nil:
		return nil, fmt.Errorf("read reference folder %s: %w", dir, err)
	}
	return r, nil
}

func open(dir string) (*Reference, error) {
	manifest, err := readFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return nil, err
	}
	tensors, err := readFile(filepath.Join(dir, "tensors.f32"))
	if err != nil {
		return nil, err
	}
	return parse(manifest, tensors)
}

// parse takes the contents of the two files.
func parse(manifest, tensors []byte) (*Reference, error) {
	r := &Reference{OutputStride: 16, data: tensors}
	if err := json.Unmarshal(manifest, r); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	return r, r.check()
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is larger than 1 GiB", path)
	}
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// check reports everything in the manifest that cannot be worked with.
func (r *Reference) check() error {
	var errs []error
	if len(r.Placement) != len(nn.Placement{}) {
		errs = append(errs, fmt.Errorf("manifest.json: wt_layer has %d numbers, not %d", len(r.Placement), len(nn.Placement{})))
	}
	if in := r.Input; in[0] < 1 || in[0] > 64 || in[1] != 3 || in[2] < 8 || in[3] < 8 || in[2] > 4096 || in[3] > 4096 || in[0]*in[2]*in[3] > maxPixels {
		errs = append(errs, fmt.Errorf("manifest.json: input %v is not a batch of up to 64 pictures with 3 channels, sides of 8 to 4096 and %d pixels in all", in, maxPixels))
	}
	if r.RelaxDenom < 0 || r.Clusters < 0 || r.Clusters > maxClusters {
		errs = append(errs, fmt.Errorf("manifest.json: relax_denom %v is negative, or clusters %d are not 0 to %d", r.RelaxDenom, r.Clusters, maxClusters))
	}
	if _, trained := r.Tensors[finalLogitsName]; len(r.Steps) == 0 && (trained || len(r.Gradients) > 0) {
		errs = append(errs, errors.New("manifest.json: there are gradients or logits of training, but no steps"))
	}
	for name, t := range r.Tensors {
		count := int64(1)
		for _, d := range t.Shape {
			if d < 1 || int64(d) > maxFile/count {
				count = maxFile
				break
			}
			count *= int64(d)
		}
		if t.Offset < 0 || count > maxFile/4 || t.Offset > int64(len(r.data))-4*count {
			errs = append(errs, fmt.Errorf("tensors.f32: %s does not fit into the file's %d bytes", name, len(r.data)))
		}
	}
	return errors.Join(errs...)
}

// Spec returns the network of the folder.
func (r *Reference) Spec() nn.Spec {
	spec := nn.DefaultSpec()
	spec.Placement = nn.Placement{}
	spec.Trunk = nn.Trunk(strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(r.Trunk)))
	spec.Classes, spec.OutputStride = r.Classes, r.OutputStride
	for _, place := range spec.Places() { // others, the published code ignores
		spec.Placement[place] = nn.Norm(r.Placement[place])
	}
	return spec
}

// tensor returns a named tensor, or nil if the folder has none.
func (r *Reference) tensor(name string) []float32 {
	t, ok := r.Tensors[name]
	if !ok {
		return nil
	}
	count := 1
	for _, d := range t.Shape {
		count *= d
	}
	values := make([]float32, count)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.data[t.Offset+int64(4*i):]))
	}
	return values
}
