// Command robustnet-train makes networks that keep seeing the street when light, weather and
// camera change: it imports published checkpoints and ImageNet backbones into run folders and
// shows what networks cost.
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
