package conformance

import (
	"fmt"

	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// learningRate is that of the references' training steps.
const learningRate = 0.01

// threads is the number of libtorch's threads with which the references were computed.
const threads = 2

// Check runs our implementation on what the folder describes and compares every quantity in
// it. The references were computed on a CPU, from which a GPU differs in rounding. The error
// is about the folder or libtorch; differences are in the report.
func Check(lib *torch.Library, r *Reference, device torch.Device) (*Report, error) {
	c := &check{Report: &Report{}, ref: r, selected: map[string]whiten.Mask{}}
	if err := lib.Run(torch.Options{Device: device, Threads: threads}, c.run); err != nil {
		return nil, err
	}
	return c.Report, nil
}

// check is one folder's comparison in progress.
type check struct {
	*Report
	ref   *Reference
	s     *torch.Scope
	m     *model.Model
	input *torch.Tensor
	// selected are the masks of the layers with selective whitening, by their taps' names.
	selected map[string]whiten.Mask
}

func (c *check) run(s *torch.Scope) error {
	net, err := nn.New(c.ref.Spec())
	if err != nil {
		return err
	}
	c.s = s
	if c.m, err = model.New(s, net, Weights(net)); err != nil {
		return err
	}
	c.m.DropChannels, c.m.Literal = 0, true
	c.input = s.FromFloat32(c.ref.pictures(), c.ref.Input[:]...)
	train, inference := net.CountParams()
	c.exact("params_total", c.ref.ParamsTotal, train)
	c.exact("params_inference", c.ref.ParamsInference, inference)
	c.evaluation()
	if err := c.masks(); err != nil {
		return err
	}
	return c.training()
}

// evaluation compares the logits of fresh weights.
func (c *check) evaluation() {
	c.s.NoGrad(func(s *torch.Scope) {
		logits := c.m.Forward(s, c.input, model.Inference, c.m.Net.Logits)[0]
		values, classes := s.Float32s(logits), s.Int64s(s.Argmax(logits, 1))
		if s.Err() != nil {
			return
		}
		sum := 0.0
		for _, v := range values {
			sum += float64(v)
		}
		c.number("eval_logits_sum", c.ref.EvalLogitsSum, sum, 0, valueTolerance)
		c.histogram(classes)
		if want := c.ref.tensor("eval_logits_image0"); want != nil {
			c.values("eval_logits_image0", want, values[:len(values)/c.ref.Input[0]], valueTolerance)
		}
	})
}

// histogram compares how many pixels each class wins. Ties move pixels between classes, so
// the error is relative to all pixels.
func (c *check) histogram(classes []int64) {
	counts := make([]int, max(c.ref.Classes, len(c.ref.EvalArgmaxHist)))
	for _, class := range classes {
		counts[class]++
	}
	for class, want := range c.ref.EvalArgmaxHist {
		c.number(fmt.Sprintf("eval_argmax_hist class %d", class), float64(want), float64(counts[class]), float64(len(classes)), nearTied)
	}
}
