package report

import (
	"flag"
	"image"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/robustnet-edge/robustnet/internal/page/pagetest"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/trt"
)

var keep = flag.String("keep", "", "leave the complete report in this folder, to look at it")

// headings are those of a complete report.
var headings = []string{"Accuracy and size", "Latency", "Classes", "Pictures", "Layers", "Tensors", "Calibration"}

// only returns the text of the only element of a class.
func only(t *testing.T, d pagetest.Document, class string) string {
	t.Helper()
	all := pagetest.Texts(d.Classed(class))
	if len(all) != 1 {
		t.Fatalf("there are %d elements of class %s: %q", len(all), class, all)
	}
	return all[0]
}

func TestComplete(t *testing.T) {
	dir := t.TempDir()
	if *keep != "" {
		dir = *keep
	}
	r := complete(t, dir)
	d := write(t, dir, r)
	pagetest.Check(t, d)
	if got := pagetest.Texts(d.All("h2")); !slices.Equal(got, headings) {
		t.Errorf("the headings are %q, want %q", got, headings)
	}
	if got := pagetest.Text(d.All("h1")[0]); got != "street" {
		t.Errorf("the title is %q", got)
	}
	header := pagetest.Text(d.All("header")[0])
	for _, want := range []string{
		"Quantisation of models/street.onnx", "ISW on MobileNetV2, 360×480 pixels, 11 classes, 13.9 MB as fp32",
		"gate missed a loss of up to 0.5 points mIoU is accepted", "▼ −0.60 mIoU: trt-int8 on camvid:dusk_target", "▼ −0.90 mIoU: trt-int8 on idd_lite:val",
		"Layers whose quantisation costs most: /backbone/features.0/conv/conv.2/Conv", "Layers kept in float: /backbone/features.0/conv/conv.0/Conv /backbone/features.0/conv/conv.1/Conv in trt-int8 cpu-int8",
	} {
		if !strings.Contains(header, want) {
			t.Errorf("the headline lacks %q: %s", want, header)
		}
	}
	const ranking = 1
	if charts, pictures := len(d.All("svg")), len(d.All("img")); charts != 1+ranking+len(r.Tensors) || pictures != 5*len(r.Sheets) {
		t.Errorf("there are %d charts and %d pictures", charts, pictures)
	}
	for _, color := range []string{"--s0", "--s1", "--s2", "--good", "--bad"} {
		if strings.Count(d.Source, color+":") != 2 {
			t.Errorf("%s is not there for light and for dark", color)
		}
	}
}

// What a report does not have leaves no heading, and what it has is there all the same.
func TestMissing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *Report)
		gone   []string
	}{
		"variants":    {func(r *Report) { r.Variants = nil }, []string{"Accuracy and size", "Latency", "Classes"}},
		"domains":     {func(r *Report) { r.Domains = nil }, []string{"Classes"}},
		"results":     {func(r *Report) { r.Variants[0].Accuracy = nil }, []string{"Classes"}},
		"classes":     {func(r *Report) { r.Domains[0].Classes, r.Domains[1].Classes, r.Domains[2].Classes = nil, nil, nil }, []string{"Classes"}},
		"times":       {func(r *Report) { r.Variants[0].Latency, r.Variants[1].Latency = nil, nil }, []string{"Latency"}},
		"sheets":      {func(r *Report) { r.Sheets = nil }, []string{"Pictures"}},
		"layers":      {func(r *Report) { r.Layers = nil }, []string{"Layers"}},
		"tensors":     {func(r *Report) { r.Tensors = nil }, []string{"Tensors"}},
		"calibration": {func(r *Report) { r.Calibration = Calibration{} }, []string{"Calibration"}},
		"model":       {func(r *Report) { r.Model = Model{} }, nil},
		"all":         {func(r *Report) { *r = Report{} }, headings},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := complete(t, dir)
			c.change(r)
			d := write(t, dir, r)
			pagetest.Check(t, d)
			want := slices.DeleteFunc(slices.Clone(headings), func(h string) bool { return slices.Contains(c.gone, h) })
			if got := pagetest.Texts(d.All("h2")); !slices.Equal(got, want) {
				t.Errorf("the headings are %q, want %q", got, want)
			}
			if h := pagetest.Text(d.All("h1")[0]); h == "" {
				t.Error("the page has no title")
			}
			for _, class := range []string{"tiles", "card", "legend", "facts", "misses", "notes"} {
				for _, n := range d.Classed(class) {
					if pagetest.Text(n) == "" {
						t.Errorf("an element of class %s is empty", class)
					}
				}
			}
		})
	}
}

