// Command robustnet-train makes networks that keep seeing the street when light, weather and
// camera change. It checks data sets (check), trains (fit), measures models on domains that
// they never saw (eval), draws what happened (report) and what whitened features still know
// (reconstruct), adapts to unlabelled pictures for comparison (adapt), imports published
// checkpoints and ImageNet backbones (import), shows what networks are made of and cost
// (describe), writes them as model files for robustnet-edge (export), and compares its
// arithmetic with numbers of the published implementation (conformance).
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends a program that hangs
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
