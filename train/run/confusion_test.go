package run

import (
	"math"
	"reflect"
	"slices"
	"testing"
)

// streets is of a network that takes a third of the cars for none of these classes. Trees neither occur nor
// were predicted; sky was predicted only.
func streets() Confusion {
	return Confusion{
		Classes: []string{"road", "tree", "car", "sky"},
		Pixels:  [][]uint64{{12, 0, 3, 1, 0}, {0, 0, 0, 0, 0}, {4, 0, 4, 0, 4}, {0, 0, 0, 0, 0}},
	}
}

func TestConfusion(t *testing.T) {
	c := streets()
	seen := c.Seen()
	if want := (Confusion{[]string{"road", "car", "sky"}, [][]uint64{{12, 3, 1, 0}, {4, 4, 0, 4}, {0, 0, 0, 0}}}); !reflect.DeepEqual(seen, want) || !seen.Translated() {
		t.Errorf("seen %v, want %v", seen, want)
	}
	const twelve, sixteen = 12. / 28 * 100, 16. / 28 * 100
	for i, want := range []float64{sixteen, 0, twelve, 0} {
		if got := c.Shares()[i]; math.Abs(got-want) > 1e-9 {
			t.Errorf("share of %s: %v, want %v", c.Classes[i], got, want)
		}
	}
	percent := seen.Percent()
	if want := [][]float64{{75, 18.75, 6.25, 0}, {100. / 3, 100. / 3, 0, 100. / 3}}; !slices.Equal(percent[0], want[0]) ||
		math.Abs(percent[1][3]-want[1][3]) > 1e-9 || !math.IsNaN(percent[2][0]) {
		t.Errorf("percent %v, want %v", percent, want)
	}
	c.Pixels[2][4] = 0
	if c.Seen().Translated() {
		t.Error("a column of no class stays without pixels")
	}
}

// The confusions of the last evaluations are kept, of adapted ones apart.
func TestConfusionsKept(t *testing.T) {
	dir := t.TempDir()
	all := []Evaluation{evaluation("camvid", 10, 50), evaluation("idd", 10, 40), evaluation("camvid", 20, 60), evaluation("camvid", 20, 61)}
	all[3].Adapted = true
	for i := range all {
		c := streets()
		all[i].Confusion = &c
	}
	if err := WriteEvaluations(dir, all); err != nil {
		t.Fatal(err)
	}
	if all[0].Confusion == nil {
		t.Error("writing changes the evaluations")
	}
	got, err := ReadEvaluations(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range got {
		if kept := e.Confusion != nil; kept != (i > 0) || kept && !reflect.DeepEqual(*e.Confusion, streets()) {
			t.Errorf("evaluation %d has the confusion %v", i, e.Confusion)
		}
	}
}

func TestConfusionsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Confusion){
		"no classes":   func(c *Confusion) { *c = Confusion{} },
		"row short":    func(c *Confusion) { c.Pixels = c.Pixels[:3] },
		"column short": func(c *Confusion) { c.Pixels[1] = c.Pixels[1][:4] },
		"columns": func(c *Confusion) {
			for i := range c.Pixels {
				c.Pixels[i] = make([]uint64, 6)
			}
		},
		"nothing counted": func(c *Confusion) {
			for i := range c.Pixels {
				c.Pixels[i] = make([]uint64, 5)
			}
		},
		"too many": func(c *Confusion) { c.Pixels[0][0] = math.MaxUint64 },
	} {
		t.Run(name, func(t *testing.T) {
			e, c := evaluation("camvid", 7, 50), streets()
			spoil(&c)
			e.Confusion = &c
			contains(t, WriteEvaluations(t.TempDir(), []Evaluation{e}), "camvid", "iteration 7", "confusion")
		})
	}
}
