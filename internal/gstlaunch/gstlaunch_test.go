package gstlaunch

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the deadline for anything that should happen soon.
const patience = 30 * time.Second

// need skips where an element is missing.
func need(t testing.TB, elements ...string) {
	t.Helper()
	for _, e := range elements {
		if ok, err := Has(t.Context(), e); err != nil || !ok {
			t.Skipf("the GStreamer element %s is not installed; run make setup (%v)", e, err)
		}
	}
}

func start(t *testing.T, o Options) *Process {
	t.Helper()
	p, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
		p.Close()
		if err := p.cmd.Process.Signal(os.Interrupt); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("signal to the stopped process: %v, want os.ErrProcessDone", err)
		}
	})
	p.SetDeadline(time.Now().Add(patience))
	return p
}

func TestPackets(t *testing.T) {
	need(t, "videotestsrc", "gdppay")
	p := start(t, Options{Pipeline: "videotestsrc num-buffers=3 ! video/x-raw,format=BGR,width=64,height=48,framerate=25/2 ! " + Sink})
	var video Video
	for n := 0; ; {
		pkt, err := p.Packets.Next()
		if errors.Is(err, io.EOF) {
			if n != 3 {
				t.Errorf("%d buffers, want 3", n)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if pkt.Caps != "" {
			if video, err = ParseVideo(pkt.Caps); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if want := (Video{"BGR", 64, 48, 12.5}); video != want {
			t.Errorf("caps are %+v, want %+v", video, want)
		}
		if pkt.Bytes != 64*48*3 || pkt.PTS != time.Duration(n)*80*time.Millisecond || pkt.Number != int64(n) {
			t.Errorf("buffer %d: %+v, want number %d of %d bytes at %v", n, pkt, n, 64*48*3, time.Duration(n)*80*time.Millisecond)
		}
		n++
	}
	if err := p.Wait(); err != nil {
		t.Errorf("Wait after the regular end: %v", err)
	}
}

// What is fed arrives, and the end of it ends the pipeline in order.
func TestFed(t *testing.T) {
	need(t, "gdppay")
	p := start(t, Options{Pipeline: Source + " ! application/octet-stream ! " + Sink, Fed: true})
	if _, err := io.WriteString(p.In, "hello"); err != nil {
		t.Fatal(err)
	}
	for {
		pkt, err := p.Packets.Next()
		if err != nil {
			t.Fatal(err)
		}
		if pkt.Caps != "" {
			continue
		}
		got := make([]byte, pkt.Bytes)
		if err := p.Packets.Read(got); err != nil || string(got) != "hello" {
			t.Fatalf("read %q, %v; want hello", got, err)
		}
		break
	}
	if err := errors.Join(p.Stop(), p.Wait()); err != nil {
		t.Errorf("after the end of the input: %v, want a regular end", err)
	}
}

func TestDeadlineEndsWaiting(t *testing.T) {
	need(t, "videotestsrc", "valve", "gdppay")
	p := start(t, Options{Pipeline: "videotestsrc is-live=true ! valve drop=true ! " + Sink})
	p.SetDeadline(time.Now().Add(50 * time.Millisecond))
	for {
		if _, err := p.Packets.Next(); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Next: %v, want os.ErrDeadlineExceeded", err)
			}
			return
		}
	}
}

func TestFaults(t *testing.T) {
	need(t, "videotestsrc", "filesrc", "identity", "gdppay")
	for name, test := range map[string]struct {
		pipeline, want string
		unusable       bool
	}{
		"no element": {"nosuchsrc ! " + Sink, `no element "nosuchsrc"; install`, true},
		"syntax":     {"videotestsrc ! ! " + Sink, "syntax error", true},
		"property":   {"videotestsrc colour=red ! " + Sink, `no property "colour" in element "videotestsrc"`, true},
		"no file":    {"filesrc location=/none ! " + Sink, `filesrc0: Resource not found (No such file "/none")`, false},
		"breaks":     {"videotestsrc ! identity error-after=3 ! " + Sink, "identity0: Failed after iterations as requested", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, Options{Pipeline: test.pipeline})
			for {
				if _, err := p.Packets.Next(); err != nil {
					break
				}
			}
			err := p.Wait()
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || errors.Is(err, ErrUnusable) != test.unusable {
				t.Errorf("Wait: %v; want one sentence with %q, unusable %t", err, test.want, test.unusable)
			}
		})
	}
}

// script puts a program in the place of gst-launch-1.0.
func script(t *testing.T, body string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, launcher), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// One that heeds neither a signal nor the end of its input is killed.
func TestStopKills(t *testing.T) {
	for name, fed := range map[string]bool{"fed": true, "not fed": false} {
		t.Run(name, func(t *testing.T) {
			script(t, "trap '' INT; echo ready >&3; exec sleep 600")
			p := start(t, Options{Fed: fed})
			if _, err := io.ReadFull(p.out, make([]byte, len("ready\n"))); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if err := p.Stop(); err != nil {
				t.Errorf("Stop: %v", err)
			}
			if err := p.Wait(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
				t.Errorf("Wait: %v, want that it was killed", err)
			}
			if took := time.Since(begun); took < stopGrace || took > stopGrace+killGrace {
				t.Errorf("Stop took %v, want %v and little more", took, stopGrace)
			}
		})
	}
}

