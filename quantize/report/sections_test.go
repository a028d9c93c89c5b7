package report

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/robustnet-edge/robustnet/internal/page/pagetest"
)

// rows are the texts of a table's rows after its head.
func rows(table *html.Node) []string {
	var all []string
	for n := range table.Descendants() {
		if n.Type == html.ElementNode && n.Data == "tr" && n.Parent.Data == "tbody" {
			all = append(all, pagetest.Text(n))
		}
	}
	return all
}

func TestTiles(t *testing.T) {
	dir := t.TempDir()
	got := pagetest.Texts(write(t, dir, complete(t, dir)).Classed("tile"))
	want := []string{
		"cpu-int8 −0.36 mIoU on idd_lite:val, the worst of 3 domains size ×0.27, 3.8 MB time ×0.41, 38.1 ms",
		"trt-int8 −0.90 mIoU on idd_lite:val, the worst of 3 domains size ×0.28, 3.9 MB",
		"trt-fp16 ±0.00 mIoU on camvid:day_val, the worst of 3 domains size ×0.50, 7.0 MB",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the tiles are\n%q, want\n%q", got, want)
	}
}

func TestGate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *Report)
		want   string
	}{
		"passed":      {func(r *Report) { r.Gate = Gate{MaxDrop: 1, Passed: true} }, "gate passed a loss of up to 1 point mIoU is accepted on any domain"},
		"no loss":     {func(r *Report) { r.Gate = Gate{Passed: true} }, "gate passed no loss of mIoU is accepted on any domain"},
		"missed":      {func(r *Report) { r.Gate = Gate{MaxDrop: 0.25} }, "gate missed a loss of up to 0.25 points mIoU is accepted on any domain"},
		"not gated":   {func(r *Report) { r.Variants, r.Gate = r.Variants[:1], Gate{MaxDrop: 1, Passed: true} }, ""},
		"many kept":   {func(r *Report) { r.Gate = Gate{MaxDrop: 1, Passed: true, Kept: slices.Repeat([]string{"conv"}, 30)} }, "gate passed a loss of up to 1 point mIoU is accepted on any domain"},
		"no variants": {func(r *Report) { r.Variants, r.Gate = nil, Gate{} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := complete(t, dir)
			c.change(r)
			d := write(t, dir, r)
			pagetest.Check(t, d)
			if got := strings.Join(pagetest.Texts(d.Classed("progress")), ""); got != c.want {
				t.Errorf("the gate is %q, want %q", got, c.want)
			}
			if folded := len(r.Gate.Kept) > 8; folded != strings.Contains(d.Source, "<summary>Layers kept in float: 30</summary>") {
				t.Error("many layers are not folded, or few are")
			}
		})
	}
}

func TestAccuracyTable(t *testing.T) {
	dir := t.TempDir()
	d := write(t, dir, complete(t, dir))
	got := rows(d.All("table")[0])
	want := []string{
		"fp32 62.00 53.00 44.00 13.9 0 / 54 ONNX Runtime 1.22.0, CPU",
		"cpu-int8 gated 61.88 −0.12 99.8 % agree 52.76 −0.24 99.6 % agree 43.64 −0.36 99.5 % agree 3.8 52 / 54 1 kept in float ONNX Runtime 1.22.0, CPU",
		"trt-int8 gated 61.70 −0.30 99.5 % agree 52.40 ▼ −0.60 99.1 % agree 43.10 ▼ −0.90 98.7 % agree 3.9 51 / 54 2 kept in float ONNX Runtime 1.22.0, CPU †",
	}
	if len(got) != 5 || !slices.Equal(got[:3], want) {
		t.Errorf("the rows are\n%q, want\n%q", got, want)
	}
	if text := pagetest.Text(d.All("main")[0]); strings.Count(text, "the numbers of TensorRT's placement on ONNX Runtime; not its speed") != 1 {
		t.Error("what is computed literally is not explained")
	}
	if key := only(t, d, "key"); key != "difference in points: no loss up to 0.25 up to 0.5, which is accepted ▼ up to 1 ▼ more" {
		t.Errorf("the colours mean %q", key)
	}
}

