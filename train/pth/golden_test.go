package pth

import (
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// goldenTensor is what PyTorch holds in a file of testdata/make.py.
type goldenTensor struct {
	Name   string
	DType  string
	Shape  []int
	Values []string // of float(), as Python prints them
}

func readGolden(t testing.TB) map[string][]goldenTensor {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string][]goldenTensor
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	return golden
}

func openTestdata(t testing.TB, name string) *File {
	t.Helper()
	f, err := Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// differs compares a file with what PyTorch holds; "" if they are the same.
func differs(f *File, want []goldenTensor) (string, error) {
	if len(f.Tensors()) != len(want) {
		return "number of tensors", nil
	}
	for i, tensor := range f.Tensors() {
		if tensor.Name != want[i].Name || tensor.DType != want[i].DType || !reflect.DeepEqual(tensor.Shape, want[i].Shape) {
			return "description of " + want[i].Name, nil
		}
		got, err := f.Float32s(tensor.Name)
		if err != nil {
			return "", err
		}
		if len(got) != len(want[i].Values) {
			return "length of " + tensor.Name, nil
		}
		for j, text := range want[i].Values {
			// PyTorch's float64 print of a float32 is exact.
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return "", err
			}
			if float64(got[j]) != value {
				return tensor.Name + ": got " + strconv.FormatFloat(float64(got[j]), 'g', -1, 32) + ", want " + text, nil
			}
		}
	}
	return "", nil
}

func TestReadsWhatPyTorchHolds(t *testing.T) {
	for name, want := range readGolden(t) {
		t.Run(name, func(t *testing.T) {
			difference, err := differs(openTestdata(t, name), want)
			if err != nil || difference != "" {
				t.Errorf("difference %q, error %v", difference, err)
			}
		})
	}
}

func TestMetaBesideStateDict(t *testing.T) {
	want := map[string]any{
		"epoch": int64(17), "mean_iu": 0.30859375, "best": 0.5, "seen": int64(-12), "flag": true,
		"command": "train.py --wt_layer 0 0 2 2 2 0 0",
	}
	for _, name := range []string{"checkpoint.pth", "checkpoint_legacy.pth", "checkpoint_protocol4_legacy.pth"} {
		if got := openTestdata(t, name).Meta(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: meta %v, want %v", name, got, want)
		}
	}
}

func TestRefusesWithReason(t *testing.T) {
	files := map[string]string{
		"testdata/torchscript.pt": "TorchScript",
		"testdata/module.pth":     "save model.state_dict()",
		"testdata/sparse.pth":     "not a plain tensor",
		"testdata/plain.pkl":      "not of torch.save",
		"testdata":                "not a file",
		"testdata/make.py":        "not a PyTorch checkpoint",
	}
	tar := make([]byte, 512)
	copy(tar[257:], "ustar")
	for content, want := range map[string]string{
		"":                                "empty",
		"\n<!DOCTYPE html><html>":         "web page",
		"version https://git-lfs.github.": "git lfs pull",
		"\x1f\x8b\x08":                    "gunzip",
		string(tar):                       "tar archive",
		"PK\x03\x04":                      "cut off",
	} {
		path := filepath.Join(t.TempDir(), "file.pth")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		files[path] = want
	}
	for path, want := range files {
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with the path and %q", path, err, want)
		}
	}
	if _, err := Open("testdata/absent.pth"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: error %v", err)
	}
}

// TestRunsNothing opens a file whose unpickling in Python runs a command.
func TestRunsNothing(t *testing.T) {
	f := openTestdata(t, "evil.pth")
	if _, err := os.Stat("executed"); err == nil {
		t.Fatal("the command in the file was executed")
	}
	if got, err := f.Float32s("weight"); err != nil || !reflect.DeepEqual(got, []float32{1, 1}) {
		t.Errorf("weight beside the command: %v, %v", got, err)
	}
}

// TestPython2 reads what PyTorch wrote there: byte strings as keys, an OrderedDict
// made from a list of lists, the first version of the tensor function, and a
// parameter around it.
func TestPython2(t *testing.T) {
	pickle := new(assemble).op("\x80\x02ccollections\nOrderedDict\n](](U\x01w")
	pickle.op("ctorch._utils\n_rebuild_parameter\n(ctorch._utils\n_rebuild_tensor\n(")
	pickle.storage("FloatStorage", "0", 4).int(1).ints(3).ints(1).op("tR\x88NtRee\x85R.")
	f, err := readBytes(zipOf(t, map[string][]byte{"m/data.pkl": pickle.Bytes(), "m/data/0": floats(1, 2, 3, 4)}))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Float32s("w"); err != nil || !reflect.DeepEqual(got, []float32{2, 3, 4}) {
		t.Errorf("w: %v, %v", got, err)
	}
}

