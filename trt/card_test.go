package trt_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

func TestReadCardReturnsWhatWasStored(t *testing.T) {
	o := trttest.Options{Classes: 5, InputWidth: 64, InputHeight: 40, MaskWidth: 16, MaskHeight: 20}
	o.EditCard = func(c *trt.Card) {
		c.Accuracy["camvid/day_val"] = trt.Accuracy{MIoU: 54.07, PerClass: []float64{1, 2, 3, 4, 5}}
		c.Training = "run 7"
	}
	got, err := trt.ReadCard(trttest.Model(o))
	if err != nil {
		t.Fatal(err)
	}
	want := trttest.Card(o)
	o.EditCard(want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("card = %+v\nwant   %+v", got, want)
	}
}

func TestReadCardAcceptsTheFirstVersion(t *testing.T) {
	if _, err := trt.ReadCard(trttest.Model(trttest.Options{EditCard: func(c *trt.Card) { c.Version = 0 }})); err != nil {
		t.Error(err)
	}
}

const broken = "it breaks the model-file contract of docs/model-file.md: "

func TestReadCardSaysWhatIsWrong(t *testing.T) {
	edit := func(f func(*trt.Card)) trttest.Options { return trttest.Options{EditCard: f} }
	faults := map[string]struct {
		options trttest.Options
		want    string
	}{
		"float input":     {trttest.Options{InputType: onnx.Float32}, "its input image is float32; it must be uint8"},
		"opset":           {trttest.Options{Opset: 16}, "it uses ONNX opset 16; export it again with opset 17"},
		"newer opset":     {trttest.Options{Opset: 20}, "it uses ONNX opset 20; export it again with opset 17"},
		"no card":         {trttest.Options{NoCard: true}, "it carries no card, so its classes are unknown; write it with `robustnet-train export`, or add one as metadata robustnet.card"},
		"card not JSON":   {trttest.Options{CardText: "classes: [road]"}, "its card cannot be read: invalid character 'c' looking for beginning of value"},
		"card with NaN":   {trttest.Options{CardText: `{"style": {"mean": [NaN]}}`}, "its card cannot be read: invalid character 'N' looking for beginning of value"},
		"card cut short":  {trttest.Options{CardText: `{"version": 1`}, "its card cannot be read: unexpected end of JSON input"},
		"card is null":    {trttest.Options{CardText: "null"}, "its card names 0 classes; 1 to 255 are possible"},
		"wrong JSON type": {trttest.Options{CardText: `{"name": 5}`}, "its card cannot be read: json: cannot unmarshal number into Go struct field Card.name of type string"},
		"newer card": {
			trttest.Options{CardText: `{"version": 2, "classes": "moved elsewhere"}`},
			"its card has version 2 and this program knows 0 to 1; update the program",
		},
		"negative version": {edit(func(c *trt.Card) { c.Version = -1 }), "its card has version -1 and this program knows 0 to 1; update the program"},
		"no classes":       {edit(func(c *trt.Card) { c.Classes = nil }), "its card names 0 classes; 1 to 255 are possible"},
		"256 classes":      {edit(func(c *trt.Card) { c.Classes = make([]trt.Class, 256) }), "its card names 256 classes; 1 to 255 are possible"},
		"nameless class":   {edit(func(c *trt.Card) { c.Classes[3].Name = "" }), "its card gives class 3 no name"},
		"same class twice": {edit(func(c *trt.Card) { c.Classes[3].Name = "a" }), `its card names two classes "a"`},
		"ignores a class":  {edit(func(c *trt.Card) { c.Ignore = 10 }), "its card ignores label 10; a label from 11 to 255, which is no class's, is possible"},
		"accuracy length": {
			edit(func(c *trt.Card) { c.Accuracy["x"] = trt.Accuracy{PerClass: make([]float64, 3)} }),
			`its card gives the accuracy of 3 classes on "x" but names 11`,
		},
		"planar layout": {
			edit(func(c *trt.Card) { c.Input.Layout = "NCHW" }),
			`its card says that the input is "NCHW" "uint8" "RGB"; NHWC uint8 RGB is the only one known`,
		},
		"colour order": {
			edit(func(c *trt.Card) { c.Input.Color = "BGR" }),
			`its card says that the input is "NHWC" "uint8" "BGR"; NHWC uint8 RGB is the only one known`,
		},
		"input size": {edit(func(c *trt.Card) { c.Input.Height, c.Input.Width = 48, 36 }), "its input image has shape [1 36 48 3] but by its card it is [1 48 36 3]"},
		"no size":    {edit(func(c *trt.Card) { c.Input.CardSize = trt.CardSize{} }), "its card says that the input is 0 high and 0 wide; 1 to 8192 are possible"},
		"huge size": {
			trttest.Options{InputWidth: 1 << 40, InputHeight: 1 << 40},
			"its card says that the input is 1099511627776 high and 1099511627776 wide; 1 to 8192 are possible",
		},
		"mask size":          {edit(func(c *trt.Card) { c.Mask.Width = 48 }), "its output mask has shape [1 18 24] but by its card it is [1 18 48]"},
		"negative mask size": {edit(func(c *trt.Card) { c.Mask.Width = -24 }), "its card says that the mask is 18 high and -24 wide; 1 to 8192 are possible"},
		"no style output":    {trttest.Options{NoStyle: true}, "it has no output named style"},
		"style length":       {edit(func(c *trt.Card) { c.Style.Mean, c.Style.Std = make([]float32, 4), make([]float32, 4) }), "its output style has shape [1 6] but by its card it is [1 4]"},
		"style mismatch":     {edit(func(c *trt.Card) { c.Style.Std = nil }), "its card gives 6 style means and 0 standard deviations; equal numbers above 0 are possible"},
		"style deviation":    {edit(func(c *trt.Card) { c.Style.Std[2] = -0.5 }), "its card gives a negative standard deviation of the style: -0.5"},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			card, err := trt.ReadCard(trttest.Model(fault.options))
			if !errors.Is(err, trt.ErrContract) {
				t.Fatalf("error = %v, want one that wraps ErrContract", err)
			}
			if got := err.Error(); got != broken+fault.want {
				t.Errorf("got  %s\nwant %s", got, broken+fault.want)
			}
			if card != nil {
				t.Errorf("card = %v, want none beside an error", card)
			}
		})
	}
}

