package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/gst"
	"github.com/robustnet-edge/robustnet/camera/v4l2"
	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/doctor"
	"github.com/robustnet-edge/robustnet/edge/stream"
	"github.com/robustnet-edge/robustnet/internal/memory"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
)

// newDoctor makes the command that looks at the machine.
func newDoctor() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has, what is missing, and what makes it slow",
		Long: `Doctor looks at what the daemon needs with these settings: the model and what runs it, the
GPU and its devices, cameras, memory. It changes nothing. The exit code is 1 when
something that the settings need is missing.`,
		Args: noStrayArguments,
	}
	addSettings(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := load(cmd)
		if err != nil {
			return err
		}
		findings := examine(cmd.Context(), doctor.System{Root: "/"}, loaded.Config)
		if err := printFindings(cmd.OutOrStdout(), findings, asJSON); err != nil {
			return err
		}
		if doctor.Worst(findings) == doctor.Missing {
			return errors.New("something that these settings need is missing")
		}
		return nil
	}
	return cmd
}

// examine looks at everything.
func examine(ctx context.Context, s doctor.System, c config.Config) []doctor.Finding {
	findings := []doctor.Finding{{What: "program", State: doctor.OK, Text: readBuild().String()}, s.Board()}
	needsEngine := filepath.Ext(c.Model.Path) == nvinfer.FileEnding
	findings = append(findings, tensorRT(needsEngine || s.IsJetson(), needsEngine))
	if s.IsJetson() {
		findings = append(findings, s.GPUNodes())
	}
	findings = append(findings, model(c.Model), doctor.Memory(memory.AvailableBytes(), nvinfer.BuilderBytes))
	findings = append(findings, gstreamer(ctx, c.Camera)...)
	findings = append(findings, encoding(ctx, c)...)
	findings = append(findings, doctor.Clocks(telemetry.Open(s.Root).Read())...)
	return append(findings, findCameras(v4l2.Cameras())...)
}

// tensorRT tells whether there is TensorRT: where it is expected, its lack is told at length, and
// where it is needed, it is a fault.
func tensorRT(expected, needed bool) doctor.Finding {
	f := doctor.Finding{What: "TensorRT", State: doctor.OK}
	l, err := nvinfer.Load("")
	switch {
	case err == nil:
		d := l.Device()
		l.Close()
		f.Text = fmt.Sprintf("%s, CUDA %s, %s with %d multiprocessors (compute capability %s)", d.TensorRT, d.CUDA, d.GPU, d.Processors, d.Capability)
		return f
	case needed:
		f.State = doctor.Missing
	case expected:
		f.State = doctor.Slow
	default:
		return doctor.Finding{What: "TensorRT", State: doctor.Note, Text: "not here; .onnx models run on ONNX Runtime"}
	}
	f.Text, f.Next, _ = strings.Cut(err.Error(), "; on a Jetson, ")
	return f
}

// model opens the model of the settings.
func model(c config.Model) doctor.Finding {
	f := doctor.Finding{What: "model", State: doctor.OK}
	engine, err := openModel(c)
	if err != nil {
		f.State = doctor.Missing
		f.Text, f.Next, _ = strings.Cut(err.Error(), "; ")
		return f
	}
	d := engine.Describe()
	f.Text = fmt.Sprintf("%s, %s, input %s", engine.Card().Name, d.Backend, config.Size{Width: d.InputWidth, Height: d.InputHeight})
	if e, ok := engine.(*nvinfer.Engine); ok {
		if captured, reason := e.Captured(); !captured {
			f.State, f.Text = doctor.Slow, f.Text+", without a CUDA graph: "+reason
		}
	}
	if where, note := placement(engine); note {
		f.State, f.Text = doctor.Slow, f.Text+"; "+where
	}
	if err := engine.Close(); err != nil {
		f.State, f.Text = doctor.Missing, err.Error()
	}
	return f
}

// gstreamer tells whether GStreamer has what the camera needs, if it comes through GStreamer.
func gstreamer(ctx context.Context, c config.Camera) []doctor.Finding {
	uri, err := camera.ParseURI(c.URI)
	if err != nil || uri.Scheme != "csi" && uri.Scheme != "gst" {
		return nil
	}
	f := doctor.Finding{What: "GStreamer", State: doctor.OK, Text: "has what " + uri.Scheme + ": cameras need"}
	if missing := gst.Missing(ctx, uri); missing != "" {
		f.State = doctor.Missing
		f.Text, f.Next, _ = strings.Cut(missing, "; ")
	}
	return []doctor.Finding{f}
}

// encoding tells what makes H.264, if anything has to.
func encoding(ctx context.Context, c config.Config) []doctor.Finding {
	if c.Stream.RTSP == "" && c.Output.Video == "" {
		return nil
	}
	f := doctor.Finding{What: "encoder", State: doctor.OK}
	found, err := stream.FindEncoder(ctx, c.Stream.Encoder, c.Stream.EncoderPipeline)
	switch {
	case err != nil:
		f.State = doctor.Missing
		f.Text, f.Next, _ = strings.Cut(err.Error(), "; choose ")
		if f.Next != "" {
			f.Next = "choose " + f.Next
		}
	case found.Note() != "": // as on an Orin Nano, which has no such hardware
		f.State, f.Text = doctor.Note, found.Name()+"; "+found.Note()
	default:
		f.Text = found.Name()
	}
	return []doctor.Finding{f}
}

func printFindings(out io.Writer, findings []doctor.Finding, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(findings)
	}
	widest := 0
	for _, f := range findings {
		widest = max(widest, len(f.What))
	}
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%-7s  %-*s  %s\n", f.State, widest, f.What, f.Text)
		if f.Next != "" {
			fmt.Fprintf(&b, "%-7s  %-*s  next: %s\n", "", widest, "", f.Next)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
