// Command scenes measures a model on procedural streets, by style of light and weather, and
// prints what belongs on the model's card.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/scene"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

func main() {
	model := pflag.String("model", "", "model file; empty for the embedded one")
	library := pflag.String("onnxruntime", "build/lib/libonnxruntime.so.1", "libonnxruntime")
	asJSON := pflag.Bool("json", false, "print the accuracy and style parts of a model card")
	pflag.Parse()
	if err := run(*model, *library, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "scenes:", err)
		os.Exit(1)
	}
}

// card holds the parts of a model card that are measured here.
type card struct {
	Accuracy map[string]trt.Accuracy `json:"accuracy"`
	Style    trt.CardStyle           `json:"style"`
}

func run(model, library string, asJSON bool) error {
	engine, err := open(model, ort.Options{Library: library})
	if err != nil {
		return err
	}
	defer engine.Close()
	var statistics evaluate.StyleStatistics
	c := card{Accuracy: map[string]trt.Accuracy{}}
	for _, style := range scene.Styles() {
		matrix, err := evaluate.Scenes(engine, evaluate.DefaultStreets(style), func(r trt.Result) { statistics.Add(r.Style) })
		if err != nil {
			return err
		}
		a := trt.Accuracy{MIoU: points(matrix.MeanIoU())}
		for _, iou := range matrix.IoU() {
			a.PerClass = append(a.PerClass, points(iou))
		}
		c.Accuracy["scene/"+style.String()] = a
		if !asJSON {
			fmt.Printf("scene/%-6s mIoU %6.2f   by class %v\n", style, a.MIoU, a.PerClass)
		}
	}
	if !asJSON {
		return nil
	}
	old := engine.Card().Style
	c.Style = statistics.Card(old.Layers, old.Order)
	return json.NewEncoder(os.Stdout).Encode(c)
}

func open(model string, o ort.Options) (*ort.Engine, error) {
	if model == "" {
		return ort.Load(models.DefaultName, models.Default, o)
	}
	return ort.Open(model, o)
}

// points turns a ratio into points with two decimals; a class that does not occur has 0.
func points(ratio float64) float64 {
	if math.IsNaN(ratio) {
		return 0
	}
	return math.Round(ratio*10000) / 100
}