// Whatever the numbers are, and however the lists differ in length, there is a page without
// broken coordinates.
func TestStrangeNumbers(t *testing.T) {
	nan, infinite := math.NaN(), math.Inf(1)
	for name, change := range map[string]func(r *Report){
		"not a number": func(r *Report) {
			r.Variants[0].Accuracy[0].MIoU, r.Variants[1].Accuracy[1].Agreement, r.Variants[2].Accuracy[0].IoU[1] = nan, nan, &nan
			r.Variants[1].Latency.Infer, r.Variants[1].Latency.Ratio = Spread{nan, infinite, -1}, nan
			r.Layers[0].SQNR, r.Layers[1].Drop[0] = infinite, nan
			r.Tensors[0].AffineSQNR, r.Tensors[0].Bars[3], r.Tensors[1].High = infinite, nan, infinite
			r.Tensors[2].Affine = histogram.Range{Low: float32(-infinite), High: float32(nan)}
			r.Sheets[0].Agreement, r.Calibration.Seconds, r.Calibration.Range.Share = nan, infinite, nan
			r.Gate.Misses[0].Drop = infinite
		},
		"all layers without noise": func(r *Report) {
			for i := range r.Layers {
				r.Layers[i].SQNR = infinite
			}
		},
		"noise above the signal": func(r *Report) { r.Layers[0].SQNR, r.Layers[1].SQNR = -12, -3 },
		"no times":               func(r *Report) { r.Variants[0].Latency, r.Variants[1].Latency = &Latency{}, &Latency{} },
		"one bar":                func(r *Report) { r.Tensors[0].Bars = []float64{1} },
		"no bars":                func(r *Report) { r.Tensors[0].Bars, r.Tensors[1].Bars = nil, make([]float64, 9) },
		"tiny bars":              func(r *Report) { r.Tensors[0].Bars = []float64{5e-324, 1e-300, 7} },
		"an empty stretch":       func(r *Report) { r.Tensors[0].Low, r.Tensors[0].High = 2, 2 },
		"short lists": func(r *Report) {
			r.Variants[1].Accuracy, r.Variants[2].Accuracy[0].IoU, r.Layers[0].Drop = r.Variants[1].Accuracy[:1], nil, r.Layers[0].Drop[:1]
		},
		"long lists": func(r *Report) {
			r.Layers[0].Drop = slices.Repeat([]float64{1}, 9)
			r.Variants[1].Accuracy = slices.Repeat(r.Variants[1].Accuracy, 3)
		},
		"no layer": func(r *Report) { r.Layers[0] = Layer{} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := complete(t, dir)
			change(r)
			d := write(t, dir, r)
			pagetest.Check(t, d)
			if got := pagetest.Texts(d.All("h2")); !slices.Equal(got, headings) {
				t.Errorf("the headings are %q, want %q", got, headings)
			}
		})
	}
}

