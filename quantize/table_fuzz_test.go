package quantize_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
)

// tableText is a table of tiny's tensors as it is stored. All values but zeros are much the same,
// so that few bins lie between them.
func tableText(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "table.json")
	recorder := quantize.NewRecorder(open(tb, tiny()).Tensors())
	err := recorder.Record(func(i int) ([]float32, []int64, error) {
		v := -float32(i + 1)
		return []float32{0, v, v, v, 0.998 * v, v, 0, 0}, []int64{1, 4, 1, 2}, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := quantize.WriteTable(path, recorder.Table("", quantize.Pictures{})); err != nil {
		tb.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// oddTables are texts that are no table, or one that no calibration can have left.
func oddTables(sound string) map[string]string {
	replaced := func(old, by string) string { return strings.Replace(sound, old, by, 1) }
	return map[string]string{
		"nothing": "", "null": "null", "number": "1", "list": "[]", "empty": "{}", "no tensors": `{"version":1}`, "null tensors": `{"version":1,"tensors":null}`,
		"null tensor": `{"version":1,"tensors":{"a":null}}`, "null values": `{"version":1,"tensors":{"a":{"values":null}}}`,
		"cut in the midst": sound[:len(sound)/2], "cut at the end": sound[:len(sound)-3], "twice": sound + sound,
		"another version": replaced(`"version":1`, `"version":2`), "bins": replaced(`"first":`, `"first":99`), "wide bins": replaced(`"exponent":-`, `"exponent":`),
		"counts": replaced(`"zeros":`, `"zeros":18446744073709551615`), "ends": replaced(`"min":-`, `"min":9`), "beyond float32": replaced(`"max":`, `"max":1e39`),
		"no factor": replaced(`"tensors":`, `"equalised":{"factors":{"a":[0]}},"tensors":`), "deep": strings.Repeat(`{"tensors":`, 10_000),
	}
}

// TestReadTableFaults wants an error that says what to do of every such text.
func TestReadTableFaults(t *testing.T) {
	for name, text := range oddTables(tableText(t)) {
		path := filepath.Join(t.TempDir(), "calibration.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		table, err := quantize.ReadTable(path)
		if err == nil {
			_, err = open(t, tiny()).Placer(table, histogram.Choice{Method: histogram.MinMax})
		}
		if err == nil || !strings.Contains(err.Error(), "again") {
			t.Errorf("%s: error %v, want one that says to calibrate again", name, err)
		}
	}
	if _, err := quantize.ReadTable(filepath.Join(t.TempDir(), "none.json")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a table that is not there: %v", err)
	}
}

// TestTableOddChannels has means and powers that no channel can have. Nothing may come of them that
// is no number: a model is an error, or can run.
func TestTableOddChannels(t *testing.T) {
	for name, c := range map[string]quantize.Channel{
		"sound": {Mean: 0.8, Power: 2, Max: 3}, "huge mean": {Mean: 1e300, Power: 2, Max: 3}, "negative power": {Power: -1, Max: 3},
		"negative max": {Power: 2, Max: -3}, "huge power": {Power: 1e308, Max: 3}, "tiny max": {Power: 1e-300, Max: 5e-324},
	} {
		t.Run(name, func(t *testing.T) {
			path, table := filepath.Join(t.TempDir(), "calibration.json"), invented(open(t, tiny()), 4)
			for _, tensor := range table.Tensors {
				for i := range tensor.Channels {
					tensor.Channels[i] = c
				}
			}
			if err := quantize.WriteTable(path, table); err != nil {
				t.Fatal(err)
			}
			if table, err := quantize.ReadTable(path); err == nil {
				checkMade(t, table)
			} else if name == "sound" {
				t.Error(err)
			}
		})
	}
}

// checkMade makes all that a table is for and wants numbers in it.
func checkMade(t *testing.T, table *quantize.Table) {
	t.Helper()
	for _, equalised := range []bool{false, true} {
		net := open(t, tiny())
		if equalised {
			if _, err := net.Equalise(table); err != nil {
				return
			}
			table.Equalised = &quantize.Equalised{Factors: net.Factors(), Tensors: table.Tensors}
		}
		placer, err := net.Placer(table, histogram.Choice{Method: histogram.MinMax})
		if err != nil {
			return
		}
		placer.Magnitudes(quantize.Options{})
		for _, f := range flavours(placer) {
			m, err := f.place(quantize.Options{CorrectBias: true})
			if err != nil {
				continue
			}
			for _, c := range m.Graph.Initializers {
				if c.Elem != onnx.Float32 && c.Elem != onnx.Float16 {
					continue
				}
				values, err := onnx.Float32s(c)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range values {
					if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
						t.Errorf("equalised %t, %s: %s holds %v", equalised, f.name, c.Name, v)
						break
					}
				}
			}
		}
	}
}

// FuzzReadTable wants an error or a table of any text, and of a table an error or models, and no
// panic. What is read has the same ranges when it is written and read again.
func FuzzReadTable(f *testing.F) {
	sound := tableText(f)
	f.Add([]byte(sound), uint8(0))
	for at := 0; at < len(sound); at += len(sound)/8 + 1 {
		f.Add([]byte(sound[:at]), uint8(1))
	}
	i := uint8(0)
	for _, text := range oddTables(sound) {
		if i++; len(text) < 1<<16 {
			f.Add([]byte(text), i)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, method uint8) {
		path := filepath.Join(dir, "table.json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		table, err := quantize.ReadTable(path)
		if err != nil {
			return
		}
		choice := histogram.Choice{Method: histogram.Methods()[int(method)%2], Share: 0.999} // the two that are quick
		net := open(t, tiny())
		placer, err := net.Placer(table, choice)
		if err != nil {
			return
		}
		for _, fl := range flavours(placer) {
			_, _ = fl.place(quantize.Options{CorrectBias: true})
		}
		_, _ = net.Equalise(table)
		if err := quantize.WriteTable(path, table); err != nil {
			t.Fatal(err)
		}
		again, err := quantize.ReadTable(path)
		if err != nil {
			t.Fatalf("what was read and written again: %v", err)
		}
		second, err := open(t, tiny()).Placer(again, choice)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range net.Tensors() {
			affine, symmetric := placer.Ranges(name)
			if a, s := second.Ranges(name); a != affine || s != symmetric {
				t.Errorf("%s: ranges %v and %v became %v and %v", name, affine, symmetric, a, s)
			}
		}
	})
}
