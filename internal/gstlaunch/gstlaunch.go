// Package gstlaunch runs GStreamer pipelines as child processes, through the program
// gst-launch-1.0, and reads from a pipe what they make.
//
// They are processes of their own because elements that reach into drivers hang in calls that
// nothing interrupts, or crash. A process can be ended whatever it does, and it tells the
// regular end of a pipeline, a fault and the reason of the fault apart, which OpenCV's
// GStreamer capture does not.
package gstlaunch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robustnet-edge/robustnet/internal/tail"
)

// Sink ends a pipeline whose buffers [Process.Packets] reads. It writes to a descriptor of its
// own, since elements of vendors print to standard output.
const Sink = "gdppay ! fdsink fd=3 sync=false async=false"

// Source begins a pipeline that is fed through [Process.In].
const Source = "fdsrc fd=0 blocksize=1048576"

// ErrUnusable marks a pipeline that will not work at another time either: an element or the
// program itself is missing, or the text is no pipeline.
var ErrUnusable = errors.New("unusable pipeline")

const (
	launcher  = "gst-launch-1.0"
	inspector = "gst-inspect-1.0"
)

const (
	// stopGrace is how long a pipeline may take to end in order. NVIDIA's camera service
	// does not always get over a client that was killed.
	stopGrace = 500 * time.Millisecond
	// killGrace is how long a killed process may take, and its children with its output open.
	killGrace = time.Second
	// pipeBytes is as much as any user may ask for (pipe(7)). A picture takes a few writes.
	pipeBytes = 1 << 20
	// inspectLimit is how long GStreamer may take to say what it has. On the first run, it looks
	// at all its plug-ins.
	inspectLimit = 20 * time.Second
)

// Options say what to run.
type Options struct {
	// Pipeline is in the syntax of gst-launch-1.0. Without [Sink] nothing can be read.
	Pipeline string
	// Fed says that the pipeline begins with [Source].
	Fed bool
}

// Process is a running pipeline. It must be stopped.
type Process struct {
	// In feeds the pipeline; nil unless it is fed. It has deadlines, as [Process.SetDeadline]
	// sets them.
	In *os.File
	// Packets is what arrives at Sink. One goroutine may read it.
	Packets *Reader

	out    *os.File
	cmd    *exec.Cmd
	output output
	done   chan struct{} // closed when the process has ended
	status error         // of the process, set before done is closed
}

// Start starts a pipeline. Whether it works shows when its packets are read.
func Start(o Options) (*Process, error) {
	program, err := find(launcher)
	if err != nil {
		return nil, err
	}
	p := &Process{done: make(chan struct{}), output: output{Buffer: tail.New(outputBytes)}}
	// Its fault handler would keep a process that crashed alive, for a debugger.
	p.cmd = exec.Command(program, append([]string{"-q", "--no-fault", "--"}, arguments(o.Pipeline)...)...)
	// After a fault it should end by itself, and on a busy machine does not always.
	p.output.onFault = func() { time.AfterFunc(stopGrace, p.kill) }
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.Env = environment()
	p.cmd.WaitDelay = killGrace
	// A Ctrl-C at the terminal is for the program, which ends the pipeline in order; and one
	// that delivers nothing would not notice that the program is gone.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	theirs, err := p.openPipes(o.Fed)
	if err == nil {
		started := make(chan error)
		go p.run(started)
		err = <-started
	}
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		p.closePipes()
		return nil, fmt.Errorf("start %s: %w", launcher, err)
	}
	p.Packets = NewReader(p.out)
	return p, nil
}

// run starts the process and waits for it, on one thread: the kernel kills the process when
// the thread that started it ends, not when the program does.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.status = p.cmd.Wait()
	}
}

// environment makes GStreamer speak English, which explain understands. LANGUAGE goes before
// LC_ALL, but for the locale C, in which file names would be ASCII.
func environment() []string {
	return append(os.Environ(), "LC_ALL=C.UTF-8", "LANGUAGE=", "GST_DEBUG_NO_COLOR=1")
}

// openPipes makes the process's pipes and returns the ends that belong to it.
func (p *Process) openPipes(fed bool) (theirs []*os.File, err error) {
	var write *os.File
	if p.out, write, err = os.Pipe(); err != nil {
		return nil, err
	}
	theirs, p.cmd.ExtraFiles = []*os.File{write}, []*os.File{write} // descriptor 3
	enlarge(p.out)
	if !fed {
		return theirs, nil
	}
	var read *os.File
	if read, p.In, err = os.Pipe(); err != nil {
		return theirs, err
	}
	p.cmd.Stdin = read
	enlarge(p.In)
	return append(theirs, read), nil
}