func TestLevel(t *testing.T) {
	for _, c := range []struct {
		drop, accepted float64
		want           string
	}{
		{-1, 0.5, "l0"}, {0, 0.5, "l0"}, {0.25, 0.5, "l1"}, {0.26, 0.5, "l2"}, {61.3 - 60.8, 0.5, "l2"}, {0.51, 0.5, "l3"}, {1, 0.5, "l3"}, {1.1, 0.5, "l4"},
		{0, 0, "l0"}, {0.01, 0, "l4"}, {0.01, -1, "l4"},
	} {
		if got := level(c.drop, c.accepted); got != c.want {
			t.Errorf("a loss of %v where %v is accepted has the colour %s, want %s", c.drop, c.accepted, got, c.want)
		}
		exceeds := accuracyCell{Level: c.want}.Exceeds()
		if explained := slices.ContainsFunc(levelKeys(c.accepted), func(k levelKey) bool { return k.Level == c.want }); !explained || exceeds != (c.want >= "l3") {
			t.Errorf("the colour %s is explained: %v, beyond: %v", c.want, explained, exceeds)
		}
	}
}

func TestLatency(t *testing.T) {
	dir := t.TempDir()
	r := complete(t, dir)
	d := write(t, dir, r)
	table := d.Classed("latency")
	if len(table) != 1 {
		t.Fatalf("there are %d tables of times", len(table))
	}
	if got, want := rows(table[0]), []string{"fp32 92.4 97.9 121 94.8 101 128 ×1.00", "cpu-int8 38.1 40.4 49.9 40.5 43.4 54.4 ×0.41"}; !slices.Equal(got, want) {
		t.Errorf("the times are %q, want %q", got, want)
	}
	const facts = "CPU Intel(R) Xeon(R) Processor @ 2.60GHz threads 2 warm-up 20 runs measured 300 runs of each, in turns"
	if got := pagetest.Text(d.Classed("facts")[0]); got != facts {
		t.Errorf("measured on %q", got)
	}
	r.Variants[1].Latency.Threads, r.Variants[1].Literal = 1, true
	d = write(t, dir, r)
	if got := pagetest.Text(d.Classed("latency")[0]); !strings.Contains(got, "fp32 CPU Intel(R) Xeon(R) Processor @ 2.60GHz, threads 2,") || !strings.Contains(got, "cpu-int8 † CPU Intel(R) Xeon(R) Processor @ 2.60GHz, threads 1,") {
		t.Errorf("different settings are not told apart: %s", got)
	}
	if tile := pagetest.Text(d.Classed("tile")[0]); strings.Contains(tile, "time") {
		t.Errorf("the headline praises a speed that is none: %s", tile)
	}
}

func TestClassTables(t *testing.T) {
	dir := t.TempDir()
	r := complete(t, dir)
	of := func(v ...float64) (all []*float64) {
		for i := range v {
			all = append(all, &v[i])
		}
		return all
	}
	r.Domains = []Domain{{"dusk", 3, []string{"road", "vehicle", "tree"}}, {"night", 3, []string{"vehicle"}}}
	r.Variants = []Variant{
		{Name: "fp32", Accuracy: []Accuracy{{MIoU: 60, IoU: append(of(80, 40), nil)}, {MIoU: 30, IoU: of(30)}}},
		{Name: "cpu-int8", Accuracy: []Accuracy{{MIoU: 58, IoU: append(of(76, 41), nil)}, {MIoU: 30, IoU: of(30)}}},
		{Name: "trt-int8", Accuracy: []Accuracy{{MIoU: 60, IoU: append([]*float64{nil}, of(40.02, 9)...)}}},
	}
	d := write(t, dir, r)
	pagetest.Check(t, d)
	tables := d.Classed("classes")
	if len(tables) != 2 {
		t.Fatalf("there are %d tables", len(tables))
	}
	want := []string{"road 80.0 −4.0 –", "vehicle 40.0 +1.0 ±0.0", "tree – – –", "mean (mIoU) 60.0 −2.0 ±0.0"}
	if got := rows(tables[0]); !slices.Equal(got, want) {
		t.Errorf("the rows are %q, want %q", got, want)
	}
	if got := rows(tables[1]); !slices.Equal(got, []string{"vehicle 30.0 ±0.0", "mean (mIoU) 30.0 ±0.0"}) {
		t.Errorf("a domain without the third variant has %q", got)
	}
	if !strings.Contains(d.Source, `<i class="down" style="width:50%"></i>`) || !strings.Contains(d.Source, `<i class="up" style="width:12.5%"></i>`) {
		t.Error("the bars do not reach from 4 points down to 1 point up")
	}
	var open []bool
	for _, n := range d.Classed("card") {
		if n.Data == "details" {
			open = append(open, slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "open" }))
		}
	}
	if !slices.Equal(open, []bool{true, false}) {
		t.Errorf("open are %v", open)
	}
	if chips := d.Classed("chip"); pagetest.Attribute(chips[0], "style") == pagetest.Attribute(chips[1], "style") || !strings.Contains(pagetest.Attribute(chips[1], "style"), "#808080") {
		t.Error("a class of the model has not its colour, or a coarser one is not grey")
	}
}

