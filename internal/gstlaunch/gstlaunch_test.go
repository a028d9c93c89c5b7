package gstlaunch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/robustnet-edge/robustnet/internal/gstlaunch/gsttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the deadline for anything that should happen soon.
const patience = 30 * time.Second

func start(t *testing.T, o Options) *Process {
	t.Helper()
	p, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	return stopped(t, p)
}

// stopped stops a process at the end of the test, and sees to it that it ends before.
func stopped(t *testing.T, p *Process) *Process {
	t.Helper()
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
	gsttest.Need(t, "videotestsrc", "gdppay")
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
	gsttest.Need(t, "gdppay")
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
	gsttest.Need(t, "videotestsrc", "valve", "gdppay")
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
	gsttest.Need(t, "videotestsrc", "filesrc", "identity", "gdppay")
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

// One that heeds neither a signal nor the end of its input is killed.
func TestStopKills(t *testing.T) {
	for name, fed := range map[string]bool{"fed": true, "not fed": false} {
		t.Run(name, func(t *testing.T) {
			gsttest.Script(t, launcher, "trap '' INT; echo ready >&3; exec sleep 600")
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
			if took := time.Since(begun); took < stopGrace {
				t.Errorf("Stop took %v, want %v for an end in order", took, stopGrace)
			}
		})
	}
}

// One that reports a fault and lives on, as gst-launch-1.0 does now and then, is killed, and the
// fault is told.
func TestFaultKills(t *testing.T) {
	gsttest.Script(t, launcher, `trap '' INT; echo "ERROR: from element /GstPipeline:pipeline0/GstV4l2Src:v4l2src0: Gone." >&2; exec sleep 600`)
	p := start(t, Options{})
	if _, err := p.Packets.Next(); err != io.EOF {
		t.Errorf("Next: %v, want io.EOF", err)
	}
	if err := p.Wait(); err == nil || err.Error() != "GStreamer: v4l2src0: Gone" {
		t.Errorf("Wait: %v, want the fault", err)
	}
}

// What a pipeline has started ends with it: a scanner of plug-ins that hangs, a wrapper's child.
func TestStopKillsChildren(t *testing.T) {
	gsttest.Script(t, launcher, "trap '' INT; sleep 600 & echo $! >&3; wait; wait")
	p := start(t, Options{})
	var child int
	if _, err := fmt.Fscan(p.out, &child); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	eventually(t, "the child is gone", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// The kernel takes the thread that starts a process for its parent. The process must not end
// with it.
func TestOutlivesItsThread(t *testing.T) {
	gsttest.Script(t, launcher, "exec cat >&3")
	type started struct {
		process *Process
		thread  int
		err     error
	}
	result := make(chan started)
	var onThread func()
	onThread = func() {
		runtime.LockOSThread() // and so the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			other := make(chan struct{}) // the first thread never ends, so another
			go func() { defer close(other); onThread() }()
			<-other
			return
		}
		p, err := Start(Options{Fed: true})
		result <- started{p, unix.Gettid(), err}
	}
	go onThread()
	r := <-result
	if r.err != nil {
		t.Fatal(r.err)
	}
	p := stopped(t, r.process)
	task := fmt.Sprintf("/proc/self/task/%d", r.thread)
	eventually(t, "the thread has ended", func() bool { _, err := os.Stat(task); return os.IsNotExist(err) })
	if _, err := io.WriteString(p.In, "hello"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("hello"))
	if _, err := io.ReadFull(p.out, got); err != nil {
		t.Errorf("read %q, %v; want hello", got, err)
	}
}

// eventually waits for what another process or thread brings about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); !condition(); <-tick.C {
		if time.Since(begun) > patience {
			t.Fatalf("still not the case after %v: %s", patience, what)
		}
	}
}

// Faults are told from their English words, whatever the user's language.
func TestEnvironment(t *testing.T) {
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	t.Setenv("LANGUAGE", "de:fr")
	gsttest.Script(t, launcher, `echo "all $LC_ALL, language $LANGUAGE." >&2; exit 1`)
	p := start(t, Options{})
	if err := p.Wait(); err == nil || !strings.Contains(err.Error(), "(all C.UTF-8, language .)") {
		t.Errorf("the environment is %v", err)
	}
}

// A camera that is opened again for days must not run out of descriptors.
func TestLeavesNoDescriptors(t *testing.T) {
	gsttest.Script(t, launcher, "exec cat >&3")
	open := func() int {
		t.Helper()
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	once := func(fed bool) {
		t.Helper()
		p, err := Start(Options{Fed: fed})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		p.Close()
	}
	once(true) // the runtime opens some for itself
	before := open()
	for i := range 10 {
		once(i%2 == 0)
	}
	if after := open(); after > before {
		t.Errorf("%d descriptors are open, %d before ten processes", after, before)
	}
}

// Two goroutines may stop one process, and a stopped one.
func TestStopAgain(t *testing.T) {
	gsttest.Need(t, "videotestsrc", "gdppay")
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
	gsttest.Need(t, "videotestsrc")
	if ok, err := Has(t.Context(), "nosuchelement"); ok || err != nil {
		t.Errorf("Has(nosuchelement) = %t, %v", ok, err)
	}
	if ok, err := Has(t.Context(), "videotestsrc"); !ok || err != nil {
		t.Errorf("Has(videotestsrc) = %t, %v", ok, err)
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
}

// A program that fails knows nothing of elements.
func TestHasFails(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"crash":  {"kill -SEGV $$", "look for the element x264enc: gst-inspect-1.0 ended: signal: segmentation fault"},
		"broken": {"echo first; echo libgstreamer-1.0.so.0: no such file >&2; exit 127", "gst-inspect-1.0 ended: exit status 127 (libgstreamer-1.0.so.0: no such file)"},
	} {
		gsttest.Script(t, inspector, test.body)
		if ok, err := Has(t.Context(), "x264enc"); ok || err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, ErrUnusable) {
			t.Errorf("%s: Has is %t, %v; want an error with %q", name, ok, err, test.want)
		}
	}
	gsttest.Script(t, inspector, "sleep 600") // as a child of the script
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if ok, err := Has(ctx, "x264enc"); ok || !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Has with a program that hangs: %t, %v; want the deadline in one sentence", ok, err)
	}
	if took := time.Since(begun); took > patience {
		t.Errorf("Has took %v", took)
	}
}

// GStreamer itself says what became of the text. Spaces and quotes must arrive as they are.
func TestArguments(t *testing.T) {
	gsttest.Need(t, "filesrc")
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
