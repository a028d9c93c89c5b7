package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const reference = "testdata/reference.safetensors"

// referenceTensors are the literals of testdata/make.py.
func referenceTensors() []Tensor {
	return []Tensor{
		New("weight", []int{2, 3}, []float32{1.5, -2.25, 3e38, 0, float32(math.Copysign(0, -1)), float32(math.Inf(1))}),
		New("momentum", []int{2}, []float64{1e-300, math.Pi}),
		New("mask <&>", []int{1, 3}, []uint8{0, 255, 7}),
		New("rng", []int{2}, []int64{math.MinInt64, math.MaxInt64}),
		New("counts", []int{2}, []int32{math.MinInt32, 5}),
		New("frozen", []int{3}, []bool{true, false, true}),
		New("epoch", nil, []int64{17}),
		New("empty", []int{0, 4}, []float32{}),
	}
}

func TestWritesTheBytesOfTheReference(t *testing.T) {
	want, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	for range 2 { // the second replaces the first
		if err := Write(path, referenceTensors()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

func TestReadsTheReference(t *testing.T) {
	for _, path := range []string{reference, "testdata/metadata.safetensors"} {
		t.Run(filepath.Base(path), func(t *testing.T) { checkReference(t, path) })
	}
}

func checkReference(t *testing.T, path string) {
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors()) != 8 {
		t.Errorf("%d tensors, want 8", len(f.Tensors()))
	}
	for _, want := range referenceTensors() {
		var got any
		var err error
		switch want.data.(type) {
		case []float32:
			got, err = Read[float32](f, want.Name)
		case []float64:
			got, err = Read[float64](f, want.Name)
		case []uint8:
			got, err = Read[uint8](f, want.Name)
		case []int32:
			got, err = Read[int32](f, want.Name)
		case []int64:
			got, err = Read[int64](f, want.Name)
		case []bool:
			got, err = Read[bool](f, want.Name)
		}
		if err != nil || !reflect.DeepEqual(got, want.data) {
			t.Errorf("%s: %v (%v), want %v", want.Name, got, err, want.data)
		}
	}
	if _, err := Read[float64](f, "weight"); err == nil || !strings.Contains(err.Error(), "F32, not F64") {
		t.Errorf("read as another type: %v", err)
	}
	if _, err := Read[float32](f, "absent"); err == nil {
		t.Error("an absent tensor was read")
	}
}

// TestLargerThanAChunk checks the seams between the parts that are converted.
func TestLargerThanAChunk(t *testing.T) {
	values := make([]float32, 3*chunkBytes/4+5)
	for i := range values {
		values[i] = float32(i)
	}
	path := filepath.Join(t.TempDir(), "large.safetensors")
	if err := Write(path, []Tensor{New("a", []int{len(values)}, values)}); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := Read[float32](f, "a")
	if err != nil || !reflect.DeepEqual(got, values) {
		t.Errorf("read back %d of %d values, error %v", len(got), len(values), err)
	}
}

func TestWriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.safetensors")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	one := []float32{1}
	for name, tensors := range map[string][]Tensor{
		"name twice":         {New("a", []int{1}, one), New("a", []int{1}, []bool{true})},
		"reserved name":      {New("__metadata__", []int{1}, one)},
		"name not UTF-8":     {New("a\xff", []int{1}, one)},
		"shape too large":    {New("a", []int{2}, one)},
		"shape too small":    {New("a", []int{0}, one)},
		"negative dimension": {New("a", []int{-1}, one)},
		"overflowing shape":  {New("a", []int{1 << 32, 1 << 32}, one)},
		"not made by New":    {{}},
	} {
		if err := Write(path, tensors); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("the old file was changed to %q", got)
	}
}

// file makes a file of a header and data.
func file(header string, data int) []byte {
	raw := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(raw, header...), make([]byte, data)...)
}

func TestOpenRefuses(t *testing.T) {
	valid, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"header longer than file": append([]byte{255, 0, 0, 0, 0, 0, 0, 0}, "{}"...),
		"header of 2^63 bytes":    {0, 0, 0, 0, 0, 0, 0, 128},
		"not JSON":                file("PK", 0),
		"array":                   file("[]", 0),
		"unfinished":              file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}`, 1),
		"more JSON":               file("{}{}", 0),
		"unknown dtype":           file(`{"a":{"dtype":"F8_E5M2","shape":[1],"data_offsets":[0,1]}}`, 1),
		"unknown field":           file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}`, 1),
		"no shape":                file(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1),
		"null":                    file(`{"a":null}`, 0),
		"three offsets":           file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}`, 1),
		"negative offset":         file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}`, 1),
		"fraction":                file(`{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}`, 1),
		"negative dimension":      file(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1),
		"outside":                 file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 1),
		"size unlike shape":       file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4),
		"scalar without data":     file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 0),
		"overflow":                file(`{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0),
		"gap":                     file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2),
		"rest":                    file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2),
		"overlap": file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},`+
			`"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3),
		"shared bytes": file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},`+
			`"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1),
		"name twice": file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},`+
			`"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2),
		"metadata twice":   file(`{"__metadata__":{"a":"b"},"__metadata__":{}}`, 0),
		"metadata numbers": file(`{"__metadata__":{"a":1}}`, 0),
	}
	for length := range valid {
		if _, err := openBytes(t, valid[:length]); err == nil {
			t.Errorf("cut to %d bytes: no error", length)
		}
	}
	for name, content := range files {
		if _, err := openBytes(t, content); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Open("testdata"); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
}

func openBytes(t testing.TB, content []byte) (*File, error) {
	t.Helper()
	f := &File{path: "test", source: bytes.NewReader(content)}
	return f, f.readHeader(int64(len(content)))
}

func FuzzOpen(f *testing.F) {
	valid, err := os.ReadFile(reference)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add(file(`{"__metadata__":{"a":"b"}}`, 0))
	f.Add(file("{}", 0))
	f.Add(file(`{"a":{"dtype":"U8","shape":[1,0],"data_offsets":[0,0]}}`, 0))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := openBytes(t, content)
		if err != nil {
			return
		}
		total := 0
		for _, info := range file.Tensors() {
			if info.DType != "U8" {
				continue
			}
			values, err := Read[uint8](file, info.Name)
			if err != nil {
				t.Errorf("%q was accepted but not read: %v", info.Name, err)
			}
			total += len(values)
		}
		if total > len(content) {
			t.Errorf("%d bytes read from a file of %d", total, len(content))
		}
	})
}