// enlarge makes a pipe hold more, where the system lets it: fewer changes of process.
func enlarge(f *os.File) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeBytes) })
	}
}

func (p *Process) closePipes() {
	for _, f := range []*os.File{p.In, p.out} {
		if f != nil {
			f.Close()
		}
	}
}

// SetDeadline makes reading packets and writing to In fail with [os.ErrDeadlineExceeded] at t.
// Any goroutine may call it.
func (p *Process) SetDeadline(t time.Time) {
	for _, f := range []*os.File{p.In, p.out} {
		if f != nil {
			_ = f.SetDeadline(t) // fails for closed pipes only, where nothing waits
		}
	}
}

// Wait waits for a pipeline that is about to end by itself, as after its packets have ended,
// and returns nil if it reached its regular end, and why not otherwise. One that does not end
// is killed.
func (p *Process) Wait() error {
	if err := p.end(); err != nil {
		return err
	}
	if p.status == nil {
		return nil
	}
	return explain(printable(p.output.Bytes()), p.status)
}

// Stop ends the pipeline: in order if it can, else by force. It is idempotent, and any goroutine
// may call it, also while another reads packets or waits. An error says that the process lives
// on, which only a driver can bring about.
func (p *Process) Stop() error {
	if p.In != nil {
		p.In.Close()
	} else {
		_ = p.cmd.Process.Signal(os.Interrupt) // fails if it has ended
	}
	return p.end()
}

// end gives the process a while to end, and then kills it.
func (p *Process) end() error {
	if p.ended(stopGrace) {
		return nil
	}
	p.kill()
	if p.ended(killGrace) {
		return nil
	}
	return fmt.Errorf("%s does not end when it is killed, a driver holds it; restart the computer if it stays", launcher)
}

// kill ends the process at once, and what it has started: GStreamer's scanner of plug-ins can
// hang as well.
func (p *Process) kill() {
	select {
	case <-p.done: // its number may be another's by now
	default:
		killGroup(p.cmd)
	}
}

func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails if it has ended after all
}

func (p *Process) ended(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// Close frees the pipes of a process that has ended. It is idempotent.
func (p *Process) Close() { p.closePipes() }

// find returns the path of a program of GStreamer.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", unusable(fmt.Sprintf("the program %s, which runs GStreamer pipelines, is missing; "+
			"install the package gstreamer1.0-tools", name))
	}
	return path, nil
}

// Has tells whether there is an element of that name. Without GStreamer's programs the error
// wraps [ErrUnusable].
func Has(ctx context.Context, element string) (bool, error) {
	program, err := find(inspector)
	if err != nil {
		return false, err
	}
	limited, cancel := context.WithTimeout(ctx, inspectLimit)
	defer cancel()
	said := tail.New(outputBytes)
	cmd := exec.CommandContext(limited, program, "--exists", element)
	cmd.Stdout, cmd.Stderr, cmd.Env = said, said, environment()
	// A Ctrl-C at the terminal must not read as an element that is missing.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { killGroup(cmd); return nil }
	cmd.WaitDelay = killGrace
	err = cmd.Run()
	var status *exec.ExitError
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, fmt.Errorf("look for the element %s: %w", element, ctx.Err())
	case limited.Err() != nil:
		return false, fmt.Errorf("%s does not say within %v whether there is an element %s; "+
			"run it by hand to see which plug-in it waits for", inspector, inspectLimit, element)
	case errors.As(err, &status) && status.ExitCode() == 1:
		return false, nil
	}
	return false, fmt.Errorf("look for the element %s: %w", element, ended(inspector, printable(said.Bytes()), err))
}

// Try runs a pipeline that ends by itself, and says why it does not reach its end.
func Try(ctx context.Context, pipeline string) error {
	p, err := Start(Options{Pipeline: pipeline})
	if err != nil {
		return err
	}
	defer p.Close()
	select {
	case <-p.done:
		return p.Wait()
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("the pipeline does not end: %w", ctx.Err()), p.Stop())
	}
}

// arguments cuts a pipeline into what gst-launch-1.0 joins again to the same text. It puts a
// backslash before spaces within an argument, so there are none.
func arguments(pipeline string) []string { return strings.Split(pipeline, " ") }
