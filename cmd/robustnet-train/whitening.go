package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/nn"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// whiteningFlags set the whitening loss.
type whiteningFlags struct {
	flags              *pflag.FlagSet
	weight, relaxDenom float64
	clusters, groups   int
}

func (f *whiteningFlags) add(flags *pflag.FlagSet) {
	f.flags = flags
	const byTrunk = " (default by the trunk: mobilenetv2 %v, ResNets %v, shufflenetv2 %v)"
	mobile, res, shuffle := publishedWhitening[nn.MobileNetV2], publishedWhitening[nn.ResNet50], publishedWhitening[nn.ShuffleNetV2]
	flags.Float64Var(&f.weight, "whiten-weight", 0, "iw, irw, isw, giw: weight of the whitening loss"+fmt.Sprintf(byTrunk, mobile.Lambda, res.Lambda, shuffle.Lambda))
	flags.IntVar(&f.clusters, "clusters", 0, "isw: clusters from which masks are selected"+fmt.Sprintf(byTrunk, mobile.Clusters, res.Clusters, shuffle.Clusters))
	flags.Float64Var(&f.relaxDenom, "relax-denom", 64, "irw: the loss's margin is the number of covariances divided by this")
	flags.IntVar(&f.groups, "whiten-groups", 4, "giw: groups of channels that are whitened by themselves")
}

// whiteningFlagMethods says which methods have a use for a flag.
var whiteningFlagMethods = map[string][]nn.Method{
	"whiten-weight": {nn.GIW, nn.IW, nn.IRW, nn.ISW},
	"clusters":      {nn.ISW},
	"relax-denom":   {nn.IRW},
	"whiten-groups": {nn.GIW},
}

// given returns those of the flags that were given, with dashes.
func (f *whiteningFlags) given() []string {
	return changed(f.flags, "whiten-weight", "clusters", "relax-denom", "whiten-groups")
}

// method returns the one that a placement is made for. Where several norms or IW's, which
// three methods share, leave a choice, the flags that were given decide; IW needs none.
func (f *whiteningFlags) method(p nn.Placement) (nn.Method, error) {
	var fitting []nn.Method
	for _, m := range nn.Methods() {
		if trainrun.CheckMethod(m, p) == nil {
			fitting = append(fitting, m)
		}
	}
	if p.Has(nn.InstanceWhitening) && fitting != nil {
		switch groups, relaxed := f.flags.Changed("whiten-groups"), f.flags.Changed("relax-denom"); {
		case groups && !relaxed:
			fitting = []nn.Method{nn.GIW}
		case relaxed && !groups:
			fitting = []nn.Method{nn.IRW}
		case relaxed && groups:
			return "", cli.Usagef("--relax-denom is for irw, --whiten-groups for giw; leave one out")
		default:
			fitting = slices.DeleteFunc(fitting, func(m nn.Method) bool { return m == nn.GIW || m == nn.IRW })
		}
	}
	switch len(fitting) {
	case 0:
		return "", cli.Usagef("--placement %s: no method trains these norms together", p)
	case 1:
		return fitting[0], nil
	}
	return "", cli.Usagef("--placement %s: several methods fit; say with --method which: %s", p, strings.Join(texts(fitting), ", "))
}

// publishedWhitening are the settings of the published ISW runs on GTAV.
var publishedWhitening = map[nn.Trunk]whiten.Settings{
	nn.MobileNetV2:  {Lambda: 1, Clusters: 20},
	nn.ResNet50:     {Lambda: 0.6, Clusters: 3},
	nn.ResNet101:    {Lambda: 0.6, Clusters: 3},
	nn.ShuffleNetV2: {Lambda: 0.8, Clusters: 2},
}

// settings returns those of the method's loss for a network; nil for methods without one.
func (f *whiteningFlags) settings(method nn.Method, net *nn.Network) (*whiten.Settings, error) {
	for _, flag := range f.given() {
		if users := whiteningFlagMethods[strings.TrimPrefix(flag, "--")]; !slices.Contains(users, method) {
			return nil, cli.Usagef("%s says nothing to method %s; it is for %s", flag, method, strings.Join(texts(users), ", "))
		}
	}
	if !slices.Contains(whiteningFlagMethods["whiten-weight"], method) {
		return nil, nil
	}
	own := publishedWhitening[net.Spec.Trunk]
	s := whiten.Settings{Lambda: own.Lambda}
	if f.flags.Changed("whiten-weight") {
		s.Lambda = f.weight
	}
	if !(s.Lambda > 0 && s.Lambda <= 1e6) {
		return nil, cli.Usagef("--whiten-weight %v: it is above 0 and at most 1000000", s.Lambda)
	}
	switch method {
	case nn.ISW:
		s.Clusters = own.Clusters
		if f.flags.Changed("clusters") {
			s.Clusters = f.clusters
		}
		if s.Clusters < 2 {
			return nil, cli.Usagef("--clusters %d: fewer than 2 select nothing", s.Clusters)
		}
	case nn.IRW:
		if s.RelaxDenom = f.relaxDenom; !(s.RelaxDenom > 1 && s.RelaxDenom <= 1e6) {
			return nil, cli.Usagef("--relax-denom %v: it is above 1 and at most 1000000; method iw tolerates nothing", s.RelaxDenom)
		}
	case nn.GIW:
		s.Groups = f.groups
		return &s, checkGroups(s.Groups, net)
	}
	return &s, nil
}

// checkGroups says which numbers of groups are possible if this one is not.
func checkGroups(groups int, net *nn.Network) error {
	var channels, possible []string
	fits := func(n int) bool {
		return !slices.ContainsFunc(net.Collected(), func(t nn.Tap) bool { return t.Channels%n != 0 || t.Channels/n < 2 })
	}
	if groups > 1 && fits(groups) {
		return nil
	}
	for _, t := range net.Collected() {
		channels = append(channels, fmt.Sprint(t.Channels))
	}
	for n := 2; n <= net.Collected()[0].Channels/2; n++ {
		if fits(n) {
			possible = append(possible, fmt.Sprint(n))
		}
	}
	if possible == nil {
		return cli.Usagef("--whiten-groups %d: no number of groups divides layers of %s channels; choose another method than giw", groups, strings.Join(channels, ", "))
	}
	return cli.Usagef("--whiten-groups %d: each group must have the same number of channels, 2 or more, in layers of %s; possible are %s",
		groups, strings.Join(channels, ", "), strings.Join(possible, ", "))
}

// whiteningSummary describes the loss in a line.
func whiteningSummary(s whiten.Settings) string {
	text := fmt.Sprintf("whitening loss of weight %v", s.Lambda)
	if s.Clusters > 0 {
		text += fmt.Sprintf(", masks from %d clusters", s.Clusters)
	}
	if s.RelaxDenom > 0 {
		text += fmt.Sprintf(", margin 1/%v of the covariances", s.RelaxDenom)
	}
	if s.Groups > 1 {
		text += fmt.Sprintf(", in %d groups", s.Groups)
	}
	return text
}
