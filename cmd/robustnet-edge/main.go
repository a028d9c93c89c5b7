// Command robustnet-edge segments a camera's street view on the device and serves the
// result: as video over RTSP, as a web page with snapshots, and as metrics.
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
