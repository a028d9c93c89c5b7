package main

import (
	"context"
	"errors"
	"path/filepath"

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

// runDaemon loads the model and runs the daemon until ctx ends or it is done.
func runDaemon(ctx context.Context, cfg config.Config, log zerolog.Logger) (err error) {
	engine, err := openModel(cfg.Model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	desc := engine.Describe()
	log.Info().Str("model", engine.Card().Name).Str("backend", desc.Backend).Int("threads", desc.Threads).
		Str("input", size(desc.InputWidth, desc.InputHeight)).Str("mask", size(desc.MaskWidth, desc.MaskHeight)).
		Msg("model loaded")
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
	if ctx.Err() != nil {
		return nil // asked to stop while the model was loading
	}
	build := readBuild()
	daemon, err := edge.New(edge.Options{
		Config:   cfg,
		Openers:  cameras(),
		Engine:   engine,
		Sensors:  telemetry.Open("/"),
		Log:      log,
		Version:  build.Version,
		Revision: build.Revision,
	})
	if err != nil {
		return err
	}
	return daemon.Run(ctx)
}

func size(width, height int) string { return config.Size{Width: width, Height: height}.String() }

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