func floats(values ...float32) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

// TestViewsOfALargeStorage reads further than one buffer in several orders.
func TestViewsOfALargeStorage(t *testing.T) {
	const planes, rows, columns = 3, 100, 200 // 240 kB
	values := make([]float32, planes*rows*columns)
	for i := range values {
		values[i] = float32(i)
	}
	for name, c := range map[string]struct {
		offset       int64
		size, stride []int64
	}{
		"contiguous":    {0, []int64{planes, rows, columns}, []int64{rows * columns, columns, 1}},
		"reversed axes": {0, []int64{columns, rows, planes}, []int64{1, columns, rows * columns}},
		"rotated axes":  {0, []int64{columns, planes, rows}, []int64{1, rows * columns, columns}},
		"part":          {7*columns + 5, []int64{50, planes, 90}, []int64{2, rows * columns, columns}},
		"one column":    {199, []int64{planes * rows}, []int64{columns}},
		"repeated row":  {300, []int64{2, 200}, []int64{0, 1}},
	} {
		pickle := new(assemble).op("\x80\x02}").text("w").tensor("FloatStorage", "0", int64(len(values)), c.offset, c.size, c.stride).op("s.")
		f, err := readBytes(zipOf(t, map[string][]byte{"m/data.pkl": pickle.Bytes(), "m/data/0": floats(values...)}))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := f.Float32s("w")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, v := range got {
			at, rest := c.offset, int64(i)
			for d := len(c.size) - 1; d >= 0; d-- {
				at += rest % c.size[d] * c.stride[d]
				rest /= c.size[d]
			}
			if v != float32(at) {
				t.Errorf("%s: element %d is that at %g, want %d", name, i, v, at)
				break
			}
		}
	}
}

// TestBytesAreNotWidenedWithoutBound keeps the promise on memory for one-byte types.
func TestBytesAreNotWidenedWithoutBound(t *testing.T) {
	pickle := new(assemble).op("\x80\x02}").text("w").tensor("ByteStorage", "0", 10000, 0, []int64{10000}, []int64{1}).op("s.")
	f, err := readBytes(checkpoint(t, pickle.String(), 10000))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Float32s("w"); err == nil || !strings.Contains(err.Error(), "twice the file") {
		t.Errorf("error %v", err)
	}
}

// TestMobileNetV2 reads a published backbone and compares it with the list that
// PyTorch made of it: key, dtype, shape and sum.
func TestMobileNetV2(t *testing.T) {
	folder := "../../../shared/data/weights/"
	list, err := os.Open(folder + "mobilenetv2_1.0_tvkeys.keys.tsv")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("shared/data/weights is not there")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	r := csv.NewReader(list)
	r.Comma = '\t'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(folder + "mobilenetv2_1.0_tvkeys.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors()) != len(rows) {
		t.Fatalf("%d tensors, want %d", len(f.Tensors()), len(rows))
	}
	for i, tensor := range f.Tensors() {
		sizes := []string{}
		for _, size := range tensor.Shape {
			sizes = append(sizes, strconv.Itoa(size))
		}
		shape := strings.Join(sizes, "x")
		if shape == "" {
			shape = "scalar"
		}
		if got := []string{tensor.Name, tensor.DType, shape}; !reflect.DeepEqual(got, rows[i][:3]) {
			t.Fatalf("tensor %d: %v, want %v", i, got, rows[i][:3])
		}
		values, err := f.Float32s(tensor.Name)
		if err != nil {
			t.Fatal(err)
		}
		sum, magnitude := 0.0, 0.0
		for _, v := range values {
			sum += float64(v)
			magnitude += math.Abs(float64(v))
		}
		want, err := strconv.ParseFloat(rows[i][3], 64)
		if err != nil {
			t.Fatal(err)
		}
		// The list has six digits, and PyTorch summed in float32.
		if tolerance := 1e-5*math.Abs(want) + 1e-6*magnitude; math.Abs(sum-want) > tolerance {
			t.Errorf("%s: sum %g, want %g", tensor.Name, sum, want)
		}
	}
}
