package published_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/pth"
	"github.com/robustnet-edge/robustnet/train/published"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// TestBackboneForward compares features of real ImageNet weights with those that PyTorch
// computed from the same file.
func TestBackboneForward(t *testing.T) {
	folder := filepath.Join("..", "..", "..", "shared", "data", "weights")
	file, err := pth.Open(filepath.Join(folder, "mobilenetv2_1.0_tvkeys.pth"))
	if err != nil {
		t.Skipf("skipped: the ImageNet weights are not here: %v", err)
	}
	defer file.Close()
	spec := nn.DefaultSpec()
	spec.Placement, spec.OutputStride = nn.Placement{}, 32 // that of torchvision's network
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	trunk, ignored, err := published.Backbone(file, net)
	if err != nil {
		t.Fatal(err)
	}
	if len(ignored) != 52 {
		t.Errorf("ignored %v, want the 52 batch counters", ignored)
	}
	state := net.Init(1)
	maps.Copy(state, trunk)

	features3 := net.Nodes[slices.IndexFunc(net.Nodes, func(n nn.Node) bool { return n.Key == "layer1.2.conv.0.0" })].In[0]
	shape, pixels := readNPY(t, filepath.Join(folder, "golden", "input_224.npy"))
	err = torchtest.Library(t).Run(torch.Options{}, func(s *torch.Scope) error {
		m, err := model.New(s, net, state)
		if err != nil {
			return err
		}
		out := m.Forward(s, s.FromFloat32(pixels, shape...), model.Inference, features3, net.Deep)
		for i, name := range []string{"tvkeys_features3.npy", "tvkeys_features18.npy"} {
			shape, want := readNPY(t, filepath.Join(folder, "golden", name))
			if got := out[i].Shape(); !slices.Equal(got, shape) {
				t.Fatalf("%s: shape %v, want %v", name, got, shape)
			}
			worst, scale := 0.0, 0.0
			for k, v := range s.Float32s(out[i]) {
				worst = max(worst, math.Abs(float64(v)-float64(want[k])))
				scale = max(scale, math.Abs(float64(want[k])))
			}
			t.Logf("%s: largest difference %.2g of values up to %.3g", name, worst, scale)
			if !(worst <= 1e-4*scale) {
				t.Errorf("%s: largest difference %v, values up to %v", name, worst, scale)
			}
		}
		return s.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// readNPY reads a little-endian float32 array in numpy's format 1.0.
func readNPY(t *testing.T, path string) (shape []int, data []float32) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const fixed = 10 // magic, version, length of the header
	end := fixed + int(binary.LittleEndian.Uint16(content[8:]))
	header := content[fixed:end]
	if !bytes.Contains(header, []byte("'<f4'")) || !bytes.Contains(header, []byte("'fortran_order': False")) {
		t.Fatalf("%s: header %s", path, header)
	}
	_, dims, _ := bytes.Cut(header, []byte("'shape': ("))
	shape = make([]int, 4)
	if _, err := fmt.Sscanf(string(dims), "%d, %d, %d, %d)", &shape[0], &shape[1], &shape[2], &shape[3]); err != nil {
		t.Fatalf("%s: header %s: %v", path, header, err)
	}
	data = make([]float32, (len(content)-end)/4)
	if err := binary.Read(bytes.NewReader(content[end:]), binary.LittleEndian, data); err != nil {
		t.Fatal(err)
	}
	return shape, data
}
