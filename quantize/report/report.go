// Package report says what quantisation did to a model: report.json for programs, and
// report.html for people, one page without scripts and without anything from elsewhere.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/trt"
)

// Report is the content of report.json.
type Report struct {
	Version int `json:"version"`
	// Program is the version of the program that measured.
	Program     string      `json:"program"`
	Model       Model       `json:"model"`
	Calibration Calibration `json:"calibration"`
	// Variants are the models that were compared, the float one first.
	Variants []Variant `json:"variants"`
	// Conditions are those under which the variants' latency was measured, nil where it was not.
	Conditions *Conditions `json:"latency_conditions,omitempty"`
	Domains    []Domain    `json:"domains"`
	Gate       Gate        `json:"gate"`
	// Layers are ranked by what quantising them alone costs, the worst first; empty where that
	// was not measured.
	Layers []Layer `json:"layers"`
	// Tensors are those with the most quantisation noise, the worst first.
	Tensors []Tensor `json:"tensors"`
	// Sheets are pictures to be looked at.
	Sheets []Sheet `json:"sheets"`
}

// Model is the float model.
type Model struct {
	Path   string      `json:"path"`
	SHA256 string      `json:"sha256"`
	Name   string      `json:"name"`
	Method string      `json:"method"`
	Trunk  string      `json:"trunk"`
	Height int         `json:"height"`
	Width  int         `json:"width"`
	Labels []trt.Class `json:"classes"`
}

// Calibration says how ranges were found.
type Calibration struct {
	Pictures quantize.Pictures `json:"pictures"`
	Range    histogram.Choice  `json:"range"`
	// Equalised and Corrected tell whether channels were equalised and biases corrected.
	Equalised bool `json:"equalised"`
	Corrected bool `json:"bias_corrected"`
	// Adapted tells whether weights were rounded with regard to what their layers read.
	Adapted bool `json:"adaround"`
	// Seconds is the time that calibration and placement took, and PeakBytes the most memory that the process
	// held until then.
	Seconds   float64 `json:"seconds"`
	PeakBytes int64   `json:"peak_bytes"`
}

// Domain is a labelled set on which the variants were scored.
type Domain struct {
	Name     string `json:"name"`
	Pictures int    `json:"pictures"`
	// Classes are the names of those compared: the model's or coarser ones.
	Classes []string `json:"classes"`
}

// Variant is a form of the model.
type Variant struct {
	// Name is that of the column: "fp32", "cpu-int8", "trt-int8", "trt-fp16", or one for
	// comparison.
	Name string `json:"name"`
	// File is the model file, empty for one that was not kept.
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
	// Runtime says on what it was scored, and Literal that its operators were computed one by
	// one as they are written, which shows the numbers of another runtime but not its speed.
	Runtime string `json:"runtime"`
	Literal bool   `json:"literal"`
	// Convolutions is how many there are, Integer how many hold int8 weights.
	Convolutions int `json:"convolutions"`
	Integer      int `json:"integer_convolutions"`
	// IntegerKernels is how many convolutions ONNX Runtime ran as integer kernels, by its own
	// profile; 0 where that was not asked.
	IntegerKernels int `json:"integer_kernels,omitempty"`
	// Accuracy is in the order of the report's domains.
	Accuracy []Accuracy `json:"accuracy"`
	Latency  *Latency   `json:"latency,omitempty"`
	// Kept are the layers that were left in float: those that were named, and then those that
	// had to be.
	Kept []string `json:"kept"`
	// Gated tells whether the gate looks at it.
	Gated bool `json:"gated"`
}

// Accuracy is the result on a domain in points, 0 to 100.
type Accuracy struct {
	MIoU          float64 `json:"miou"`
	PixelAccuracy float64 `json:"pixel_accuracy"`
	// IoU goes with the domain's classes; null where a class neither occurs nor was predicted.
	IoU []*float64 `json:"iou"`
	// Agreement is the share of pixels, in percent, that have the float model's class.
	Agreement float64 `json:"agreement"`
}

