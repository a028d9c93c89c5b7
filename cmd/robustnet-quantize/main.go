// Command robustnet-quantize makes INT8 and FP16 models of a float one (run), holds them to
// their accuracy on domains that they never saw, builds TensorRT engines of them (build),
// compares the speed of model files (bench) and shows what is in one (info).
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
