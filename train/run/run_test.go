package run

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/whiten"
	"github.com/robustnet-edge/robustnet/trt"
)

// small is a run of the cheapest network, with masks.
func small(t *testing.T) (Config, Checkpoint) {
	t.Helper()
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes = 0.5, nn.LiteHead, 11
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Network: spec, Method: nn.ISW, Whitening: &whiten.Settings{Lambda: 0.6, RelaxDenom: 0, Clusters: 3}, Labels: labels.CamVid(), Origin: "a test: \"quoted\"\nand more"}
	masks := map[string][]uint8{}
	for i, tap := range net.Taps {
		masks[tap.Name] = make([]uint8, tap.Channels*tap.Channels)
		masks[tap.Name][1+i] = 1
	}
	return c, Checkpoint{Weights: net.Init(7), Masks: masks}
}

func TestRoundTrip(t *testing.T) {
	for name, masks := range map[string]bool{"with masks": true, "before the selection": false} {
		t.Run(name, func(t *testing.T) {
			c, ck := small(t)
			if !masks {
				ck.Masks, c.Whitening = nil, nil
			}
			dir := filepath.Join(t.TempDir(), "runs", "x")
			if _, err := Create(dir, c, ck); err != nil {
				t.Fatal(err)
			}
			r, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprintf("%+v", r.Config.Whitening) != fmt.Sprintf("%+v", c.Whitening) || r.Config.Network != c.Network ||
				r.Config.Method != c.Method || r.Config.Origin != c.Origin || fmt.Sprint(r.Config.Labels) != fmt.Sprint(c.Labels) {
				t.Errorf("read %+v, want %+v", r.Config, c)
			}
			same := func(a, b nn.Array) bool { return slices.Equal(a.Shape, b.Shape) && slices.Equal(a.Data, b.Data) }
			if !maps.EqualFunc(r.Weights, ck.Weights, same) || !maps.EqualFunc(r.Masks, ck.Masks, slices.Equal) {
				t.Error("weights or masks changed")
			}
			if files := list(t, dir); !slices.Equal(files, []string{ConfigFile, LastFile}) {
				t.Errorf("the folder holds %v", files)
			}
			if text, err := os.ReadFile(filepath.Join(dir, ConfigFile)); err != nil || strings.Contains(string(text), "maps") {
				t.Errorf("maps that nobody named are in the configuration, or %v:\n%s", err, text)
			}
		})
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// harbour is [small] with classes of the user's own, and maps from them.
func harbour(t *testing.T) (Config, Checkpoint) {
	t.Helper()
	c, ck := small(t)
	c.Labels.Name, c.Labels.Ignore = "harbour", 255
	c.Labels.Classes[0].Name, c.Labels.Classes[1].Name, c.Labels.Classes[2].Name = "water", "yes", "a: b"
	port := labels.Set{Name: "port", Ignore: 7, Classes: []trt.Class{{Name: "sea: deep", Color: [3]uint8{1, 2, 3}}}}
	c.Labels.Maps = []labels.NamedMap{
		{To: labels.CamVid(), Classes: map[string]string{"yes": "road", "a: b": "pole"}},
		{To: port, Classes: map[string]string{"water": "sea: deep"}},
	}
	return c, ck
}

// TestMapsRoundTrip wants a run to find the maps of its classes without the files that named
// them.
func TestMapsRoundTrip(t *testing.T) {
	c, ck := harbour(t)
	dir := filepath.Join(t.TempDir(), "x")
	if _, err := Create(dir, c, ck); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.Config.Labels, c.Labels) {
		t.Errorf("read %+v, want %+v", r.Config.Labels, c.Labels)
	}
	for _, own := range c.Labels.Maps {
		if _, ok := labels.FindMap(r.Config.Labels, own.To); !ok {
			t.Errorf("the map to %s is lost", own.To.Name)
		}
	}
}

func contains(t *testing.T, err error, wants ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want %q in it", err, want)
		}
	}
}

