package main

import (
	"encoding/json"
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/nn"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
)

const describeHelp = `Describe prints what a network is made of and what it costs: for every part, and with
--layers for every layer, the size of its output, its parameters and its multiply-accumulates
(MACs, of convolutions, for one picture). The part dsn is for training only.`

const describeExamples = `  robustnet-train describe
  robustnet-train describe --trunk resnet50 --method ibn --size 768x768
  robustnet-train describe --head lite --width 0.5 --layers
  robustnet-train describe --run runs/isw --json`

type describeOptions struct {
	networkFlags
	classes        int
	size           string
	run            string
	layers, asJSON bool
}

func newDescribe() *cobra.Command {
	var o describeOptions
	cmd := &cobra.Command{
		Use:     "describe",
		Short:   "Print a network's parts, parameters and cost",
		Long:    describeHelp,
		Example: describeExamples,
		Args:    cli.Positional(cobra.NoArgs),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o.add(cmd)
	flags.IntVar(&o.classes, "classes", nn.DefaultSpec().Classes, "number of classes")
	flags.StringVar(&o.size, "size", "1024x2048", "height and width of the picture")
	flags.StringVar(&o.run, "run", "", "describe the network of this run folder")
	flags.BoolVar(&o.layers, "layers", false, "list every layer, too")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.describe(cmd.OutOrStdout()) }
	return cmd
}

func (o *describeOptions) describe(out io.Writer) error {
	size, err := parseSize(o.size)
	if err != nil {
		return err
	}
	spec, err := o.chosen()
	if err != nil {
		return err
	}
	net, err := nn.New(spec)
	if err != nil {
		return err
	}
	d, err := newDescription(net, size, o.layers)
	if err != nil {
		return cli.AsUsage(err)
	}
	if o.asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(d)
	}
	_, err = io.WriteString(out, d.text(net))
	return err
}

// chosen returns the network of the run, or that of the flags.
func (o *describeOptions) chosen() (nn.Spec, error) {
	if o.run == "" {
		return o.spec(o.classes)
	}
	given := changed(o.flags, append(networkFlagNames, "classes")...)
	if given != nil {
		return nn.Spec{}, cli.Usagef("--run names the network; leave out %s", strings.Join(given, ", "))
	}
	c, err := trainrun.ReadConfig(o.run)
	return c.Network, err
}

// parseSize reads HEIGHTxWIDTH in pixels.
func parseSize(text string) (nn.Size, error) {
	var s nn.Size
	var rest string
	n, _ := fmt.Sscanf(strings.ToLower(text)+" ", "%dx%d%s", &s.Height, &s.Width, &rest)
	if n != 2 || s.Height < 1 || s.Width < 1 {
		return s, cli.Usagef("--size %q: write height and width in pixels, as in 512x1024", text)
	}
	return s, nil
}

// description is what describe tells. Its JSON form is an interface.
type description struct {
	Network nn.Spec `json:"network"`
	// Size is the height and width of the picture.
	Size [2]int `json:"size"`
	// Inference is without the part dsn, Training with it.
	Inference cost    `json:"inference"`
	Training  cost    `json:"training"`
	Parts     []part  `json:"parts"`
	Layers    []layer `json:"layers,omitempty"`
}

type cost struct {
	Parameters int   `json:"parameters"`
	MACs       int64 `json:"macs"`
}

func (c *cost) add(o cost) {
	c.Parameters += o.Parameters
	c.MACs += o.MACs
}

type part struct {
	Name string `json:"name"`
	// Output is the shape of the part's last feature, before it is resized for or joined with
	// others: channels, height, width.
	Output [3]int `json:"output"`
	cost
}

type layer struct {
	Part string `json:"part"`
	// Key is what the parameters' names begin with; empty without parameters.
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator"`
	Output   [3]int `json:"output"`
	cost
}

// training is the part that inference leaves out.
const training = "dsn"

