package page_test

import (
	"errors"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/internal/page/pagetest"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/trt"
)

const hostile = `<script>alert(1)</script>"><img src=x onerror=alert(1)>`

// shown is what the layout below shows.
type shown struct {
	Head    page.Head
	Notes   []string
	Facts   []page.Fact
	Rows    []page.PictureRow
	Classes []trt.Class
}

const parts = `<!DOCTYPE html><html lang="en"><head>{{template "head" .Head}}</head><body>
{{template "notes" .Notes}}<dl>{{template "facts" .Facts}}</dl>{{template "rows" .Rows}}{{template "chips" .Classes}}<p>{{twice "x"}}</p></body></html>`

func write(t *testing.T, content any) pagetest.Document {
	t.Helper()
	layout := page.Layout(parts, template.FuncMap{"twice": func(s string) string { return s + s }})
	path := filepath.Join(t.TempDir(), "page.html")
	if err := page.Write(path, layout, content); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return pagetest.Parse(t, string(text))
}

func TestParts(t *testing.T) {
	picture, err := page.PNG(image.NewGray(image.Rect(0, 0, 2, 2)))
	if err != nil {
		t.Fatal(err)
	}
	d := write(t, shown{
		page.NewHead(hostile, ".own { color: red; }"), []string{hostile}, []page.Fact{{Name: hostile, Value: "1", Hint: "runs"}},
		[]page.PictureRow{{Title: hostile, Name: "dusk", Parts: []page.PicturePart{{Name: "input", Alt: hostile, Picture: picture}, {Name: "truth", Alt: "truth"}}}},
		[]trt.Class{{Name: hostile, Color: [3]uint8{1, 2, 255}}},
	})
	pagetest.Check(t, d)
	for class, want := range map[string]string{
		"notes": "Some parts could not be read: " + hostile, "row": hostile + " dusk input unreadable truth",
		"missing": "unreadable", "chips": hostile + " black: not labelled",
	} {
		if got := pagetest.Texts(d.Classed(class)); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", class, got, want)
		}
	}
	if got := pagetest.Texts(d.All("title")); len(got) != 1 || got[0] != hostile {
		t.Errorf("the title is %q", got)
	}
	if style := pagetest.Text(d.All("style")[0]); !strings.HasSuffix(style, ".own { color: red; }") || !strings.Contains(style, "prefers-color-scheme: dark") {
		t.Errorf("the style is %s", style)
	}
	if chips := d.Classed("chip"); !strings.Contains(pagetest.Attribute(chips[0], "style"), "#0102ff") {
		t.Errorf("the class has the style %q", pagetest.Attribute(chips[0], "style"))
	}
	if !strings.Contains(d.Source, "<p>xx</p>") {
		t.Error("the layout's own function was not used")
	}
	if d := write(t, shown{}); len(d.Classed("notes")) > 0 {
		t.Error("there are notes where everything could be read")
	}
}

// A page that cannot be laid out leaves the one before.
func TestWriteKeepsThePageBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := page.Write(path, page.Layout(`half {{fail}}`, template.FuncMap{"fail": func() (string, error) { return "", os.ErrInvalid }}), nil)
	if !errors.Is(err, os.ErrInvalid) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "before" {
		t.Errorf("the page is %q, %v", text, err)
	}
}

func TestSVG(t *testing.T) {
	p := page.NewPlot(hostile, "dB")
	line, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 1}, {X: 2000, Y: 3}})
	if err != nil {
		t.Fatal(err)
	}
	line.Color = page.SeriesColor(2)
	p.Add(page.VerticalGrid(), line)
	svg, err := page.SVG(p, 300, 200, hostile)
	if err != nil {
		t.Fatal(err)
	}
	d := pagetest.Parse(t, string(svg))
	charts := d.All("svg")
	if len(charts) != 1 || pagetest.Attribute(charts[0], "aria-label") != hostile || pagetest.Attribute(charts[0], "viewbox")+pagetest.Attribute(charts[0], "viewBox") != "0 0 300 200" {
		t.Errorf("the chart begins with %.200s", svg)
	}
	if len(d.All("script"))+len(d.All("img")) > 0 {
		t.Errorf("the label became elements: %s", svg)
	}
	if labels := pagetest.Texts(d.All("text")); !slices.Contains(labels, hostile) || !slices.Contains(labels, "2,000") {
		t.Errorf("the labels are %q", labels)
	}
	for _, want := range []string{"var(--s2)", "var(--ink)", "var(--grid)"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the chart does not use %s", want)
		}
	}
	if strings.Contains(string(svg), "font-family") || strings.Contains(string(svg), page.Hex(page.Ink)) {
		t.Errorf("the chart has a font or a colour of its own: %s", svg)
	}
}

func TestPicture(t *testing.T) {
	dir := t.TempDir()
	save := func(name string, picture image.Image) string {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(png.Encode(f, picture), f.Close()); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wide := image.NewPaletted(image.Rect(0, 0, 900, 300), color.Palette{color.Black, color.White})
	for _, c := range []struct {
		name, prefix string
		drawn        bool
	}{{"photo.png", "data:image/jpeg;base64,", false}, {"labels.png", "data:image/png;base64,", true}} {
		url, err := page.Picture(save(c.name, wide), 90, c.drawn)
		if err != nil || !strings.HasPrefix(string(url), c.prefix) {
			t.Errorf("%s: %.40s, %v", c.name, url, err)
		}
	}
	for name, path := range map[string]string{
		"missing": filepath.Join(dir, "missing.png"), "narrow": save("narrow.png", image.NewGray(image.Rect(0, 0, 2, 300))), "a folder": dir,
	} {
		if url, err := page.Picture(path, 90, true); err == nil || !strings.Contains(err.Error(), path) || url != "" {
			t.Errorf("%s: %.40s, %v", name, url, err)
		}
	}
}

func TestWriting(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{page.Difference(-0.126, 2), "−0.13"}, {page.Difference(12, 2), "+12.00"}, {page.Difference(-0.004, 2), "±0.00"},
		{page.Difference(0.4, 0), "±0"}, {page.Difference(-10, 0), "−10"}, {page.Difference(math.NaN(), 1), "–"}, {page.Difference(math.Inf(-1), 1), "–"},
		{page.Bytes(840), "0.8 kB"}, {page.Bytes(3_640_000), "3.6 MB"}, {page.Bytes(21_500_000_000), "21.5 GB"},
		{page.MethodName(nn.ISW), "ISW"}, {page.MethodName("other"), "other"}, {page.MethodName(""), ""},
		{page.TrunkName(nn.MobileNetV2), "MobileNetV2"}, {page.TrunkName("own"), "own"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	for _, m := range nn.Methods() {
		if page.MethodName(m) == string(m) {
			t.Errorf("the paper's name of %s is missing", m)
		}
	}
	for _, trunk := range nn.Trunks() {
		if page.TrunkName(trunk) == string(trunk) {
			t.Errorf("the papers' name of %s is missing", trunk)
		}
	}
}