func TestRefusedCheckpoints(t *testing.T) {
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		edit func(*Config, Checkpoint)
		want []string
	}{
		"NaN and infinity": {func(_ *Config, ck Checkpoint) {
			ck.Weights["final2.0.bias"].Data[3] = nan
			ck.Weights["dsn.1.running_var"].Data[0] = float32(math.Inf(1))
		}, []string{"2 weights are not finite", "dsn.1.running_var (value 0 is +Inf), final2.0.bias (value 3 is NaN)"}},
		"missing weights": {func(_ *Config, ck Checkpoint) { delete(ck.Weights, "final2.0.bias"); delete(ck.Weights, "dsn.0.bias") }, []string{"2 keys missing:\n  final2.0.bias\n  dsn.0.bias"}},
		"unknown weights": {func(_ *Config, ck Checkpoint) { ck.Weights["x"] = nn.Array{Shape: []int{1}, Data: []float32{1}} }, []string{"1 keys unknown:\n  x"}},
		"another trunk":   {func(c *Config, _ Checkpoint) { c.Network.Trunk, c.Network.Width = nn.ShuffleNetV2, 1 }, []string{"keys missing", "more\n", "keys unknown"}},
		"no such network": {func(c *Config, _ Checkpoint) { c.Network.Trunk = "vgg" }, []string{"trunk \"vgg\" is unknown"}},
		"too few names":   {func(c *Config, _ Checkpoint) { c.Labels = labels.IDDLite() }, []string{"set \"idd-lite\" has 7 classes, but the network tells 11 apart"}},
		"too long maps": {func(c *Config, _ Checkpoint) {
			name := strings.Repeat("x", 40<<10)
			port := labels.Set{Name: "port", Ignore: 255, Classes: []trt.Class{{Name: name}}}
			c.Labels.Maps = []labels.NamedMap{{To: port, Classes: map[string]string{"road": name}}}
		}, []string{"the configuration does not read back", "larger than 64 KiB"}},
		"foreign method":  {func(c *Config, _ Checkpoint) { c.Method = nn.IBN }, []string{"method ibn does not fit the placement 0,0,2,2,2,0,0; its own is 0,0,4,4,4,0,0"}},
		"base with norms": {func(c *Config, _ Checkpoint) { c.Method = nn.Base }, []string{"method base does not fit"}},
		"mistyped method": {func(c *Config, _ Checkpoint) { c.Method = "isww" }, []string{"did you mean isw?"}},
		"NaN lambda":      {func(c *Config, _ Checkpoint) { c.Whitening.Lambda = math.NaN() }, []string{"whitening.lambda is NaN"}},
		"negative settings": {func(c *Config, _ Checkpoint) {
			*c.Whitening = whiten.Settings{Lambda: -1, RelaxDenom: -1, Clusters: -1, Groups: -1}
		}, []string{"lambda is -1", "relax_denom is -1", "clusters is -1"}},
		"groups of ISW":     {func(c *Config, _ Checkpoint) { c.Whitening.Groups = 4 }, []string{"groups are for method giw, not isw"}},
		"one cluster":       {func(c *Config, _ Checkpoint) { c.Whitening.Clusters = 1 }, []string{"method isw needs 2 or more"}},
		"a mask is missing": {func(_ *Config, ck Checkpoint) { delete(ck.Masks, "layer1.4") }, []string{"the mask of layer1.4 is missing"}},
		"a foreign mask":    {func(_ *Config, ck Checkpoint) { ck.Masks["layer4"] = []uint8{1} }, []string{"a mask of layer4, where no selective whitening"}},
		"an empty mask":     {func(_ *Config, ck Checkpoint) { clear(ck.Masks["layer1.4"]) }, []string{"layer1.4: whitening mask: it selects nothing"}},
		"a small mask":      {func(_ *Config, ck Checkpoint) { ck.Masks["layer1.4"] = []uint8{0, 1, 0, 0} }, []string{"4 entries are not a square matrix of 16 channels"}},
		"a mask's diagonal": {func(_ *Config, ck Checkpoint) { ck.Masks["layer1.4"][17] = 1 }, []string{"entry (1, 1) is set"}},
		"a mask of twos":    {func(_ *Config, ck Checkpoint) { ck.Masks["layer1.4"][1] = 2 }, []string{"entry (0, 1) is 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			config, ck := small(t)
			c.edit(&config, ck)
			dir := filepath.Join(t.TempDir(), "x")
			_, err := Create(dir, config, ck)
			contains(t, err, append(c.want, "create run "+dir)...)
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("a folder was left: %v", err)
			}
		})
	}
}

