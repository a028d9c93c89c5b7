// Command robustnet-train makes networks that keep seeing the street when light, weather and
// camera change. It imports published checkpoints and ImageNet backbones into run folders
// (import), shows what networks are made of and cost (describe), writes them as model files
// for robustnet-edge (export), and compares its arithmetic with numbers of the published
// implementation (conformance).
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
