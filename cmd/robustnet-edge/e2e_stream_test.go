package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"time"
)

// saneLatency is what no working daemon exceeds, however busy the machine.
const saneLatency = 5 * time.Second

// watched is how many pictures each player of TestStream is asked for.
const watched = 40

// Two players at once, one over TCP and one over UDP, see the live picture, and the time
// drawn on it tells how long it took from the camera to the player.
func TestStream(t *testing.T) {
	for _, source := range []struct {
		name, camera  string
		width, height int
		real          bool
	}{
		{name: "video", camera: "data/video/solidWhiteRight.mp4", width: 960, height: 540, real: true},
		{name: "synthetic", camera: "synthetic:?size=640x360&fps=15", width: 640, height: 360},
	} {
		t.Run(source.name, func(t *testing.T) {
			args := []string{"--camera", source.camera}
			if source.real {
				args = []string{"--camera", "file:" + needShared(t, source.camera) + "?loop=1"}
				args = append(args, referenceIfHere(t)...)
			}
			d := start(t, append(args, "--rtp-port", fmt.Sprint(freeRTPPort(t)), "--stamp")...)
			for _, transport := range []string{"tcp", "udp"} {
				got := probe(t, "-analyzeduration", "500000", "-rtsp_transport", transport, d.rtsp)
				if got.Codec != "h264" || got.Width != source.width || got.Height != source.height {
					t.Errorf("over %s: %s of %d×%d, want h264 of %d×%d", transport, got.Codec, got.Width, got.Height, source.width, source.height)
				}
			}
			tcp := play(t, d.rtsp, "tcp", source.width, source.height)
			udp := play(t, d.rtsp, "udp", source.width, source.height)
			for _, p := range []*player{tcp, udp} {
				checkPictures(t, p.name, p.take(watched))
			}
			if got := d.metric(t, "robustnet_rtsp_clients"); got != 2 {
				t.Errorf("robustnet_rtsp_clients = %v while two play", got)
			}
			pipeline := d.camera(t).Pipeline
			t.Logf("in the daemon: camera to encoded %+v ms, network %+v ms", pipeline.LatencyMS, pipeline.InferMS)
			for _, p := range []*player{tcp, udp} {
				if complaint := p.stop(); complaint != "" {
					t.Errorf("player over %s complains: %s", p.name, complaint)
				}
			}
			eventually(t, "both players counted out", func() bool { return d.metric(t, "robustnet_rtsp_clients") == 0 })
			d.stop()
		})
	}
}

// referenceIfHere names the model that was trained on real streets; without it the one
// inside the program runs.
func referenceIfHere(t *testing.T) []string {
	t.Helper()
	path, err := shared(referenceModel)
	if errors.Is(err, fs.ErrNotExist) {
		t.Log("with the model inside the program: the reference model is not here")
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--model", path}
}

func checkPictures(t *testing.T, name string, pictures []picture) {
	t.Helper()
	latencies := make([]time.Duration, 0, len(pictures))
	distinct := map[uint64]bool{}
	for i, p := range pictures {
		if !p.stamped {
			t.Errorf("over %s: the stamp of picture %d cannot be read", name, i)
			continue
		}
		latency := p.arrived.Sub(p.captured)
		if latency <= 0 || latency > saneLatency {
			t.Errorf("over %s: picture %d came %v after it was captured, want 0 to %v", name, i, latency, saneLatency)
		}
		latencies = append(latencies, latency)
		if i > 0 && !p.captured.After(pictures[i-1].captured) {
			t.Errorf("over %s: picture %d was captured %v after the one before, want later", name, i, p.captured.Sub(pictures[i-1].captured))
		}
		if p.lightest-p.darkest < 64 {
			t.Errorf("over %s: picture %d has luma %d to %d only, want a street", name, i, p.darkest, p.lightest)
		}
		distinct[p.digest] = true
	}
	if len(distinct) < len(pictures)/2 {
		t.Errorf("over %s: %d different pictures among %d, want motion", name, len(distinct), len(pictures))
	}
	if len(latencies) == 0 {
		return
	}
	slices.Sort(latencies)
	at := func(q float64) time.Duration {
		return latencies[int(q*float64(len(latencies)-1))].Round(time.Millisecond)
	}
	span := pictures[len(pictures)-1].captured.Sub(pictures[0].captured)
	t.Logf("over %s: camera to player p50 %v, p95 %v, at %.1f pictures/s", name, at(0.50), at(0.95), float64(len(pictures)-1)/span.Seconds())
}