func TestSheets(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string, s *Sheet)
		parts  string
		note   string
	}{
		"whole":        {func(*testing.T, string, *Sheet) {}, "input truth fp32 cpu-int8 disagreement", ""},
		"no truth":     {func(_ *testing.T, _ string, s *Sheet) { s.Truth = "" }, "input fp32 cpu-int8 disagreement", ""},
		"missing":      {func(_ *testing.T, _ string, s *Sheet) { s.Truth = "gone.png" }, "input unreadable truth fp32 cpu-int8 disagreement", "gone.png"},
		"outside":      {func(_ *testing.T, _ string, s *Sheet) { s.Float = "../sheet_0_fp32.png" }, "input truth unreadable fp32 cpu-int8 disagreement", "../sheet_0_fp32.png: it is not in the folder"},
		"absolute":     {func(_ *testing.T, dir string, s *Sheet) { s.Float = filepath.Join(dir, s.Float) }, "input truth unreadable fp32 cpu-int8 disagreement", "it is not in the folder"},
		"in a folder":  {moved, "input truth fp32 cpu-int8 disagreement", ""},
		"not a PNG":    {damaged, "unreadable input truth fp32 cpu-int8 disagreement", "sheet_0_input.png"},
		"no picture":   {func(_ *testing.T, _ string, s *Sheet) { *s = Sheet{Agreement: math.NaN()} }, "", ""},
		"not variants": {func(_ *testing.T, _ string, s *Sheet) { s.Variant = "" }, "input truth fp32 int8 disagreement", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := complete(t, dir)
			r.Sheets = r.Sheets[:1]
			c.change(t, dir, &r.Sheets[0])
			d := write(t, dir, r)
			pagetest.Check(t, d)
			if parts := strings.Join(pagetest.Texts(d.Classed("strip")), "; "); parts != c.parts {
				t.Errorf("the pictures are %q, want %q", parts, c.parts)
			}
			if notes := strings.Join(pagetest.Texts(d.Classed("notes")), "; "); (c.note == "") != (notes == "") || !strings.Contains(notes, c.note) {
				t.Errorf("the notes are %q", notes)
			}
			if heading := slices.Contains(pagetest.Texts(d.All("h2")), "Pictures"); heading != (c.parts != "") {
				t.Error("the heading is there without pictures, or the other way round")
			}
		})
	}
}

func moved(t *testing.T, dir string, s *Sheet) {
	if err := os.Mkdir(filepath.Join(dir, "sheets"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, s.Input), filepath.Join(dir, "sheets", s.Input)); err != nil {
		t.Fatal(err)
	}
	s.Input = "sheets/" + s.Input
}

