package report

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
)

var keep = flag.String("keep", "", "leave the made runs with their reports in this folder, to look at them")

// document is a page as a browser reads it.
type document struct {
	text     string
	elements []*html.Node
}

func parse(t *testing.T, text string) document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	d := document{text: text}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			d.elements = append(d.elements, n)
		}
	}
	return d
}

// all returns the elements of a name.
func (d document) all(name string) []*html.Node {
	return slices.DeleteFunc(slices.Clone(d.elements), func(n *html.Node) bool { return n.Data != name })
}

// classed returns the elements that have a class.
func (d document) classed(class string) []*html.Node {
	return slices.DeleteFunc(slices.Clone(d.elements), func(n *html.Node) bool {
		return !slices.Contains(strings.Fields(attribute(n, "class")), class)
	})
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// content is an element's text, with single spaces.
func content(n *html.Node) string {
	var text strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			text.WriteString(c.Data + " ")
		}
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

// texts are the contents of elements.
func texts(nodes []*html.Node) []string {
	var all []string
	for _, n := range nodes {
		all = append(all, content(n))
	}
	return all
}

var dataURLs = regexp.MustCompile(`data:image/[^"]*`)

// checkPage checks what is true of any report: nothing in it comes from elsewhere or runs, and
// nothing is only for the eye.
func checkPage(t *testing.T, d document) {
	t.Helper()
	for _, n := range d.elements {
		switch n.Data {
		case "script", "iframe", "object", "embed", "link", "base", "a", "form":
			t.Errorf("the page has an element %s", n.Data)
		case "img":
			if attribute(n, "alt") == "" {
				t.Error("a picture has no alternative text")
			}
		case "svg":
			if attribute(n, "role") != "img" || attribute(n, "aria-label") == "" {
				t.Error("a chart has no description")
			}
		case "th":
			if s := attribute(n, "scope"); s != "row" && s != "col" {
				t.Errorf("the heading %q belongs to nothing", content(n))
			}
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" && !strings.HasPrefix(a.Val, "data:image/") || a.Key == "href" {
				t.Errorf("%s has the attribute %s=%.40q", n.Data, a.Key, a.Val)
			}
		}
	}
	rest := dataURLs.ReplaceAllString(d.text, "")
	for _, bad := range []string{"url(", "@import", "ZgotmplZ", "#F0F", "#EF", "NaN", "Inf", "%!"} {
		if i := strings.Index(rest, bad); i >= 0 {
			t.Errorf("the page has %q: …%s…", bad, rest[max(0, i-40):min(len(rest), i+40)])
		}
	}
	const maxBytes = 5 << 20
	if len(d.text) > maxBytes {
		t.Errorf("the page has %d bytes", len(d.text))
	}
}

func TestComplete(t *testing.T) {
	root := t.TempDir()
	if *keep != "" {
		root = *keep
	}
	dir := filepath.Join(root, "isw")
	complete(t, dir, 480)
	for method, level := range map[nn.Method]float64{nn.Base: 52, nn.IBN: 61} {
		other := filepath.Join(root, string(method))
		train(t, other, create(t, other, method), 400, level)
	}
	d := parse(t, write(t, dir, nil))
	checkPage(t, d)
	if got, want := texts(d.all("h2")), []string{
		"Training", "Classes", "Confusion", "Fixed samples", "Worst pictures", "Covariances of shallow features",
		"Pictures rebuilt from features", "Methods side by side", "Configuration",
	}; !slices.Equal(got, want) {
		t.Errorf("the headings are %q, want %q", got, want)
	}
	if got := content(d.all("h1")[0]); got != "ISW on MobileNetV2 ×0.5" {
		t.Errorf("the title is %q", got)
	}
	const photos, layers = 3 * (6 + 4 + 4), 3
	if charts, pictures := len(d.all("svg")), len(d.all("img")); charts != 4 || pictures != photos+layers*(3+1)+1 {
		t.Errorf("there are %d charts and %d pictures", charts, pictures)
	}
	if tiles := d.classed("tile"); len(tiles) != len(domains) || !strings.HasPrefix(content(tiles[1]), domains[1]+" ") {
		t.Errorf("the tiles are %q", texts(tiles))
	}
	costs := d.all("table")[len(d.all("table"))-1]
	if text := content(costs); !inOrder(text, "base Baseline", "ibn IBN-Net", "isw ISW") {
		t.Errorf("the methods are not in the paper's order: %s", text)
	}
	if rows := d.classed("this"); len(rows) != 1 || !strings.HasPrefix(content(rows[0]), "isw") {
		t.Errorf("this run is marked in %q", texts(rows))
	}
	for _, text := range []string{"trained on camvid:day_train", "batch 16 pictures", "seed 1", "backbone mobilenet_v2, trained on ImageNet"} {
		if card := content(d.classed("card")[len(d.classed("card"))-1]); !strings.Contains(card, text) {
			t.Errorf("the configuration lacks %q: %s", text, card)
		}
	}
}

