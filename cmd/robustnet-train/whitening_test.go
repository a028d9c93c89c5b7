package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// chooseLoss returns the method and the settings that import --pretrained takes from flags.
func chooseLoss(t *testing.T, args ...string) (nn.Method, *whiten.Settings, error) {
	t.Helper()
	var o importOptions
	cmd := &cobra.Command{}
	o.add(cmd)
	o.loss.add(cmd.Flags())
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	net, method, err := newNetwork(&o.networkFlags, &o.loss, 19)
	if err != nil {
		return "", nil, err
	}
	settings, err := o.loss.settings(method, net)
	return method, settings, err
}

// TestWhiteningSettings expects the weights and clusters of the published training scripts.
func TestWhiteningSettings(t *testing.T) {
	for args, want := range map[string]struct {
		method   nn.Method
		settings *whiten.Settings
	}{
		"":                                            {nn.ISW, &whiten.Settings{Lambda: 1, Clusters: 20}},
		"--trunk resnet50":                            {nn.ISW, &whiten.Settings{Lambda: 0.6, Clusters: 3}},
		"--trunk resnet101":                           {nn.ISW, &whiten.Settings{Lambda: 0.6, Clusters: 3}},
		"--trunk shufflenetv2":                        {nn.ISW, &whiten.Settings{Lambda: 0.8, Clusters: 2}},
		"--clusters 5 --whiten-weight 0.25":           {nn.ISW, &whiten.Settings{Lambda: 0.25, Clusters: 5}},
		"--method iw":                                 {nn.IW, &whiten.Settings{Lambda: 1}},
		"--method irw --trunk resnet50":               {nn.IRW, &whiten.Settings{Lambda: 0.6, RelaxDenom: 64}},
		"--method irw --relax-denom 32":               {nn.IRW, &whiten.Settings{Lambda: 1, RelaxDenom: 32}},
		"--method giw":                                {nn.GIW, &whiten.Settings{Lambda: 1, Groups: 4}},
		"--method giw --whiten-groups 8":              {nn.GIW, &whiten.Settings{Lambda: 1, Groups: 8}},
		"--method base":                               {nn.Base, nil},
		"--method sw --whiten-group-size 8":           {nn.SW, nil},
		"--placement 0,0,0,0,0,0,0":                   {nn.Base, nil},
		"--placement 0,0,3,3,0,0,0":                   {nn.IN, nil},
		"--placement 0,0,4,0,0,0,0":                   {nn.IBN, nil},
		"--placement 0,0,5,5,5,0,0":                   {nn.SW, nil},
		"--placement 0,0,6,0,0,0,0":                   {nn.IterNorm, nil},
		"--placement 0,0,2,3,2,0,0":                   {nn.ISW, &whiten.Settings{Lambda: 1, Clusters: 20}},
		"--placement 0,0,1,1,0,0,0":                   {nn.IW, &whiten.Settings{Lambda: 1}},
		"--placement 0,0,1,0,0,0,0 --relax-denom 9":   {nn.IRW, &whiten.Settings{Lambda: 1, RelaxDenom: 9}},
		"--placement 0,0,1,0,0,0,0 --whiten-groups 2": {nn.GIW, &whiten.Settings{Lambda: 1, Groups: 2}},
		"--placement 0,0,1,0,0,0,0 --method giw":      {nn.GIW, &whiten.Settings{Lambda: 1, Groups: 4}},
		"--placement 0,0,3,4,0,0,0 --method ibn":      {nn.IBN, nil},
	} {
		t.Run(args, func(t *testing.T) {
			method, got, err := chooseLoss(t, strings.Fields(args)...)
			if err != nil {
				t.Fatal(err)
			}
			if method != want.method || (got == nil) != (want.settings == nil) || got != nil && *got != *want.settings {
				t.Errorf("method %s, settings %+v; want %s, %+v", method, got, want.method, want.settings)
			}
		})
	}
}

func TestWhiteningRefusals(t *testing.T) {
	for args, want := range map[string]string{
		"--method ibn --whiten-weight 1":                              "--whiten-weight says nothing to method ibn; it is for giw, iw, irw, isw",
		"--method iw --clusters 3":                                    "--clusters says nothing to method iw; it is for isw",
		"--relax-denom 3":                                             "--relax-denom says nothing to method isw; it is for irw",
		"--method irw --whiten-groups 2":                              "--whiten-groups says nothing to method irw; it is for giw",
		"--whiten-weight -1":                                          "--whiten-weight -1: ",
		"--whiten-weight NaN":                                         "--whiten-weight NaN: ",
		"--whiten-weight Inf":                                         "--whiten-weight +Inf: ",
		"--clusters 1":                                                "--clusters 1: ",
		"--method irw --relax-denom 1":                                "--relax-denom 1: ",
		"--method irw --relax-denom NaN":                              "--relax-denom NaN: ",
		"--method giw --whiten-groups 3":                              "in layers of 16, 32, 64; possible are 2, 4, 8",
		"--method giw --whiten-groups 16":                             "possible are 2, 4, 8",
		"--method giw --whiten-groups 1":                              "possible are 2, 4, 8",
		"--method giw --whiten-groups 0":                              "possible are 2, 4, 8",
		"--method giw --whiten-groups -4":                             "possible are 2, 4, 8",
		"--method giw --trunk shufflenetv2 --whiten-groups 8":         "in layers of 24, 116, 232; possible are 2, 4",
		"--placement 0,0,3,4,0,0,0":                                   "several methods fit; say with --method which: in, ibn",
		"--placement 0,0,1,2,0,0,0":                                   "no method trains these norms together",
		"--placement 0,0,1,1,1,0,0 --relax-denom 9 --whiten-groups 2": "leave one out",
		"--placement 0,0,4,4,4,0,0 --whiten-affine conv1x1":           "--whiten-affine conv1x1: placement 0,0,4,4,4,0,0 has no layer",
		"--placement 0,0,1,1,1,0,0 --whiten-group-size 8":             "it is for sw, iternorm",
	} {
		t.Run(args, func(t *testing.T) {
			_, settings, err := chooseLoss(t, strings.Fields(args)...)
			if err == nil {
				t.Fatalf("no error but settings %+v", settings)
			}
			if !cli.IsUsage(err) || !strings.Contains(err.Error(), want) {
				t.Errorf("usage error %t, %q; want %q in it", cli.IsUsage(err), err, want)
			}
		})
	}
}