// TestDamagedMaps edits the maps of a run's classes.
func TestDamagedMaps(t *testing.T) {
	c, ck := harbour(t)
	dir := filepath.Join(t.TempDir(), "x")
	if _, err := Create(dir, c, ck); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, ConfigFile)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown class":       {"water: \"sea", "harbor: \"sea", `map to port: "harbor" is no class of harbour; its classes are water, yes, a: b`},
		"unknown other class": {"\"yes\": road", "\"yes\": street", `map to camvid: "yes" is mapped to "street", which is none of its classes sky`},
		"bad id":              {"ignore: 7", "ignore: 0", `map to "port": label 0 is ignored; it must be no class's id: 1 to 255`},
		"no such id":          {"ignore: 7", "ignore: 256", `map to "port": label 256 is ignored`},
		"class named twice":   {"name: pole", "name: road", `map to "camvid": classes 2 and 3 are both named "road"`},
		"no other set":        {"  - to:\n      name: port", "  - too:\n      name: port", `unknown field "too"`},
		"color cut":           {"[1, 2, 3]", "[1, 2]", "[1, 2] has 2 elements, not 3"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(string(sound), c.old) {
				t.Fatalf("%q is not in\n%s", c.old, sound)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(sound), c.old, c.new, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := ReadConfig(dir)
			contains(t, err, "open run", c.want)
		})
	}
}

func TestCreateKeepsWhatIsThere(t *testing.T) {
	c, ck := small(t)
	dir := t.TempDir() // empty, as a mounted folder may be
	if _, err := Create(dir, c, ck); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, LastFile))
	if err != nil {
		t.Fatal(err)
	}
	ck.Weights["final2.0.bias"].Data[0] = 3
	_, err = Create(dir, c, ck)
	contains(t, err, "there is a run already; name another folder, or delete this one first")
	if after, _ := os.ReadFile(filepath.Join(dir, LastFile)); !slices.Equal(before, after) {
		t.Error("the run was overwritten")
	}

	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Create(other, c, ck)
	contains(t, err, "other files, such as thesis.tex")
	_, err = Create(filepath.Join(other, "thesis.tex"), c, ck)
	contains(t, err, "create run", "not a directory")
	_, err = Create(filepath.Join(other, "thesis.tex", "x"), c, ck)
	contains(t, err, "create run", "not a directory")
	if files := list(t, other); !slices.Equal(files, []string{"thesis.tex"}) {
		t.Errorf("the folder holds %v", files)
	}
}

// TestFailedWrite fails where the configuration should go.
func TestFailedWrite(t *testing.T) {
	c, ck := small(t)
	dir := t.TempDir()
	r, err := assemble(dir, c, ck)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, ConfigFile, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.write(); err == nil {
		t.Error("config.yaml was written over a folder")
	}
	if files := list(t, dir); !slices.Equal(files, []string{ConfigFile, LastFile}) {
		t.Errorf("partly written files are left: %v", files)
	}
}

func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("skipped: root writes into read-only folders")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	c, ck := small(t)
	_, err := Create(filepath.Join(dir, "x"), c, ck)
	contains(t, err, "permission denied")
}

