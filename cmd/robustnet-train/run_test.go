package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/nn"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/whiten"
	"github.com/robustnet-edge/robustnet/trt"
)

var update = flag.Bool("update", false, "write the golden files anew")

// execute runs a command line and returns what it did.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// succeed runs a command line that must not fail, and returns its output.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := execute(t, args...)
	if code != cli.OK || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	return stdout
}

func TestDescribe(t *testing.T) {
	for name, args := range map[string][]string{
		"default.txt":       {},
		"resnet50_ibn.txt":  {"--trunk", "resnet50", "--method", "ibn", "--size", "768x768"},
		"shufflenet.txt":    {"--trunk", "shufflenetv2", "--method=iw", "--whiten-affine", "conv1x1", "--classes", "11"},
		"lite_layers.txt":   {"--head", "lite", "--width", "0.5", "--method", "base", "--size", "512x1024", "--layers"},
		"shufflenet_sw.txt": {"--trunk", "shufflenetv2", "--placement", "0,0,5,3,4,0,0", "--whiten-group-size", "8", "--layers", "--size", "64x64"},
		"default.json":      {"--json"},
	} {
		t.Run(name, func(t *testing.T) {
			got := succeed(t, append([]string{"describe"}, args...)...)
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestDescribeTotals compares with counts made layer by layer from the published code.
func TestDescribeTotals(t *testing.T) {
	for trunk, want := range map[string]struct {
		training, inference int
		gmacs               float64
	}{
		"mobilenetv2":  {14840966, 13355123, 142.7},
		"resnet50":     {45081414, 40351539, 553.7},
		"shufflenetv2": {12637738, 10488343, 117.1},
	} {
		var d description
		if err := json.Unmarshal([]byte(succeed(t, "describe", "--trunk", trunk, "--json")), &d); err != nil {
			t.Fatal(err)
		}
		if d.Training.Parameters != want.training || d.Inference.Parameters != want.inference {
			t.Errorf("%s: %d parameters in training, %d in inference; want %d, %d", trunk, d.Training.Parameters, d.Inference.Parameters, want.training, want.inference)
		}
		if g := float64(d.Inference.MACs) / 1e9; g < want.gmacs-0.05 || g > want.gmacs+0.05 {
			t.Errorf("%s: %v GMACs, want %v", trunk, g, want.gmacs)
		}
	}
}

func TestCommandLines(t *testing.T) {
	pth := filepath.Join("..", "..", "train", "pth", "testdata", "checkpoint.pth")
	for name, c := range map[string]struct {
		args   []string
		code   int
		stdout string // contained
		stderr string // contained; empty means that nothing may be written
	}{
		"help":              {nil, cli.OK, "Exit codes:\n  0  done\n", ""},
		"command":           {[]string{"descibe"}, cli.Usage, "", "unknown command \"descibe\"; did you mean describe?\n"},
		"no command":        {[]string{"x.pth"}, cli.Usage, "", "unknown command \"x.pth\"; see robustnet-train --help\n"},
		"flag":              {[]string{"describe", "--trnk", "x"}, cli.Usage, "", "unknown flag: --trnk; did you mean --trunk?\n"},
		"stray":             {[]string{"describe", "x"}, cli.Usage, "", "describe: "},
		"trunk":             {[]string{"describe", "--trunk", "vgg"}, cli.Usage, "", "robustnet-train: trunk \"vgg\" is unknown; choose one of mobilenetv2, resnet50, resnet101, shufflenetv2\n"},
		"method":            {[]string{"describe", "--method", "iws"}, cli.Usage, "", "unknown method \"iws\"; choose one of base, in"},
		"placement":         {[]string{"describe", "--placement", "0,1"}, cli.Usage, "", "--placement: placement \"0,1\": it has 2 numbers"},
		"method, placement": {[]string{"describe", "--method", "ibn", "--placement", "0,0,2,2,2,0,0"}, cli.Usage, "", "method ibn does not fit"},
		"size":              {[]string{"describe", "--size", "512"}, cli.Usage, "", "--size \"512\": write height and width in pixels, as in 512x1024\n"},
		"size with a tail":  {[]string{"describe", "--size", "512x1024x3"}, cli.Usage, "", "--size"},
		"negative size":     {[]string{"describe", "--size", "-4x9"}, cli.Usage, "", "--size"},
		"vast size":         {[]string{"describe", "--size", "99999x9"}, cli.Usage, "", "1 to 65536"},
		"layers":            {[]string{"describe", "--layers=some"}, cli.Usage, "", "invalid argument \"some\" for \"--layers\""},
		"affine, no loss":   {[]string{"describe", "--method", "ibn", "--whiten-affine", "affine"}, cli.Usage, "", "--whiten-affine affine: placement 0,0,4,4,4,0,0 has no layer under a whitening loss; it is for iw, irw, isw, giw\n"},
		"no affine":         {[]string{"describe", "--method", "ibn", "--whiten-affine", "none"}, cli.OK, "IBN at layer0.1", ""},
		"groups, no groups": {[]string{"describe", "--whiten-group-size", "8"}, cli.Usage, "", "it is for sw, iternorm\n"},
		"no group":          {[]string{"describe", "--method", "sw", "--whiten-group-size", "0"}, cli.Usage, "", "whitening groups of 0 channels: 1 to 1024 are possible\n"},
		"run and trunk":     {[]string{"describe", "--run", "x", "--trunk", "resnet50"}, cli.Usage, "", "--run names the network; leave out --trunk\n"},
		"no run":            {[]string{"describe", "--run", "none"}, cli.Failure, "", "make one with robustnet-train fit or robustnet-train import\n"},

		"import nothing":          {[]string{"import"}, cli.Usage, "", "import: accepts 1 arg(s), received 0"},
		"import nowhere":          {[]string{"import", pth}, cli.Usage, "", "say with --out which run folder to make\n"},
		"import no file":          {[]string{"import", "none.pth", "--out", "x"}, cli.Failure, "", "none.pth: no such file"},
		"import text":             {[]string{"import", "run_test.go", "--out", "x"}, cli.Failure, "", "it is not a PyTorch checkpoint"},
		"import another network":  {[]string{"import", pth, "--out", "x"}, cli.Failure, "", "import " + pth + ": recognise checkpoint: its keys are of no network known here"},
		"import with a trunk":     {[]string{"import", pth, "--out", "x", "--trunk", "resnet50"}, cli.Usage, "", "the checkpoint tells what --trunk says"},
		"import with a placement": {[]string{"import", pth, "--out", "x", "--placement", "1"}, cli.Usage, "", "it has 1 numbers"},
		"pretrained, no classes":  {[]string{"import", pth, "--out", "x", "--pretrained"}, cli.Usage, "", "say with --classes what"},
		"pretrained, bad classes": {[]string{"import", pth, "--out", "x", "--pretrained", "--classes", "cityscape"}, cli.Usage, "", "did you mean cityscapes?"},
		"pretrained, not one":     {[]string{"import", pth, "--out", "x", "--pretrained", "--classes", "3"}, cli.Failure, "", "not those of torchvision's mobilenetv2"},

		"loss of a checkpoint": {[]string{"import", pth, "--out", "x", "--clusters", "3"}, cli.Usage, "", "--clusters is for new networks, which --pretrained makes\n"},

		"export nothing":     {[]string{"export"}, cli.Usage, "", "say with --run which run"},
		"export no run":      {[]string{"export", "--run", "none", "--out", "x.onnx"}, cli.Failure, "", "robustnet-train import"},
		"export no folder":   {[]string{"export", "--run", "none", "--out", "no/x.onnx"}, cli.Failure, "", "--out no/x.onnx: folder no does not exist; make it first\n"},
		"export in a file":   {[]string{"export", "--run", "none", "--out", "run_test.go/x.onnx"}, cli.Failure, "", "run_test.go is not a folder"},
		"export to a folder": {[]string{"export", "--run", "none", "--out", "testdata"}, cli.Failure, "", "--out testdata: it is a folder; name a file in it\n"},
		"export outputs":     {[]string{"export", "--run", "none", "--out", "x.onnx", "--outputs", "mask"}, cli.Usage, "", "--outputs: output style is missing"},
		"export eval":        {[]string{"export", "--run", "none", "--out", "x.onnx", "--eval", "camvid"}, cli.Usage, "", "write LAYOUT=DIR or LAYOUT=DIR:SPLIT"},

		"conformance blas":   {[]string{"conformance", "--blas", "mkl", "none"}, cli.Usage, "", "--blas \"mkl\": choose reference or system\n"},
		"conformance device": {[]string{"conformance", "--device", "gpu", "none"}, cli.Usage, "", "--device: device \"gpu\": want cpu, cuda or cuda:N\n"},
		"conformance none":   {[]string{"conformance", "none"}, cli.Failure, "", "none/manifest.json: no such file or directory; a reference folder holds manifest.json and tensors.f32\n"},

		"version":    {[]string{"version"}, cli.OK, "\nlibtorch ", ""},
		"completion": {[]string{"completion", "bash"}, cli.OK, "complete", ""},
		"choices":    {[]string{"__complete", "describe", "--trunk", ""}, cli.OK, "mobilenetv2\nresnet50\n", "Completion ended"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, c.args...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %d, %q, %q", code, stdout, stderr, c.code, c.stdout, c.stderr)
			}
		})
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("a run folder was made")
	}
}

// TestImport imports a checkpoint as the published program writes them, shows it and exports
// it.
func TestImport(t *testing.T) {
	spec := nn.DefaultSpec()
	spec.Width, spec.Head = 0.5, nn.LiteHead
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	state, dir := net.Init(5), t.TempDir()
	path, runDir := filepath.Join(dir, "last.pth"), filepath.Join(dir, "run")
	writeCheckpoint(t, path, state, "--arch network.deepv3.DeepMobileNetV3PlusD --wt_layer 0 0 2 2 2 0 0 --wt_reg_weight 1.0 --relax_denom 0.0 --clusters 20")

	want := `mobilenetv2 ×0.5, lite head, output stride 16, 19 classes (cityscapes), isw
norms: ISW at layer0.1, layer1.4, layer2.3
1,926,006 parameters in training, 1,177,443 in inference
whitening loss of weight 1, masks from 20 clusters
output stride 16, by network.deepv3.DeepMobileNetV3PlusD in the file's training command
norms 0,0,2,2,2,0,0, by the training command in the file
not needed: criterion.weight
there are no masks in published files: training on with isw selects new ones
not read: 2.1 MB beside the weights, such as the optimiser's state
wrote ` + runDir + "\n"
	if got := succeed(t, "import", path, "--out", runDir); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r, err := trainrun.Open(runDir)
	if err != nil {
		t.Fatal(err)
	}
	for key, a := range state {
		if !bytes.Equal(floatBytes(a.Data), floatBytes(r.Weights[key].Data)) {
			t.Errorf("%s has changed", key)
		}
	}
	if *r.Config.Whitening != (whiten.Settings{Lambda: 1, Clusters: 20}) || !strings.HasPrefix(r.Config.Origin, "imported from last.pth, sha256 ") {
		t.Errorf("config %+v", r.Config)
	}
	if got, same := succeed(t, "describe", "--run", runDir), succeed(t, "describe", "--head", "lite", "--width", "0.5"); got != same {
		t.Errorf("the run is described as\n%s\nand not as\n%s", got, same)
	}
	code, _, stderr := execute(t, "import", path, "--out", runDir)
	if code != cli.Failure || !strings.Contains(stderr, "there is a run already") {
		t.Errorf("second import: exit code %d, %s", code, stderr)
	}
	code, _, stderr = execute(t, "import", path, "--out", filepath.Join(dir, "other"), "--classes", "camvid")
	if code != cli.Failure || !strings.Contains(stderr, `set "camvid" has 11 classes, but the network tells 19 apart`) {
		t.Errorf("import with other classes: exit code %d, %s", code, stderr)
	}

	model := filepath.Join(dir, "model.onnx")
	got := succeed(t, "export", "--run", runDir, "--size", "64x96", "--out", model)
	if !strings.Contains(got, "output mask: uint8[1 32 48]") || !strings.Contains(got, "next: robustnet-edge --model "+model) {
		t.Errorf("export says\n%s", got)
	}
	content, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	card, err := trt.ReadCard(content)
	if err != nil {
		t.Fatal(err)
	}
	if card.Name != "run" || card.Method != "isw" || card.Classes[18].Name != "bicycle" || !strings.HasPrefix(card.Training, "imported from last.pth") {
		t.Errorf("card %+v", card)
	}
}

// TestPretrained starts runs from the real ImageNet backbone.
func TestPretrained(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "data", "weights", "mobilenetv2_1.0_tvkeys.pth")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("skipped: the ImageNet weights are not here: %v", err)
	}
	dir := t.TempDir()
	args := func(out string, more ...string) []string {
		return append([]string{"import", path, "--pretrained", "--head", "lite", "--classes", "camvid", "--out", filepath.Join(dir, out)}, more...)
	}
	got := succeed(t, args("a", "--method", "irw", "--whiten-affine", "affine")...)
	for _, want := range []string{"11 classes (camvid), irw\n", "followed by affine\n", "whitening loss of weight 1, margin 1/64 of the covariances\n", "not needed: 52 batch counters, features.18.0.weight", "the head is untrained, of seed 1\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("import says %q, want %q in it", got, want)
		}
	}
	succeed(t, args("b", "--seed", "2", "--placement", "0,0,1,1,0,0,0")...)
	var runs [2]*trainrun.Run
	for i, name := range []string{"a", "b"} {
		r, err := trainrun.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		runs[i] = r
	}
	if c := runs[0].Config; c.Method != nn.IRW || *c.Whitening != (whiten.Settings{Lambda: 1, RelaxDenom: 64}) {
		t.Errorf("config %+v, whitening %+v", c, c.Whitening)
	}
	if c := runs[1].Config; c.Method != nn.IW || *c.Whitening != (whiten.Settings{Lambda: 1}) {
		t.Errorf("config %+v, whitening %+v", c, c.Whitening)
	}
	same := func(key string) bool {
		return bytes.Equal(floatBytes(runs[0].Weights[key].Data), floatBytes(runs[1].Weights[key].Data))
	}
	if !same("layer3.6.conv.2.weight") || same("final2.0.weight") {
		t.Error("seeds must change the head and nothing else")
	}
	if sum := total(runs[0].Weights["layer0.0.0.weight"].Data); sum < -0.975590 || sum > -0.975580 {
		t.Errorf("the stem's weights sum to %v, want -0.975585 as listed beside the file", sum)
	}
	if code, _, stderr := execute(t, args("c", "--width", "0.5")...); code != cli.Failure || !strings.HasSuffix(stderr, ": read backbone: the file has width 1; give --width 1\n") {
		t.Errorf("import at another width: exit code %d, %s", code, stderr)
	}
}

func total(values []float32) (sum float64) {
	for _, v := range values {
		sum += float64(v)
	}
	return sum
}
