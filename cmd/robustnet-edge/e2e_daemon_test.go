package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// transcript is what a daemon writes to stderr: lines of JSON and, when it fails, one that
// is not. It is safe for concurrent use.
type transcript struct {
	mu      sync.Mutex
	text    []byte
	changed chan struct{} // closed and replaced at every write
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// complaint is what is not a log line: the error that ended the program. The encoder's
// library writes lines of its own, which no caller can turn off.
func (l *transcript) complaint() string {
	var b strings.Builder
	for line := range strings.Lines(l.String()) {
		if !strings.HasPrefix(line, "{") && !strings.HasPrefix(line, "x264 [info]") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// find returns the first log line with the message.
func (l *transcript) find(message string) (fields map[string]any, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.text) {
		var f map[string]any
		if json.Unmarshal(line, &f) == nil && f["message"] == message {
			return f, l.changed
		}
	}
	return nil, l.changed
}

// wait returns the first log line with the message, once it is there.
func (l *transcript) wait(t *testing.T, message string, ended <-chan struct{}) map[string]any {
	t.Helper()
	deadline := time.After(patience)
	for {
		fields, changed := l.find(message)
		if fields != nil {
			return fields
		}
		select {
		case <-changed:
		case <-ended:
			if fields, _ := l.find(message); fields != nil {
				return fields
			}
			t.Fatalf("the daemon ended before it logged %q; it wrote\n%s", message, l)
		case <-deadline:
			t.Fatalf("the daemon did not log %q within %v; it wrote\n%s", message, patience, l)
		}
	}
}

// addresses are where a running daemon serves.
type addresses struct{ rtsp, page string }

// host is the page's address as the setting has it.
func (a addresses) host() string {
	return strings.TrimSuffix(strings.TrimPrefix(a.page, "http://"), "/")
}

func (l *transcript) addresses(t *testing.T, ended <-chan struct{}) addresses {
	t.Helper()
	fields := l.wait(t, "serving", ended)
	var a addresses
	a.rtsp, _ = fields["rtsp"].(string)
	a.page, _ = fields["page"].(string)
	return a
}

// freePorts are flags for a daemon that disturbs nobody and can be understood by programs.
// Later flags win, so that a test can change any of them.
func freePorts(t *testing.T, args []string) []string {
	t.Helper()
	return append([]string{"--rtsp", "127.0.0.1:0", "--rtp-port", "0", "--http", "127.0.0.1:0",
		"--log-format", "json", "--onnxruntime", trttest.Library(t)}, args...)
}

// daemon is the program in a goroutine of the test.
type daemon struct {
	addresses
	t      *testing.T
	log    *transcript
	cancel context.CancelFunc
	code   int // valid once ended is closed
	ended  chan struct{}
}

// start runs a command line until it serves. When the test ends, the daemon is stopped
// unless it was before, and must have left no goroutine.
func start(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := launch(t, args...)
	d.addresses = d.log.addresses(t, d.ended)
	return d
}

// launch is start without waiting.
func launch(t *testing.T, args ...string) *daemon {
	t.Helper()
	args = freePorts(t, args)
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(context.Background()) // t.Context ends before Cleanup
	d := &daemon{t: t, log: newTranscript(), cancel: cancel, ended: make(chan struct{})}
	t.Cleanup(func() {
		d.stop()
		goleak.VerifyNone(t, before)
		if t.Failed() {
			t.Logf("the daemon with %q wrote\n%s", args, d.log)
		}
	})
	go func() {
		defer close(d.ended)
		d.code = run(ctx, args, d.log, d.log)
	}()
	return d
}

// stop ends the daemon as a signal does, which must succeed at once. It is idempotent.
func (d *daemon) stop() {
	d.t.Helper()
	select {
	case <-d.ended:
		return
	default:
	}
	d.cancel()
	select {
	case <-d.ended:
	case <-time.After(stopLimit):
		d.t.Errorf("still running %v after it was told to stop", stopLimit)
		<-d.ended
	}
	if complaint := d.log.complaint(); d.code != cli.OK || complaint != "" {
		d.t.Errorf("stopped: exit code %d, %q; want 0 without complaint", d.code, complaint)
	}
}

// finish waits for a daemon that ends by itself.
func (d *daemon) finish() (code int, complaint string) {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(4 * patience):
		d.t.Fatalf("still running after %v", 4*patience)
	}
	return d.code, d.log.complaint()
}

// process runs a command line to its end, which must be a good one.
func process(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := launch(t, args...)
	if code, complaint := d.finish(); code != cli.OK || complaint != "" {
		t.Fatalf("%q: exit code %d, %q; want 0 without complaint", args, code, complaint)
	}
	return d
}

// child is the program in a process of its own, which can be sent signals.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   *transcript
	ended chan struct{}
}

// spawn starts a process. It is killed when the test ends, unless it ended before.
func spawn(t *testing.T, args ...string) *child {
	t.Helper()
	return spawnCommand(t, exec.Command(testBinary(t), freePorts(t, args)...))
}

// testBinary is the file that runs as the program when asProgram is set.
func testBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func spawnCommand(t *testing.T, cmd *exec.Cmd) *child {
	t.Helper()
	p := &child{t: t, cmd: cmd, log: newTranscript(), ended: make(chan struct{})}
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // the outcome is in ProcessState
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error says that it has ended
		<-p.ended
		if t.Failed() {
			t.Logf("the program with %q wrote\n%s", cmd.Args, p.log)
		}
	})
	return p
}

func (p *child) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("send %v: %v", sig, err)
	}
}

// within waits for the end and returns how it ended.
func (p *child) within(limit time.Duration) *os.ProcessState {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.t.Fatalf("the program is still running after %v", limit)
	}
	return p.cmd.ProcessState
}

// mustStop fails the test unless the program ends well and in time.
func (p *child) mustStop() {
	p.t.Helper()
	began := time.Now()
	state := p.within(stopLimit)
	p.t.Logf("stopped after %v", time.Since(began).Round(time.Millisecond))
	if complaint := p.log.complaint(); state.ExitCode() != cli.OK || complaint != "" {
		p.t.Errorf("%v, %q; want exit code 0 without complaint", state, complaint)
	}
}
