package quantize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
)

// Table is what calibration has seen of a model's tensors. One table serves every placement and
// every way to choose ranges.
type Table struct {
	Version int `json:"version"`
	// Model is the SHA-256 of the model file, in hexadecimal digits.
	Model string `json:"model_sha256"`
	// Pictures says on what the model was run.
	Pictures Pictures `json:"pictures"`
	// Tensors are the observed ones by name.
	Tensors map[string]*Tensor `json:"tensors"`
	// Equalised is what was seen of the same pictures after [Network.Equalise]; nil if it was not
	// done.
	Equalised *Equalised `json:"equalised,omitempty"`
}

// Equalised describes an equalised model.
type Equalised struct {
	// Factors are those by which the channels of tensors were multiplied.
	Factors map[string][]float64 `json:"factors"`
	Tensors map[string]*Tensor   `json:"tensors"`
}

// Pictures describes a calibration set.
type Pictures struct {
	Sources []string `json:"sources"`
	// Count is the number of pictures, and Views that of runs: with styles, each picture is seen
	// several times.
	Count int      `json:"count"`
	Views int      `json:"views"`
	Seed  uint64   `json:"seed"`
	Style []string `json:"styles,omitempty"`
	// Hash is the SHA-256 over the pixels of the views as the network saw them.
	Hash string `json:"sha256"`
}

// Tensor is what is known of a tensor's values.
type Tensor struct {
	// Values counts them.
	Values *histogram.Histogram `json:"values"`
	// Channels are the statistics of each channel, of tensors with four dimensions.
	Channels []Channel `json:"channels,omitempty"`

	seen float64 // how many runs the means are of
}

// Channel is what is known of the values of a channel.
type Channel struct {
	Mean float64 `json:"mean"`
	// Power is the mean square, and Max the greatest magnitude.
	Power float64 `json:"power"`
	Max   float64 `json:"max"`
}

// tableVersion is the one that this package writes and reads.
const tableVersion = 1

// A Recorder fills a table.
type Recorder struct {
	names   []string
	tensors []*Tensor
}

// NewRecorder returns an empty table for tensors in the order in which they will be recorded.
func NewRecorder(names []string) *Recorder {
	r := &Recorder{names: names}
	for range names {
		r.tensors = append(r.tensors, &Tensor{Values: &histogram.Histogram{}})
	}
	return r
}

// Record adds the values of all tensors in one run of the model. Tensors are counted side by
// side, on as many cores as there are; the result is the same for every number.
func (r *Recorder) Record(tensor func(i int) (values []float32, shape []int64, err error)) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range r.tensors {
		values, shape, err := tensor(i)
		if err != nil {
			return errors.Join(fmt.Errorf("record tensor %s: %w", r.names[i], err), g.Wait())
		}
		g.Go(func() error {
			if err := r.tensors[i].add(values, shape); err != nil {
				return fmt.Errorf("record tensor %s: %w; the model or the picture is damaged", r.names[i], err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (t *Tensor) add(values []float32, shape []int64) error {
	if err := t.Values.Add(values); err != nil {
		return err
	}
	if len(shape) != 4 || shape[0] != 1 || shape[1] < 1 || len(values) == 0 {
		return nil
	}
	channels := int(shape[1])
	if t.Channels == nil {
		t.Channels = make([]Channel, channels)
	}
	if len(t.Channels) != channels {
		return fmt.Errorf("it has %d channels after %d", channels, len(t.Channels))
	}
	t.seen++
	plane := len(values) / channels
	for c := range t.Channels {
		t.Channels[c].add(values[c*plane:(c+1)*plane], t.seen)
	}
	return nil
}

// add takes the values of one run in, the seen-th.
func (c *Channel) add(values []float32, seen float64) {
	sum, squares, low, high := 0.0, 0.0, float32(0), float32(0)
	for _, v := range values {
		sum += float64(v)
		squares += float64(v) * float64(v)
		low, high = min(low, v), max(high, v)
	}
	n := float64(len(values))
	c.Mean += (sum/n - c.Mean) / seen
	c.Power += (squares/n - c.Power) / seen
	c.Max = max(c.Max, float64(high), -float64(low))
}

// possible tells whether values of float32 can be spread so.
func (c Channel) possible() bool {
	const rounding = 1 + 1e-6
	return c.Max >= 0 && c.Max <= math.MaxFloat32 && math.Abs(c.Mean) <= c.Max*rounding && c.Power >= 0 && c.Power <= c.Max*c.Max*rounding
}

// Table returns what has been recorded.
func (r *Recorder) Table(model string, pictures Pictures) *Table {
	t := &Table{Version: tableVersion, Model: model, Pictures: pictures, Tensors: map[string]*Tensor{}}
	for i, name := range r.names {
		t.Tensors[name] = r.tensors[i]
	}
	return t
}

// WriteTable stores the table as JSON.
func WriteTable(path string, t *Table) error {
	return atomicfile.Write(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(t) })
}

// ReadTable reads what [WriteTable] has stored.
func ReadTable(path string) (*Table, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read calibration table: %w", err)
	}
	t := new(Table)
	if err := json.Unmarshal(text, t); err != nil {
		return nil, fmt.Errorf("read calibration table %s: %w; make it again with --calibrate", path, err)
	}
	if t.Version != tableVersion {
		return nil, fmt.Errorf("read calibration table %s: it has version %d and this program knows %d; make it again with --calibrate", path, t.Version, tableVersion)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("read calibration table %s: %w; make it again with --calibrate", path, err)
	}
	return t, nil
}

// check refuses tables that [Recorder] cannot have made.
func (t *Table) check() error {
	all := []map[string]*Tensor{t.Tensors}
	if e := t.Equalised; e != nil {
		all = append(all, e.Tensors)
		for name, factors := range e.Factors {
			for _, f := range factors {
				if !(f > 0) || math.IsInf(f, 1) {
					return fmt.Errorf("a channel of %s is multiplied by %v", name, f)
				}
			}
		}
	}
	for _, tensors := range all {
		for name, tensor := range tensors {
			if tensor == nil || tensor.Values == nil {
				return fmt.Errorf("tensor %s has no values", name)
			}
			for i, c := range tensor.Channels {
				if !c.possible() {
					return fmt.Errorf("channel %d of tensor %s cannot have mean %v, power %v and greatest magnitude %v", i, name, c.Mean, c.Power, c.Max)
				}
			}
		}
	}
	return nil
}
