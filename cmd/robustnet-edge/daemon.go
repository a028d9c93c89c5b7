package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/dir"
	"github.com/robustnet-edge/robustnet/camera/file"
	"github.com/robustnet-edge/robustnet/camera/gst"
	"github.com/robustnet-edge/robustnet/camera/rtsp"
	"github.com/robustnet-edge/robustnet/camera/synthetic"
	"github.com/robustnet-edge/robustnet/camera/v4l2"
	"github.com/robustnet-edge/robustnet/edge"
	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/internal/systemd"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// cameras are the kinds of camera that this program knows, by URI scheme.
func cameras() camera.Openers {
	return camera.Openers{
		"v4l2":      v4l2.Open,
		"file":      file.Open,
		"dir":       dir.Open,
		"rtsp":      rtsp.Open,
		"rtsps":     rtsp.Open,
		"csi":       gst.Open,
		"gst":       gst.Open,
		"synthetic": synthetic.Open,
	}
}

// freezeVariable of the environment, set to 1, makes SIGUSR1 freeze the network, to test what
// watches over the daemon.
const freezeVariable = "ROBUSTNET_DEBUG_FREEZE"

// runDaemon runs the daemon until ctx ends or it is done. SIGHUP makes it read its
// configuration again, by load.
func runDaemon(ctx context.Context, cfg config.Config, load func() (config.Config, error), log *logger) error {
	build := readBuild()
	o := edge.Options{
		Config:      cfg,
		Openers:     cameras(),
		Watchers:    map[string]edge.Watcher{"v4l2": v4l2.Watch},
		OpenModel:   func(m config.Model) (trt.Engine, error) { return loadModel(m, log.Logger) },
		Sensors:     telemetry.Open("/"),
		Log:         log.Logger,
		Version:     build.Version,
		Revision:    build.Revision,
		Load:        load,
		SetLogLevel: log.setLevel,
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reload, stop := onSignal(syscall.SIGHUP, hangUp(isTerminal(os.Stdin), cancel))
	defer stop()
	o.Reload = reload
	if os.Getenv(freezeVariable) == "1" {
		freeze, stop := onSignal(syscall.SIGUSR1, func() bool { return true })
		defer stop()
		o.Freeze = freeze
	}
	if s := systemd.Find(log.Logger); s != nil {
		o.Service = s
	}
	daemon, err := edge.New(o)
	if err != nil {
		return err
	}
	return daemon.Run(ctx)
}

// hangUp says whether SIGHUP means the configuration. For a daemon that was started at a
// terminal which is gone it means the end, as for other programs; or it would keep the camera.
func hangUp(atTerminal bool, stop func()) func() bool {
	return func() bool {
		if atTerminal {
			tty, err := os.Open("/dev/tty")
			if err != nil {
				stop()
				return false
			}
			tty.Close()
		}
		return true
	}
}

// onSignal turns a signal into values, where meant says so. One that comes while another
// waits adds nothing.
func onSignal(sig os.Signal, meant func() bool) (values <-chan struct{}, stop func()) {
	signals, passed, done := make(chan os.Signal, 1), make(chan struct{}, 1), make(chan struct{})
	signal.Notify(signals, sig)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-signals:
			}
			if !meant() {
				continue
			}
			select {
			case passed <- struct{}{}:
			default:
			}
		}
	}()
	return passed, func() {
		signal.Stop(signals)
		close(done)
	}
}

// loadModel loads a model, and says what makes it slower than it could be.
func loadModel(c config.Model, log zerolog.Logger) (trt.Engine, error) {
	if c.Provider == trt.TensorRT {
		log.Info().Msg("loading the model; at the first start TensorRT builds an engine of it, which takes minutes")
	}
	engine, err := openModel(c)
	if err != nil {
		return nil, err
	}
	if e, ok := engine.(*nvinfer.Engine); ok {
		if captured, reason := e.Captured(); !captured {
			log.Warn().Str("reason", reason).Msg("inference runs without a CUDA graph, which is slower")
		}
		if rebuild, outdated := e.Outdated(); outdated {
			log.Warn().Str("run", rebuild).Msg("the model has changed since the engine was built from it")
		}
	}
	if where, note := placement(engine); note {
		log.Warn().Str("kernels", where).Msg("part of the model runs on the CPU, which is slower")
	}
	return engine, nil
}

// placement tells where the kernels of a model run, and whether some are not where they were
// wanted.
func placement(engine trt.Engine) (where string, note bool) {
	e, ok := engine.(*ort.Engine)
	if !ok {
		return "", false
	}
	p, ok := e.Placement()
	return p.String(), ok && p.CPU > 0
}

// openModel loads a model file, or an engine that was built for this GPU; neither takes the
// other's place.
func openModel(c config.Model) (trt.Engine, error) {
	o := ort.Options{Library: c.Library, Threads: c.Threads, Provider: c.Provider}
	switch {
	case c.Path == "":
		return ort.Load(models.DefaultName, models.Default, o)
	case filepath.Ext(c.Path) == nvinfer.FileEnding:
		return nvinfer.Open(c.Path, nvinfer.Options{})
	}
	return ort.Open(c.Path, o)
}