// What a training had besides its method is named, so that rows of one method differ.
func TestExtrasAreNamed(t *testing.T) {
	training := run.PublishedTraining(256)
	training.Augmentation.PASTA = augment.PublishedPASTA()
	training.Extras.MixStyle = 0.5
	r := record{Dir: t.TempDir(), Config: run.Config{Network: nn.DefaultSpec(), Method: nn.ISW, Training: &training, Adapted: "night"}}
	row, err := costTable{}.row(r)
	if err != nil || row.Extras != "PASTA, MixStyle" || !row.Adapted {
		t.Errorf("row %+v, error %v", row, err)
	}
	if text := details(r.Config); !strings.HasSuffix(text, ", trained with PASTA, MixStyle") {
		t.Errorf("details %q", text)
	}
	training = run.PublishedTraining(256)
	if names := extras(r.Config); names != nil {
		t.Errorf("the published recipe has the extras %q", names)
	}
}

func inOrder(text string, parts ...string) bool {
	for _, part := range parts {
		_, rest, ok := strings.Cut(text, part)
		if !ok {
			return false
		}
		text = rest
	}
	return true
}

// What cannot be read is named on the page; what is missing is left out; the rest is there.
func TestMissingAndDamaged(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "isw")
	complete(t, whole, 32)
	for name, heading := range map[string]string{
		run.MetricsFile: "", run.EvaluationsFile: "Classes", run.StatusFile: "", run.CovarianceFile: "Covariances of shallow features",
		run.LastFile: "", filepath.Join(run.FiguresDir, "sample_2_image.png"): "",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "isw")
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			d := parse(t, write(t, dir, nil))
			checkPage(t, d)
			if notes := d.classed("notes"); len(notes) > 0 {
				t.Errorf("missing: %q", texts(notes))
			}
			if heading != "" && slices.Contains(texts(d.all("h2")), heading) {
				t.Errorf("missing: the heading %q is there", heading)
			}
			if err := os.WriteFile(path, []byte("damaged\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			d = parse(t, write(t, dir, nil))
			checkPage(t, d)
			if notes := d.classed("notes"); len(notes) != 1 || !strings.Contains(content(notes[0]), name) {
				t.Errorf("damaged: the notes are %q", texts(notes))
			}
		})
	}
}