func TestDamagedRuns(t *testing.T) {
	c, ck := small(t)
	sound := filepath.Join(t.TempDir(), "sound")
	if _, err := Create(sound, c, ck); err != nil {
		t.Fatal(err)
	}
	edit := func(name string, edit func(string) string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			content, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, []byte(edit(string(content))), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	config := func(old, new string) func(*testing.T, string) {
		return edit(ConfigFile, func(s string) string { return strings.Replace(s, old, new, 1) })
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		damage func(*testing.T, string)
		want   []string
	}{
		"no config":         {remove(ConfigFile), []string{"it has no config.yaml", "robustnet-train import"}},
		"no weights":        {remove(LastFile), []string{"last.safetensors: no such file", "import the weights anew"}},
		"unknown key":       {config("method:", "methods:"), []string{"config.yaml:10:1: unknown field \"methods\""}},
		"unknown inner key": {config("  clusters:", "  cluster:"), []string{"config.yaml:", ":3: unknown field \"cluster\""}},
		"wrong type":        {config("output_stride: 16", "output_stride: sixteen"), []string{"config.yaml:4:18: "}},
		"placement cut":     {config("[0, 0, 2, 2, 2, 0, 0]", "[0, 0, 2]"), []string{"config.yaml: [0, 0, 2] has 3 elements, not 7"}},
		"placement long":    {config("[0, 0, 2, 2, 2, 0, 0]", "[0, 0, 2, 2, 2, 0, 0, 2]"), []string{"has 8 elements, not 7"}},
		"color cut":         {config("[128, 128, 128]", "[128, 128]"), []string{"config.yaml: [128, 128] has 2 elements, not 3"}},
		"several faults":    {config("output_stride: 16\n  head: lite", "output_stride: 12\n  head: big"), []string{"output stride 12", "head \"big\" is unknown"}},
		"empty config":      {edit(ConfigFile, func(string) string { return "" }), []string{"the file is empty"}},
		"cut config":        {edit(ConfigFile, func(s string) string { return s[:len(s)/2] }), []string{"config.yaml:24:12: "}},
		"cut weights":       {edit(LastFile, func(s string) string { return s[:len(s)/2] }), []string{"last.safetensors"}},
		"no safetensors":    {edit(LastFile, func(string) string { return "<html>" }), []string{"last.safetensors"}},
		"other weights": {config("trunk: mobilenetv2\n  width: 0.5", "trunk: resnet50\n  width: 1"), []string{
			": config.yaml names the trunk resnet50, but the weights are those of mobilenetv2 of width 0.5; one of them is of another run:\n", "keys missing:\n", "more\n", "keys unknown:\n"}},
		"other width": {config("width: 0.5", "width: 1"), []string{"mobilenetv2 of width 1, but the weights are those of mobilenetv2 of width 0.5"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "x")
			if err := os.CopyFS(dir, os.DirFS(sound)); err != nil {
				t.Fatal(err)
			}
			c.damage(t, dir)
			_, err := Open(dir)
			contains(t, err, append(c.want, "open run")...)
		})
	}
	_, err := Open(filepath.Join(sound, "none"))
	contains(t, err, "it is no complete run")
}

// TestSaveDiverged wants weights that are no numbers not to replace those that are.
func TestSaveDiverged(t *testing.T) {
	c, ck := small(t)
	r, err := Create(filepath.Join(t.TempDir(), "x"), c, ck)
	if err != nil {
		t.Fatal(err)
	}
	bad := Checkpoint{Weights: maps.Clone(ck.Weights)}
	a := bad.Weights["final2.0.bias"]
	bad.Weights["final2.0.bias"] = nn.Array{Shape: a.Shape, Data: slices.Repeat([]float32{float32(math.NaN())}, len(a.Data))}
	contains(t, r.Save(bad), "final2.0.bias (value 0 is NaN)", "the one before is whole: lower the learning rate")
	if _, err := Open(r.Dir); err != nil {
		t.Error(err)
	}
}

func TestOpenCheckpoint(t *testing.T) {
	c, ck := small(t)
	dir := filepath.Join(t.TempDir(), "x")
	r, err := Create(dir, c, ck)
	if err != nil {
		t.Fatal(err)
	}
	best := filepath.Join(dir, BestFile)
	if _, err := OpenCheckpoint(best); err == nil || !strings.Contains(err.Error(), "which validations write") {
		t.Errorf("without a best checkpoint: error %v", err)
	}
	ck.Progress.Iterations = 7
	if err := r.SaveBest(ck); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{best: 7, dir: 0, filepath.Join(dir, LastFile): 0} {
		got, err := OpenCheckpoint(path)
		if err != nil {
			t.Fatal(err)
		}
		if got.Dir != dir || got.Progress.Iterations != want {
			t.Errorf("%s: folder %s, iteration %d, want %d", path, got.Dir, got.Progress.Iterations, want)
		}
	}
	// Training on from there would lose what came after.
	if _, err := Open(best); err == nil {
		t.Error("Open takes a checkpoint for a run folder")
	}
}