func damaged(t *testing.T, dir string, s *Sheet) {
	if err := os.WriteFile(filepath.Join(dir, s.Input), []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSheetTexts(t *testing.T) {
	dir := t.TempDir()
	d := write(t, dir, complete(t, dir))
	row := pagetest.Text(d.Classed("row")[1])
	if want := "camvid:dusk_target 0016E5_07989: cpu-int8 and fp32 agree on 96.31 % of the pixels"; !strings.HasPrefix(row, want) {
		t.Errorf("the second row is %q, want %q", row, want)
	}
	if alt := pagetest.Attribute(d.All("img")[9], "alt"); alt != "camvid:dusk_target, 0016E5_07989: disagreement" {
		t.Errorf("the last picture of the second row is described as %q", alt)
	}
	if chips := only(t, d, "chips"); !strings.HasPrefix(chips, "sky building pole ") || !strings.HasSuffix(chips, "black: not labelled") {
		t.Errorf("the colours are %q", chips)
	}
}

func TestLayers(t *testing.T) {
	dir := t.TempDir()
	r := complete(t, dir)
	d := write(t, dir, r)
	tables := d.All("table")
	all := rows(tables[slices.IndexFunc(tables, func(n *html.Node) bool { return strings.Contains(pagetest.Text(n), "weights") })])
	if len(all) != 25 {
		t.Fatalf("there are %d rows", len(all))
	}
	for i, want := range map[int]string{
		0:  "/backbone/features.0/conv/conv.0/Conv 16×16×3×3 14.2 ▼ −1.10 ▼ −1.00 ▼ −0.90 in float",
		2:  "/backbone/features.0/conv/conv.2/Conv 16×16×3×3 23.3 −0.37 −0.33 −0.30",
		24: "/backbone/features.8/conv/conv.0/Conv 80×48×3×3 45.6 – – –",
	} {
		if all[i] != want {
			t.Errorf("row %d is %q, want %q", i, all[i], want)
		}
	}
	if kept := d.Classed("kept"); len(kept) != 2 {
		t.Errorf("%d rows are marked as kept", len(kept))
	}
	chart := pagetest.Text(d.Classed("tall")[0])
	for _, want := range []string{"kept in float", "14.2, kept", "/backbone/features.8/conv/conv.0/Conv"} {
		if !strings.Contains(chart, want) {
			t.Errorf("the chart lacks %q: %s", want, chart)
		}
	}
	if main := pagetest.Text(d.All("main")[0]); !strings.Contains(main, "27 layers that cost less are left out") {
		t.Error("the other layers are not mentioned")
	}
	for i := range r.Layers {
		r.Layers[i].Drop, r.Layers[i].Kept = nil, false
	}
	d = write(t, dir, r)
	if text := pagetest.Text(d.All("main")[0]); strings.Contains(text, "where it was not measured") || strings.Contains(text, "layer weights SQNR, dB kept") {
		t.Error("there are columns for losses that were not measured, or for layers kept of which there are none")
	}
}

func TestTensors(t *testing.T) {
	dir := t.TempDir()
	r := complete(t, dir)
	d := write(t, dir, r)
	cards := pagetest.Texts(d.Classed("tensor"))
	if len(cards) != len(r.Tensors) {
		t.Fatalf("there are %d charts", len(cards))
	}
	for i, want := range map[int]string{
		0: "affine, CPU 0 to 4.25 31.4 dB ╍ symmetric, TensorRT ±3.54 26.2 dB",
		1: "affine, CPU −3.36 to 5.69 32.4 dB ╍ symmetric, TensorRT ±4.74 27.3 dB",
	} {
		if !strings.HasPrefix(cards[i], r.Tensors[i].Name) || !strings.HasSuffix(cards[i], want) {
			t.Errorf("the chart is %q, want the end %q", cards[i], want)
		}
	}
	for _, label := range []string{"100 %", "1 %", "0.01 %", "10⁻⁴ %"} {
		if !strings.Contains(cards[1], label) {
			t.Errorf("the logarithmic axis lacks %q: %s", label, cards[1])
		}
	}
	// Values of one sign are cut at one end; at zero there is nothing to cut.
	lines := regexp.MustCompile(`<path [^>]*stroke:var\(--s[12]\)`)
	charts := strings.SplitAfter(d.Source, "</svg>")[2:]
	if one, both := len(lines.FindAllString(charts[0], -1)), len(lines.FindAllString(charts[1], -1)); one != 2 || both != 4 {
		t.Errorf("%d and %d ends of ranges are marked", one, both)
	}
}

func TestCalibration(t *testing.T) {
	dir := t.TempDir()
	d := write(t, dir, complete(t, dir))
	got := pagetest.Text(d.Classed("facts")[1])
	const want = "calibrated on camvid:day_train, street.mp4 pictures 128 views 512 runs of the model styles photometric, fog, dark seed 7 " +
		"ranges percentile 99.99 % of the values channels equalised yes biases corrected no weights rounded adaptively no time 3 min 32 s peak memory 1.5 GB " +
		"SHA-256 of the pixels d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"
	if got != want {
		t.Errorf("the facts are %q, want %q", got, want)
	}
}

// TestWriteJSON wants a report back as it was written, with lists that programs can go through
// where there is nothing.
func TestWriteJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	if err := WriteJSON(path, &Report{Variants: []Variant{{Name: "fp32"}}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"domains", "layers", "tensors", "sheets", "misses", "kept", "blamed", "accuracy"} {
		if !strings.Contains(string(text), `"`+list+`": []`) {
			t.Errorf("%s are not an empty list in %s", list, text)
		}
	}
	r, err := ReadJSON(path)
	if err != nil || r.Version != FileVersion || len(r.Variants) != 1 || r.Variants[0].Name != "fp32" {
		t.Errorf("read %+v, %v", r, err)
	}
}