func TestUntrained(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fresh")
	create(t, dir, nn.Base)
	d := parse(t, write(t, dir, nil))
	checkPage(t, d)
	for _, text := range []string{"not trained here", "No evaluation yet"} {
		if !strings.Contains(d.text, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
	if strings.Contains(d.text, "reconstruct") {
		t.Error("the page asks for a reconstruction where nothing is whitened")
	}
	whitened := filepath.Join(t.TempDir(), "fresh")
	create(t, whitened, nn.ISW)
	spaced := filepath.Join(t.TempDir(), "my run")
	create(t, spaced, nn.ISW)
	if want := "--run &#39;" + spaced + "&#39; --on "; !strings.Contains(write(t, spaced, nil), want) {
		t.Errorf("the page lacks %q", want)
	}
	if want := "robustnet-train reconstruct --run " + whitened + " --on camvid=/data/camvid:day_train"; !strings.Contains(write(t, whitened, nil), want) {
		t.Errorf("the page lacks %q", want)
	}
	if len(d.all("svg"))+len(d.all("img"))+len(d.classed("notes")) > 0 {
		t.Error("there are figures or notes")
	}
}

func TestNoRun(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, nil); err == nil || !strings.Contains(err.Error(), run.ConfigFile) {
		t.Errorf("a folder without a run: %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("it left %v, %v", files, err)
	}
}

// Names come from users and from other people's data sets.
func TestHostileNames(t *testing.T) {
	const script, quote = "<script>alert(1)</script>", `"><img src=x onerror=alert(1)> ' onload="alert(1)`
	dir := filepath.Join(t.TempDir(), "<b>run & more")
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes, spec.Placement = 0.5, nn.LiteHead, 2, nn.Placement{}
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	c := run.Config{Network: spec, Method: nn.Base, Origin: script + quote, Adapted: script, Labels: labels.Set{
		Name: script, Ignore: 255, Classes: []trt.Class{{Name: script}, {Name: quote}},
	}}
	if _, err := run.Create(dir, c, run.Checkpoint{Weights: net.Init(1)}); err != nil {
		t.Fatal(err)
	}
	evaluations := []run.Evaluation{
		{Iteration: 1, Domain: quote, MIoU: 1, Classes: []string{quote, "a class of another set"}, IoU: []float64{1, 2}},
		{Iteration: 2, Domain: quote, MIoU: 2, Classes: []string{script}, IoU: []float64{3}},
	}
	if err := run.WriteEvaluations(dir, evaluations); err != nil {
		t.Fatal(err)
	}
	if err := run.WriteStatus(dir, run.Status{State: script, Reason: quote, Iteration: 2, Iterations: 2}); err != nil {
		t.Fatal(err)
	}
	d := parse(t, write(t, dir, []string{quote, dir + "/."}))
	checkPage(t, d)
	if rows := texts(d.classed("classes")); len(rows) != 1 || !strings.Contains(rows[0], script) || !strings.Contains(rows[0], quote[:20]) {
		t.Errorf("the classes are %q", rows)
	}
	if notes := d.classed("notes"); len(notes) != 1 || !strings.Contains(content(notes[0]), quote[:20]) {
		t.Errorf("the notes are %q", texts(notes))
	}
	if rows := strings.Count(content(d.all("table")[len(d.all("table"))-1]), "Baseline"); rows != 1 {
		t.Errorf("a run that is compared with itself has %d rows", rows)
	}
}

func TestAdaptedIsMarked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	create(t, dir, nn.Base)
	plain := run.Evaluation{Iteration: 5, Domain: "dusk", MIoU: 40, Pictures: 3}
	adapted := plain
	adapted.MIoU, adapted.Adapted = 50, true
	early := run.Evaluation{Iteration: 2, Domain: "dusk", MIoU: 30, Pictures: 3}
	if err := run.WriteEvaluations(dir, []run.Evaluation{early, plain, adapted}); err != nil {
		t.Fatal(err)
	}
	d := parse(t, write(t, dir, nil))
	tiles := texts(d.classed("tile"))
	const mark = "adapted: saw unlabelled target pictures, not domain generalisation"
	if len(tiles) != 2 || strings.Contains(tiles[0], "adapted") || !strings.Contains(tiles[1], "50.0") || !strings.HasSuffix(tiles[1], mark) {
		t.Errorf("the tiles are %q", tiles)
	}
	if legends := texts(d.classed("legend")); len(legends) != 1 || legends[0] != "● dusk ■ dusk (adapted)" {
		t.Errorf("the legends are %q", legends)
	}
	costs := d.all("table")[len(d.all("table"))-1]
	if text := content(costs); !strings.Contains(text, "dusk dusk adapted") || !strings.Contains(text, "40.0 50.0") {
		t.Errorf("the columns are %s", text)
	}
}

func TestChange(t *testing.T) {
	r := record{Config: run.Config{Network: nn.DefaultSpec()}, Evaluations: []run.Evaluation{
		{Iteration: 10, Domain: "a", MIoU: 50}, {Iteration: 10, Domain: "b", MIoU: 30},
		{Iteration: 20, Domain: "a", MIoU: 53.25}, {Iteration: 20, Domain: "b", MIoU: 30.04},
		{Iteration: 30, Domain: "a", MIoU: 51.75},
	}}
	got := newHeadline(r).Domains
	if len(got) != 2 || got[0].Change != -1.5 || got[0].Since != 20 || got[0].Direction() != "down" || got[1].Since != 10 || got[1].Direction() != "same" {
		t.Errorf("the changes are %+v", got)
	}
	r.Evaluations = r.Evaluations[:1]
	if got := newHeadline(r).Domains; len(got) != 1 || got[0].HasChange {
		t.Errorf("a first evaluation changes %+v", got)
	}
}
