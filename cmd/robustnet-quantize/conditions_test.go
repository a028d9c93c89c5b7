package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/telemetry/telemetrytest"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/quantize/latency"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/trt/nvinfer/shimtest"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// bumping is a context that counts an over-current each time it is asked whether it has ended.
type bumping struct {
	context.Context
	t     *testing.T
	root  string
	asked atomic.Int64
}

func (b *bumping) Err() error {
	telemetrytest.Write(b.t, b.root, "sys/class/hwmon/hwmon3/oc2_event_cnt", fmt.Sprintf("%d\n", b.asked.Add(1)))
	return nil
}

// TestBenchThrottled measures on a board whose counters stand still, or move in the meantime.
func TestBenchThrottled(t *testing.T) {
	library, model := trttest.Library(t), modelFile(t, "model.onnx", trttest.Model(trttest.Options{}))
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	for name, c := range map[string]struct {
		ctx  context.Context
		want bool
	}{
		"clocks as set":    {t.Context(), false},
		"clocks held back": {&bumping{Context: t.Context(), t: t, root: root}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, asJSON := range []bool{false, true} {
				var out bytes.Buffer
				o := benchOptions{Options: latency.Options{Runs: 4, Sensors: telemetry.Open(root)}, threads: 1, onnxRuntime: library, json: asJSON, out: &out, log: io.Discard}
				if err := o.bench(c.ctx, []string{model}); err != nil {
					t.Fatal(err)
				}
				if !asJSON {
					text := out.String()
					if !strings.Contains(text, "\npower mode MAXN_SUPER; GPU 918 MHz, at most 1020 MHz; up to 63 °C (gpu-thermal); up to 15.6 W\ncores 0 1 2 3: governor schedutil, 1190 MHz, at most 1728 MHz\ncores 4 5: ") {
						t.Errorf("the conditions are missing:\n%s", text)
					}
					if got := strings.Contains(text, "\ninvalid: clocks were held back while this was measured, by average over-current (oc2, 4 events)\n"); got != c.want || !c.want && strings.Contains(text, "invalid") {
						t.Errorf("want invalid: %t, got\n%s", c.want, text)
					}
					continue
				}
				var got struct {
					Mode      string               `json:"power_mode"`
					Invalid   *bool                `json:"invalid"`
					Throttled []telemetry.Throttle `json:"throttled"`
					Policies  []report.Policy      `json:"frequency_policies"`
				}
				if err := json.Unmarshal(out.Bytes(), &got); err != nil {
					t.Fatal(err)
				}
				if got.Mode != "MAXN_SUPER" || got.Invalid == nil || *got.Invalid != c.want || len(got.Throttled) > 0 != c.want || len(got.Policies) != 2 {
					t.Errorf("want invalid: %t, got\n%s", c.want, &out)
				}
			}
		})
	}
}

// TestRunThrottled has the same in the reports of a whole run.
func TestRunThrottled(t *testing.T) {
	root, out := telemetrytest.Tree(t, telemetrytest.OrinJetPack6), filepath.Join(t.TempDir(), "q")
	var stdout bytes.Buffer
	o := runOptions{sensors: telemetry.Open(root), stdout: &stdout, log: io.Discard, progress: terminal.NewProgress(io.Discard)}
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	o.addFlags(flags)
	o.changed = flags.Changed
	args := quick(streetModel(t), append([]string{"--out", out, "--onnxruntime", trttest.Library(t), "--threads", "1"}, smallStreets...)...)
	if err := flags.Parse(append(args, "--runs", "3")); err != nil {
		t.Fatal(err)
	}
	if err := o.run(&bumping{Context: t.Context(), t: t, root: root}); err != nil {
		t.Fatal(err)
	}
	r, err := report.ReadJSON(filepath.Join(out, jsonFile))
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Conditions; c == nil || !c.Invalid || len(c.Throttled) != 1 || c.Throttled[0].Cause != telemetry.AverageOverCurrent || c.PowerMode != "MAXN_SUPER" {
		t.Errorf("the report has %+v", c)
	}
	text := regexp.MustCompile(`\d+ events`).ReplaceAllString(stdout.String(), "some events")
	for _, want := range []string{"\nms and ratio on " + latency.CPU() + ", 1 thread\npower mode MAXN_SUPER; GPU 918 MHz",
		"\nms and ratio are invalid: clocks were held back while this was measured, by average over-current (oc2, some events)\nreport: "} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwant %q in it", text, want)
		}
	}
	if page := read(t, filepath.Join(out, htmlFile)); !strings.Contains(page, "Latency is invalid: clocks were held back") {
		t.Error("report.html does not say that the times are invalid")
	}
}

// TestBuildThrottled has the same of an engine that was built.
func TestBuildThrottled(t *testing.T) {
	model, shim := modelFile(t, "m.onnx", trttest.Model(trttest.Options{})), shimtest.Library(t)
	root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
	for _, moving := range []bool{false, true} {
		ctx := t.Context()
		if moving {
			ctx = &bumping{Context: ctx, t: t, root: root}
		}
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			o := buildOptions{sensors: telemetry.Open(root), model: model, library: shim, level: 3, runs: 5, json: asJSON,
				stdout: &out, log: io.Discard, progress: terminal.NewProgress(io.Discard)}
			if err := o.build(ctx); err != nil {
				t.Fatal(err)
			}
			var got struct{ Conditions *report.Conditions }
			switch text := out.String(); {
			case asJSON:
				if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Conditions == nil || got.Conditions.Invalid != moving || got.Conditions.GPUMHz != 918 {
					t.Errorf("want invalid: %t, %v, got\n%s", moving, err, text)
				}
			case strings.Contains(text, "\nthese times are invalid: ") != moving, !strings.Contains(text, "\npower mode MAXN_SUPER; GPU 918 MHz"):
				t.Errorf("want invalid: %t, got\n%s", moving, text)
			}
		}
	}
}

// TestLatencyText is empty where nothing was measured.
func TestLatencyText(t *testing.T) {
	for name, r := range map[string]report.Report{
		"nothing":  {},
		"no times": {Conditions: &report.Conditions{PowerMode: "15W"}, Variants: []report.Variant{{Name: fp32}}},
		"old":      {Variants: []report.Variant{{Name: fp32, Latency: &report.Latency{CPU: "Xeon"}}}},
	} {
		if got := latencyText(&r); got != "" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	r := report.Report{Conditions: &report.Conditions{}, Variants: []report.Variant{{Name: fp32, Latency: &report.Latency{CPU: "Xeon", Threads: 2}}}}
	if got, want := latencyText(&r), "ms and ratio on Xeon, 2 threads\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
