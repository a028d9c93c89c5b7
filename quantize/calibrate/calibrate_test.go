package calibrate_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/calibrate"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/train/data"
)

// model has one tensor: the blue pixels that it was given.
type model struct {
	values []float32
	pixels []byte
	fails  error
}

func (m *model) Run(f *camera.Frame) error {
	m.values, m.pixels = nil, f.Pix
	for i := 0; i < len(f.Pix); i += 3 {
		m.values = append(m.values, float32(f.Pix[i]))
	}
	return m.fails
}

func (m *model) Pixels() []byte { return m.pixels }

func (m *model) Output(int) ([]float32, []int64, error) {
	return m.values, []int64{1, 1, 1, int64(len(m.values))}, nil
}

// source has pictures of one colour: the i-th is of brightness i.
type source struct {
	name string
	n    int
	read *[]int
	bad  int // a picture that cannot be read, if not 0
}

func (s source) Name() string { return s.name }
func (s source) Len() int     { return s.n }
func (s source) Read(_ context.Context, places []int, each func(p *data.Picture) error) error {
	for _, i := range places {
		*s.read = append(*s.read, i)
		if s.bad != 0 && i == s.bad {
			return errors.New("picture is damaged")
		}
		if err := each(&data.Picture{Width: 8, Height: 4, RGB: slices.Repeat([]byte{byte(i)}, 96)}); err != nil {
			return err
		}
	}
	return nil
}

func TestRun(t *testing.T) {
	var read, again, other []int
	progress := 0
	o := calibrate.Options{Count: 20, Seed: 5, ModelHash: "abc", Progress: func(done, total int) {
		if progress++; done != progress || total != 20 {
			t.Errorf("progress %d of %d, want %d of 20", done, total, progress)
		}
	}}
	table := run(t, &model{}, o, source{"a", 30, &read, 0}, source{"b", 10, &read, 0})
	if p := table.Pictures; p.Count != 20 || p.Views != 20 || p.Seed != 5 || !slices.Equal(p.Sources, []string{"a", "b"}) || len(p.Hash) != 64 || table.Model != "abc" {
		t.Errorf("the table is of %+v, model %s", p, table.Model)
	}
	if len(read) != 20 || !slices.IsSorted(read[:15]) || !slices.IsSorted(read[15:]) || len(slices.Compact(slices.Clone(read[:15]))) != 15 {
		t.Errorf("pictures %v were read, want 15 of 30, then 5 of 10", read)
	}
	want := &histogram.Histogram{}
	for _, i := range read {
		if err := want.Add(slices.Repeat([]float32{float32(i)}, 32)); err != nil {
			t.Fatal(err)
		}
	}
	if got := table.Tensors["blue"].Values; !reflect.DeepEqual(got, want) {
		t.Errorf("%d values up to %v were counted, want %d up to %v", got.Count(), got.Max(), want.Count(), want.Max())
	}
	o.Progress = nil
	if same := run(t, &model{}, o, source{"a", 30, &again, 0}, source{"b", 10, &again, 0}); !reflect.DeepEqual(same, table) {
		t.Error("the same pictures give another table")
	}
	o.Seed++
	if run(t, &model{}, o, source{"a", 30, &other, 0}, source{"b", 10, &other, 0}); slices.Equal(other, read) {
		t.Error("another seed picks the same pictures")
	}
}