// Latency is the time that frames take, measured in turns with the other variants.
type Latency struct {
	CPU     string `json:"cpu"`
	Threads int    `json:"threads"`
	Warmup  int    `json:"warmup"`
	Runs    int    `json:"runs"`
	// Infer is the time in the network alone; Whole has scaling and copying of the frame, too.
	Infer Spread `json:"infer"`
	Whole Spread `json:"whole"`
	// Ratio is the median of this variant's times in the network divided by the first
	// variant's of the same turn.
	Ratio float64 `json:"ratio"`
}

// Spread is of times in milliseconds.
type Spread struct {
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P99 float64 `json:"p99_ms"`
}

// Gate is what was asked for.
type Gate struct {
	// MaxDrop is the greatest loss of mIoU in points that is accepted on any domain.
	MaxDrop float64 `json:"max_drop"`
	Passed  bool    `json:"passed"`
	// Misses are the losses beyond.
	Misses []Miss `json:"misses"`
	// Kept are the layers that some variant has left in float.
	Kept []string `json:"kept"`
	// Blamed are the layers whose quantisation costs most; filled where the gate was missed.
	Blamed []string `json:"blamed"`
}

// Miss is a loss that is too great.
type Miss struct {
	Variant string  `json:"variant"`
	Domain  string  `json:"domain"`
	Drop    float64 `json:"drop"`
}

// Layer is what quantising one layer alone does.
type Layer struct {
	Name string `json:"name"`
	// Shape is outputs × inputs of a group × kernel, such as "256×304×3×3".
	Shape string `json:"shape"`
	// SQNR is the ratio of signal to noise of the class scores in decibels.
	SQNR float64 `json:"sqnr_db"`
	// Drop is the loss of mIoU in points on each domain; empty where it was not measured.
	Drop []float64 `json:"drop"`
	Kept bool      `json:"kept"`
}

// Tensor is how the values of an activation are spread.
type Tensor struct {
	Name string `json:"name"`
	// Bars are shares of the values in equal steps from Low to High.
	Bars []float64 `json:"bars"`
	Low  float64   `json:"low"`
	High float64   `json:"high"`
	// Affine and Symmetric are the ranges chosen for CPUs and for TensorRT, and the decibels
	// are what rounding to them leaves of the signal.
	Affine        histogram.Range `json:"affine"`
	Symmetric     histogram.Range `json:"symmetric"`
	AffineSQNR    float64         `json:"affine_sqnr_db"`
	SymmetricSQNR float64         `json:"symmetric_sqnr_db"`
}

// Sheet is a picture with what a variant and the float model make of it: of its domain the one on
// which they agree least. The files are PNG, in the folder of the report.
type Sheet struct {
	Domain  string `json:"domain"`
	Picture string `json:"picture"`
	// Variant is the quantised one.
	Variant string `json:"variant"`
	Input   string `json:"input"`
	Truth   string `json:"truth"`
	Float   string `json:"float"`
	Integer string `json:"integer"`
	// Disagreement shows the pixels that the two call differently.
	Disagreement string `json:"disagreement"`
	// Agreement is the share of pixels, in percent, that are called the same.
	Agreement float64 `json:"agreement"`
	// TruthClasses are those that the truth is drawn in, where they are not the model's.
	TruthClasses []trt.Class `json:"truth_classes,omitempty"`
}

// FileVersion is that of report.json.
const FileVersion = 1

// WriteJSON stores the report.
func WriteJSON(path string, r *Report) error {
	r.Version = FileVersion
	r.fillLists()
	return atomicfile.Write(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	})
}

// fillLists makes lists that were never begun empty ones, which JSON writes as such.
func (r *Report) fillLists() {
	empty(&r.Variants)
	empty(&r.Domains)
	empty(&r.Layers)
	empty(&r.Tensors)
	empty(&r.Sheets)
	empty(&r.Gate.Misses)
	empty(&r.Gate.Kept)
	empty(&r.Gate.Blamed)
	for i := range r.Variants {
		empty(&r.Variants[i].Accuracy)
		empty(&r.Variants[i].Kept)
	}
}

func empty[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}

// ReadJSON reads what [WriteJSON] has stored.
func ReadJSON(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	if r.Version != FileVersion {
		return nil, fmt.Errorf("read report %s: it has version %d and this program knows %d; run the quantiser again", path, r.Version, FileVersion)
	}
	return r, nil
}
