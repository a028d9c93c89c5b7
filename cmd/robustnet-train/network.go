package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/nn"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
)

// networkFlags choose a network.
type networkFlags struct {
	flags                                        *pflag.FlagSet
	trunk, head, method, placement, whitenAffine string
	width                                        float64
	outputStride, whitenGroupSize                int
}

// networkFlagNames are those of networkFlags.
var networkFlagNames = []string{"trunk", "width", "output-stride", "head", "method", "placement", "whiten-affine", "whiten-group-size"}

// add gives a command the flags, whose defaults are the published MobileNetV2 with ISW.
func (f *networkFlags) add(cmd *cobra.Command) {
	d := nn.DefaultSpec()
	f.flags = cmd.Flags()
	f.choice(cmd, &f.trunk, "trunk", string(d.Trunk), "backbone", texts(nn.Trunks()))
	f.flags.Float64Var(&f.width, "width", d.Width, "channels of mobilenetv2, times: 0.5, 0.75 or 1")
	f.flags.IntVar(&f.outputStride, "output-stride", d.OutputStride, "size of the input over that of the deepest feature: 8, 16 or 32")
	f.choice(cmd, &f.head, "head", string(d.Head), "what makes class scores of features", texts(nn.Heads()))
	f.choice(cmd, &f.method, "method", string(nn.ISW), "how the network is made robust", texts(nn.Methods()))
	f.flags.StringVar(&f.placement, "placement", "", "norms at the seven places, such as 0,0,2,2,2,0,0, instead of the method's")
	f.choice(cmd, &f.whitenAffine, "whiten-affine", string(d.Rescale), "what follows each layer under a whitening loss (iw, irw, isw, giw)", texts(nn.Rescales()))
	f.flags.IntVar(&f.whitenGroupSize, "whiten-group-size", d.WhitenGroup, "most channels that sw and iternorm whiten together")
}

// choice adds a flag with few possible values, which the shell completes.
func (f *networkFlags) choice(cmd *cobra.Command, to *string, name, value, help string, choices []string) {
	f.flags.StringVar(to, name, value, help+": "+strings.Join(choices, ", "))
	complete := cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc(name, complete) // fails for unknown flags only
}

func texts[T ~string](list []T) []string {
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = string(v)
	}
	return all
}

// changed returns those of the named flags that were given, with dashes.
func changed(flags *pflag.FlagSet, names ...string) []string {
	var given []string
	for _, name := range names {
		if flags.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	return given
}

// placed returns the placement, nil if neither it nor a method was given.
func (f *networkFlags) placed() (*nn.Placement, error) {
	if !f.flags.Changed("placement") {
		return nil, nil
	}
	p, err := nn.ParsePlacement(f.placement)
	if err != nil {
		return nil, cli.Usagef("--placement: %w", err)
	}
	return &p, nil
}

// spec returns the network that the flags describe. A placement must fit a method that was
// given with it.
func (f *networkFlags) spec(classes int) (nn.Spec, error) {
	s := nn.DefaultSpec()
	s.Trunk, s.Width, s.OutputStride, s.Head = nn.Trunk(f.trunk), f.width, f.outputStride, nn.Head(f.head)
	s.Rescale, s.WhitenGroup, s.Classes = nn.Rescale(f.whitenAffine), f.whitenGroupSize, classes
	placement, err := f.placed()
	if err != nil {
		return s, err
	}
	if placement == nil {
		own, err := nn.Method(f.method).Placement()
		if err != nil {
			return s, cli.AsUsage(err)
		}
		placement = &own
	} else if f.flags.Changed("method") {
		if err := trainrun.CheckMethod(nn.Method(f.method), *placement); err != nil {
			return s, cli.AsUsage(err)
		}
	}
	s.Placement = *placement
	if err := s.Validate(); err != nil {
		return s, cli.AsUsage(err)
	}
	return s, f.checkUse(s)
}

// newNetwork returns the network that the flags describe, and the method to train it by.
func newNetwork(f *networkFlags, loss *whiteningFlags, classes int) (*nn.Network, nn.Method, error) {
	spec, err := f.spec(classes)
	if err != nil {
		return nil, "", err
	}
	method := nn.Method(f.method)
	if f.flags.Changed("placement") && !f.flags.Changed("method") {
		if method, err = loss.method(spec.Placement); err != nil {
			return nil, "", err
		}
	}
	net, err := nn.New(spec)
	return net, method, err
}

// checkUse refuses flags that would change nothing, for their user expects a change.
func (f *networkFlags) checkUse(s nn.Spec) error {
	if s.Rescale != nn.NoRescale && !slices.ContainsFunc(s.Placement[:], nn.Norm.Collected) {
		return cli.Usagef("--whiten-affine %s: placement %s has no layer under a whitening loss; it is for iw, irw, isw, giw", s.Rescale, s.Placement)
	}
	if f.flags.Changed("whiten-group-size") && !s.Placement.Has(nn.SwitchableWhitening) && !s.Placement.Has(nn.IterativeNorm) {
		return cli.Usagef("--whiten-group-size: placement %s has no layer that whitens groups; it is for sw, iternorm", s.Placement)
	}
	return nil
}

// summary describes a network in a line.
func summary(s nn.Spec) string {
	width := ""
	if s.Trunk == nn.MobileNetV2 {
		width = fmt.Sprintf(" ×%v", s.Width)
	}
	return fmt.Sprintf("%s%s, %s head, output stride %d, %d classes", s.Trunk, width, s.Head, s.OutputStride, s.Classes)
}

// normSummary says which norms stand where.
func normSummary(net *nn.Network) string {
	var kinds []nn.Norm
	blocks := map[nn.Norm][]string{}
	for _, tap := range net.Taps {
		if tap.Norm == nn.NoNorm {
			continue
		}
		if !slices.Contains(kinds, tap.Norm) {
			kinds = append(kinds, tap.Norm)
		}
		blocks[tap.Norm] = append(blocks[tap.Norm], tap.Name)
	}
	if kinds == nil {
		return "no norms but the trunk's own"
	}
	list := make([]string, len(kinds))
	for i, kind := range kinds {
		list[i] = fmt.Sprintf("%s at %s", kind, strings.Join(blocks[kind], ", "))
	}
	text := "norms: " + strings.Join(list, "; ")
	if net.Spec.Rescale != nn.NoRescale && len(net.Collected()) > 0 {
		text += "; followed by " + string(net.Spec.Rescale)
	}
	return text
}