// Names come from users, from other people's data sets and from exporters.
func TestHostileNames(t *testing.T) {
	const script, quote = "<script>alert(1)</script>", `"><img src=x onerror=alert(1)> ' onload="alert(1)`
	endless := strings.Repeat("w", 5000)
	for name, bad := range map[string]string{"script": script, "quote": quote, "endless": endless, "lines": "a\n\x00\tb", "not UTF-8": "a\xff\xfe", "an endless line": strings.Repeat("名 ", 4000)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := complete(t, dir)
			r.Program, r.Model = bad, Model{bad, bad, bad, bad, bad, 1, 1, []trt.Class{{Name: bad}, {Name: "road"}}}
			for i := range r.Domains {
				r.Domains[i].Name, r.Domains[i].Classes = bad, slices.Repeat([]string{bad}, len(r.Domains[i].Classes))
			}
			for i := range r.Variants {
				r.Variants[i].Name, r.Variants[i].Runtime, r.Variants[i].File = bad, bad, bad
			}
			r.Variants[0].Latency.CPU = bad
			r.Gate.Misses = []Miss{{bad, bad, 1}}
			r.Gate.Kept, r.Gate.Blamed = slices.Repeat([]string{bad}, 40), []string{bad}
			r.Layers[0].Name, r.Layers[0].Shape, r.Tensors[0].Name = bad, bad, bad
			r.Sheets[0].Domain, r.Sheets[0].Picture, r.Sheets[0].Variant, r.Sheets[1].Truth = bad, bad, bad, bad
			p := &r.Calibration.Pictures
			p.Sources, p.Style, p.Hash, r.Calibration.Range.Method = slices.Repeat([]string{bad}, 50), slices.Repeat([]string{bad}, 50), bad, histogram.Method(bad)
			d := write(t, dir, r)
			pagetest.Check(t, d)
			if got := pagetest.Texts(d.All("h2")); !slices.Equal(got, headings) {
				t.Errorf("the headings are %q, want %q", got, headings)
			}
			if got, want := pagetest.Text(d.All("h1")[0]), strings.Join(strings.Fields(clip(bad, maxName)), " "); got != want {
				t.Errorf("the title is %q, want %q", got, want)
			}
			if note := only(t, d, "notes"); !strings.Contains(note, "read picture ") {
				t.Errorf("the notes are %q", note)
			}
			if strings.Contains(d.Source, strings.Repeat("w", 2*maxName)) {
				t.Error("a name is shown in its whole length")
			}
			const most = 100_000
			rest := utf8.RuneCountInString(drawn.ReplaceAllString(d.Source, ""))
			if rest > most {
				t.Errorf("beside its pictures, the page has %d characters", rest)
			}
		})
	}
}

// drawn are a page's pictures, charts and style.
var drawn = regexp.MustCompile(`(?s)data:image/[^"]*|<svg.*?</svg>|<style>.*?</style>`)

func TestClip(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"conv1", "conv1"}, {"0123456789", "0123456789"}, {"/layer1/conv/Conv", "/lay…/Conv"}, {"äöüßäöüßäöü", "äöüß…üßäöü"}, {"a\nb\x00c", "a b c"}, {"", ""},
	} {
		if got := clip(c.name, 10); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.name, got, c.want)
		}
	}
}

// The page does not grow with the model or the number of pictures.
func TestLimits(t *testing.T) {
	dir := t.TempDir()
	r := complete(t, dir)
	r.Layers, r.Tensors, r.Sheets = slices.Repeat(r.Layers, 20), slices.Repeat(r.Tensors, 40), slices.Repeat(r.Sheets, 10)
	for i := range r.Sheets {
		r.Sheets[i].Truth = "gone.png"
	}
	d := write(t, dir, r)
	pagetest.Check(t, d)
	if tensors, sheets := len(d.Classed("tensor")), len(d.Classed("strip")); tensors != 24 || sheets != 24 {
		t.Errorf("there are %d tensors and %d rows of pictures", tensors, sheets)
	}
	main := pagetest.Text(d.All("main")[0])
	for _, want := range []string{"256 more are in report.json", "16 more are in the folder of this page", "1,015 layers that cost less are left out", "4 more pictures"} {
		if !strings.Contains(main, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "report.html")
	if err := WriteHTML(path, &Report{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("into a folder that is not there: %v", err)
	}
}

// The page is the same each time, so that reports can be compared.
func TestSamePage(t *testing.T) {
	dir := t.TempDir()
	r := complete(t, dir)
	save(t, filepath.Join(dir, r.Sheets[0].Input), image.NewGray(image.Rect(0, 0, 900, 300)))
	if a, b := write(t, dir, r).Source, write(t, dir, r).Source; a != b {
		t.Error("two pages of a report differ")
	}
}