// One that reports a fault and lives on, as gst-launch-1.0 does now and then, is killed, and the
// fault is told.
func TestFaultKills(t *testing.T) {
	script(t, `trap '' INT; echo "ERROR: from element /GstPipeline:pipeline0/GstV4l2Src:v4l2src0: Gone." >&2; exec sleep 600`)
	p := start(t, Options{})
	if _, err := p.Packets.Next(); err != io.EOF {
		t.Errorf("Next: %v, want io.EOF", err)
	}
	if err := p.Wait(); err == nil || err.Error() != "GStreamer: v4l2src0: Gone" {
		t.Errorf("Wait: %v, want the fault", err)
	}
}

// Two goroutines may stop one process, and a stopped one.
func TestStopAgain(t *testing.T) {
	need(t, "videotestsrc", "gdppay")
	p := start(t, Options{Pipeline: "videotestsrc is-live=true ! " + Sink})
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Stop() }()
	_ = p.Stop()
	<-done
	_ = p.Stop()
}

func TestMissingPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, errStart := Start(Options{Pipeline: "videotestsrc"})
	_, errHas := Has(t.Context(), "videotestsrc")
	for _, err := range []error{errStart, errHas, Try(t.Context(), "videotestsrc")} {
		if !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "install the package gstreamer1.0-tools") {
			t.Errorf("error = %v; want an unusable pipeline, with the package", err)
		}
	}
}

func TestHasAndTry(t *testing.T) {
	need(t, "videotestsrc")
	if ok, err := Has(t.Context(), "nosuchelement"); ok || err != nil {
		t.Errorf("Has(nosuchelement) = %t, %v", ok, err)
	}
	if err := Try(t.Context(), "videotestsrc num-buffers=2 ! fakesink"); err != nil {
		t.Errorf("Try: %v", err)
	}
	if err := Try(t.Context(), "videotestsrc num-buffers=2 ! identity error-after=1 ! fakesink"); err == nil {
		t.Error("Try passes a pipeline that breaks")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := Try(ctx, "videotestsrc ! fakesink"); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Try of a pipeline without end: %v, want the deadline in one sentence", err)
	}
	if _, err := Has(ctx, "videotestsrc"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Has after the deadline: %v", err)
	}
}

// GStreamer itself says what became of the text. Spaces and quotes must arrive as they are.
func TestArguments(t *testing.T) {
	need(t, "filesrc")
	for _, name := range []string{"/none", "/a b", "/a  b", `/a'b`, `/ü`} {
		err := Try(t.Context(), `filesrc location="`+name+`" ! fakesink`)
		if err == nil || !strings.Contains(err.Error(), `No such file "`+name+`"`) {
			t.Errorf("file %q: %v, want that it does not exist", name, err)
		}
	}
}

func TestExplain(t *testing.T) {
	status := &exec.ExitError{}
	for name, test := range map[string]struct{ output, want string }{
		"NVIDIA's element": {"WARNING: erroneous pipeline: no element \"nvarguscamerasrc\"\n",
			`GStreamer cannot make the pipeline: no element "nvarguscamerasrc"; it comes with NVIDIA's system for Jetson (package nvidia-l4t-gstreamer)`},
		"first of several": {"Setting up\nERROR: from element /GstPipeline:pipeline0/GstV4l2Src:v4l2src0: Cannot identify device '/dev/video9'.\n" +
			"Additional debug info:\n../sys/v4l2/v4l2_calls.c(608): gst_v4l2_open (): /GstPipeline:pipeline0/GstV4l2Src:v4l2src0:\n" +
			"system error: No such file or directory\nERROR: pipeline doesn't want to preroll.\nFailed to set pipeline to PAUSED.\n",
			"GStreamer: v4l2src0: Cannot identify device '/dev/video9' (system error: No such file or directory)"},
		"without detail": {"ERROR: from element /GstPipeline:pipeline0/GstIdentity:identity0: Failed.\nAdditional debug info:\n../gstidentity.c(847): x ()\n" +
			"ERROR: from element /GstPipeline:pipeline0/GstVideoTestSrc:videotestsrc0: Internal data stream error.\n",
			"GStreamer: identity0: Failed"},
		"cut off":      {"ERROR: from element /GstPipeline", "GStreamer: /GstPipeline"},
		"something":    {"(Argus) Error Timeout\n\n", "gst-launch-1.0 ended: <nil> ((Argus) Error Timeout)"},
		"nothing":      {"\n", "gst-launch-1.0 ended: <nil>"},
		"not building": {"ERROR: pipeline could not be constructed: empty pipeline not allowed.\n", "GStreamer cannot make the pipeline: empty pipeline not allowed"},
	} {
		if got := explain(test.output, status); got.Error() != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