func TestReadCardRefusesWeightsElsewhere(t *testing.T) {
	// One initialiser more, whose field data_location says EXTERNAL.
	initializer := protowire.AppendVarint(protowire.AppendTag(nil, 14, protowire.VarintType), 1)
	graph := protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), initializer)
	model := protowire.AppendTag(trttest.Model(trttest.Options{}), 7, protowire.BytesType)
	_, err := trt.ReadCard(protowire.AppendBytes(model, graph))
	want := broken + "its weights are in other files; save it as a single file"
	if !errors.Is(err, trt.ErrContract) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestReadCardRefusesWhatIsNoModel(t *testing.T) {
	random := make([]byte, 4096)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(random)
	whole := trttest.Model(trttest.Options{})
	files := map[string]struct {
		model []byte
		want  string
	}{
		"empty":     {nil, "not a readable ONNX model: it is empty"},
		"random":    {random, "not a readable ONNX model: it is cut short or damaged"},
		"a picture": {[]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"), "not a readable ONNX model: it is cut short or damaged"},
		"a page":    {[]byte("<!DOCTYPE html><html><body>404"), "not a readable ONNX model: it is cut short or damaged"},
		"half":      {whole[:len(whole)/2], "not a readable ONNX model: it is cut short or damaged"},
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			_, err := trt.ReadCard(file.model)
			if !errors.Is(err, onnx.ErrCorrupt) {
				t.Fatalf("error = %v, want one that wraps ErrCorrupt", err)
			}
			if err.Error() != file.want {
				t.Errorf("got  %s\nwant %s", err, file.want)
			}
		})
	}
}

// A file that was cut short anywhere must not pass for a model.
func TestReadCardRefusesEveryPrefix(t *testing.T) {
	whole := trttest.Model(trttest.Options{})
	for n := range whole {
		_, err := trt.ReadCard(whole[:n])
		if !errors.Is(err, onnx.ErrCorrupt) && !errors.Is(err, trt.ErrContract) {
			t.Fatalf("first %d of %d bytes: error = %v, want ErrCorrupt or ErrContract", n, len(whole), err)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Fatalf("first %d bytes: error has several lines: %q", n, err)
		}
	}
}

// The example of the documentation is a card that is accepted.
func TestDocumentedCard(t *testing.T) {
	text, err := os.ReadFile("../docs/model-file.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```json\n")
	example, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("docs/model-file.md holds no example")
	}
	o := trttest.Options{Classes: 3, InputWidth: 480, InputHeight: 360, CardText: example}
	card, err := trt.ReadCard(trttest.Model(o))
	if err != nil {
		t.Fatal(err)
	}
	if card.Training == "" || card.Accuracy["camvid/day_val"].MIoU != 64.6 || card.Classes[2].Color != [3]uint8{64, 64, 0} {
		t.Errorf("card = %+v, want all of the example in it", card)
	}
}