func newDescription(net *nn.Network, size nn.Size, layers bool) (*description, error) {
	costs, err := net.Cost(size)
	if err != nil {
		return nil, err
	}
	d := &description{Network: net.Spec, Size: [2]int{size.Height, size.Width}}
	at := map[string]int{}
	for node, c := range costs {
		i, ok := at[c.Part]
		if !ok {
			i = len(d.Parts)
			at[c.Part] = i
			d.Parts = append(d.Parts, part{Name: c.Part})
		}
		l := layer{c.Part, c.Node.Key, operator(c.Node), [3]int{c.Node.Channels, c.Out.Height, c.Out.Width}, cost{c.Params, c.MACs}}
		if ends(net, node) {
			d.Parts[i].Output = l.Output
		}
		d.Parts[i].add(l.cost)
		if layers {
			d.Layers = append(d.Layers, l)
		}
	}
	trunk := &d.Parts[at["trunk"]]
	deep := costs[net.Deep]
	trunk.Output = [3]int{deep.Node.Channels, deep.Out.Height, deep.Out.Width}
	for _, p := range net.Idle {
		if !p.Role.Buffer() {
			trunk.Parameters += p.Count()
		}
	}
	for _, p := range d.Parts {
		d.Training.add(p.cost)
		if p.Name != training {
			d.Inference.add(p.cost)
		}
	}
	return d, nil
}

// ends says whether a part's output may be that of the node: it has parameters, activates
// what has, or joins branches of the part. What else follows is for the parts that read it.
func ends(net *nn.Network, node int) bool {
	n := net.Nodes[node]
	foreign := slices.ContainsFunc(n.In, func(in int) bool { return net.PartOf(in) != net.PartOf(node) })
	return n.Key != "" || n.Op == nn.ReLU || n.Op == nn.Concat && !foreign
}

// operator names a layer with what tells it from others of its kind.
func operator(n nn.Node) string {
	switch n.Op {
	case nn.Conv:
		text := fmt.Sprintf("conv %d×%d", n.Conv.Kernel, n.Conv.Kernel)
		if n.Conv.Groups > 1 {
			text = fmt.Sprintf("depthwise %d×%d", n.Conv.Kernel, n.Conv.Kernel)
		}
		if n.Conv.Stride > 1 {
			text += fmt.Sprintf(", stride %d", n.Conv.Stride)
		}
		if n.Conv.Dilation > 1 {
			text += fmt.Sprintf(", dilation %d", n.Conv.Dilation)
		}
		return text
	case nn.SwitchWhiten, nn.IterWhiten:
		return fmt.Sprintf("%s, groups of %d channels", n.Op, n.Group)
	case nn.Shuffle:
		return fmt.Sprintf("%s, %d groups", n.Op, n.Group)
	case nn.Split:
		return fmt.Sprintf("%s from channel %d", n.Op, n.From)
	}
	return string(n.Op)
}

// text is the description for people.
func (d *description) text(net *nn.Network) string {
	head := fmt.Sprintf("%s\n%s\none picture of %d×%d pixels\n\n", summary(d.Network), normSummary(net), d.Size[0], d.Size[1])
	if d.Layers != nil {
		return head + d.layerTable() + "\n" + d.partTable()
	}
	return head + d.partTable()
}

func (d *description) partTable() string {
	t := terminal.Table{Left: []bool{true, true, false, false, false, false}}
	t.Row("part", "output", "parameters", "share", "GMACs", "share")
	t.Rule()
	row := func(p part, ofInference bool) {
		params, macs := "", ""
		if ofInference {
			params, macs = terminal.Share(p.Parameters, d.Inference.Parameters), terminal.Share(p.MACs, d.Inference.MACs)
		}
		shape := ""
		if p.Output[0] > 0 {
			shape = output(p.Output)
		}
		t.Row(p.Name, shape, terminal.Count(p.Parameters), params, terminal.Giga(p.MACs), macs)
	}
	for _, p := range d.Parts {
		if p.Name != training {
			row(p, true)
		}
	}
	t.Rule()
	row(part{Name: "inference", cost: d.Inference}, true)
	for _, p := range d.Parts {
		if p.Name == training {
			row(p, false)
		}
	}
	row(part{Name: "training", cost: d.Training}, false)
	return t.String()
}

func (d *description) layerTable() string {
	t := terminal.Table{Left: []bool{true, true, true, true, false, false}}
	t.Row("part", "key", "operator", "output", "parameters", "MMACs")
	t.Rule()
	last := ""
	for _, l := range d.Layers {
		name := l.Part
		if name == last {
			name = ""
		}
		last = l.Part
		params, macs := "", ""
		if l.Parameters > 0 {
			params = terminal.Count(l.Parameters)
		}
		if l.MACs > 0 {
			macs = terminal.Mega(l.MACs)
		}
		t.Row(name, l.Key, l.Operator, output(l.Output), params, macs)
	}
	return t.String()
}

// output writes the shape of a feature map: channels, height, width.
func output(shape [3]int) string { return fmt.Sprintf("%d×%d×%d", shape[0], shape[1], shape[2]) }