func run(t *testing.T, m calibrate.Model, o calibrate.Options, from ...calibrate.Source) *quantize.Table {
	t.Helper()
	table, err := calibrate.Run(t.Context(), m, []string{"blue"}, from, o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestSources wants pictures of small sources, too, where large ones can spare them.
func TestSources(t *testing.T) {
	for _, tt := range []struct {
		sizes, want []int
		count       int
	}{
		{[]int{30, 10}, []int{15, 5}, 20},
		{[]int{1000, 1, 3}, []int{8, 1, 1}, 10},
		{[]int{1, 1000, 0}, []int{1, 9, 0}, 10},
		{[]int{5, 5, 5}, []int{0, 1, 1}, 2},
		{[]int{2, 3}, []int{2, 3}, 0},
		{[]int{2, 3}, []int{2, 3}, 100},
	} {
		var from []calibrate.Source
		reads := make([][]int, len(tt.sizes))
		for i, n := range tt.sizes {
			from = append(from, source{fmt.Sprint(i), n, &reads[i], 0})
		}
		run(t, &model{}, calibrate.Options{Count: tt.count}, from...)
		var got []int
		for _, read := range reads {
			got = append(got, len(read))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%d of %v: %v were read, want %v", tt.count, tt.sizes, got, tt.want)
		}
	}
}

// TestStyles wants ranges that reach beyond the pictures, the same ones for the same seed.
func TestStyles(t *testing.T) {
	var read []int
	plain := run(t, &model{}, calibrate.Options{}, source{"a", 100, &read, 0})
	styled := run(t, &model{}, calibrate.Options{Styles: true}, source{"a", 100, &read, 0})
	if p := styled.Pictures; p.Count != 100 || p.Views != 100*(1+calibrate.ViewsPerPicture) || len(p.Style) == 0 {
		t.Errorf("the table is of %+v", p)
	}
	if a, b := plain.Tensors["blue"].Values.Max(), styled.Tensors["blue"].Values.Max(); a != 99 || b < 150 {
		t.Errorf("the brightest pixel is %v, and %v in other light; want 99, and far more", a, b)
	}
	if again := run(t, &model{}, calibrate.Options{Styles: true}, source{"a", 100, &read, 0}); !reflect.DeepEqual(again, styled) {
		t.Error("the same seed gives other views")
	}
}

func TestFaults(t *testing.T) {
	var read []int
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	nan := &model{}
	for name, tt := range map[string]struct {
		ctx  context.Context
		m    calibrate.Model
		from []calibrate.Source
		want string
	}{
		"no pictures":      {t.Context(), &model{}, nil, "there are no pictures"},
		"a damaged one":    {t.Context(), &model{}, []calibrate.Source{source{"street", 9, &read, 4}}, "calibrate on street: picture is damaged"},
		"the model fails":  {t.Context(), &model{fails: fmt.Errorf("out of memory")}, []calibrate.Source{source{"street", 9, &read, 0}}, "out of memory"},
		"stopped":          {cancelled, &model{}, []calibrate.Source{source{"street", 9, &read, 0}}, context.Canceled.Error()},
		"not a number":     {t.Context(), infinite{nan}, []calibrate.Source{source{"street", 9, &read, 0}}, "record tensor blue: value 0 is +Inf"},
		"a picture's size": {t.Context(), &model{}, []calibrate.Source{misshapen{}}, "5 bytes are not 8×4 pixels"},
	} {
		if _, err := calibrate.Run(tt.ctx, tt.m, []string{"blue"}, tt.from, calibrate.Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tt.want)
		}
	}
}

type infinite struct{ *model }

func (infinite) Output(int) ([]float32, []int64, error) {
	var zero float32
	return []float32{1 / zero}, []int64{1, 1, 1, 1}, nil
}

type misshapen struct{}

func (misshapen) Name() string { return "misshapen" }
func (misshapen) Len() int     { return 1 }
func (misshapen) Read(_ context.Context, _ []int, each func(p *data.Picture) error) error {
	return each(&data.Picture{Width: 8, Height: 4, RGB: make([]byte, 5)})
}

// TestParts splits tensors of 40, 20, 100, 20 and 20 bytes and one of unknown size.
func TestParts(t *testing.T) {
	var tensors []onnx.Value
	for i, n := range []int64{10, 5, 25, 5, -1, 5} {
		tensors = append(tensors, onnx.Value{Name: fmt.Sprint(i), Shape: []int64{1, n}})
	}
	for limit, want := range map[int64]string{1000: "[012345]", 200: "[012345]", 199: "[01 2345]", 100: "[01 2345]", 60: "[0 1 2 345]", 1: "[0 1 2 3 4 5]"} {
		var got []string
		for _, part := range calibrate.Parts(tensors, limit) {
			names := ""
			for _, v := range part {
				names += v.Name
			}
			got = append(got, names)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("limit %d: parts %v, want %s", limit, got, want)
		}
	}
	if parts := calibrate.Parts(nil, 10); len(parts) != 0 {
		t.Errorf("no tensors make %d parts", len(parts))
	}
	if parts := calibrate.Parts(tensors[4:5], 10); len(parts) != 1 {
		t.Errorf("a tensor of unknown size makes %d parts", len(parts))
	}
}
