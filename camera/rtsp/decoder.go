package rtsp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/tail"
)

// decoder is a child process that turns access units into pictures. It is a process of its
// own so that a broken stream cannot bring the program down.
type decoder struct {
	codec  codec
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	stderr complaints
	pool   *camera.Pool
	buf    []byte // of write

	mu      sync.Mutex
	pending stamps
}

// waitDelay is how long a killed decoder's children may keep its error output open.
const waitDelay = time.Second

// findFFmpeg returns the decoder's program.
func findFFmpeg() (string, error) {
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return "", camera.Permanent(errors.New("the program ffmpeg, which decodes H.264 and H.265 cameras, is missing; " +
			"install the package ffmpeg (apt install ffmpeg)"))
	}
	return path, nil
}

// startDecoder starts a decoder for pictures of one size. It must be stopped.
func startDecoder(path string, c codec, width, height int) (*decoder, error) {
	d := &decoder{codec: c, pool: camera.NewPool(width, height), stderr: complaints{tail.New(complaintBytes)}}
	d.cmd = exec.Command(path, "-nostdin", "-hide_banner", "-loglevel", "error",
		// Decode on slices: threads per frame would each hold one back.
		"-thread_type", "slice", "-flags", "low_delay",
		// Look at little before starting. (-fflags nobuffer would lose what was looked at.)
		"-probesize", "32", "-analyzeduration", "0",
		"-f", c.demuxer, "-i", "pipe:0",
		// Without passthrough, FFmpeg drops and repeats pictures to hold 25 per second.
		"-vsync", "passthrough",
		// The writer of raw pictures has threads per frame, too.
		"-threads", "1", "-f", "rawvideo", "-pix_fmt", "bgr24",
		// Frames are cut from the stream by their size, so it must not change.
		"-s", fmt.Sprintf("%dx%d", width, height), "-flush_packets", "1", "pipe:1")
	d.cmd.Stderr = d.stderr
	d.cmd.WaitDelay = waitDelay
	// A Ctrl-C at the terminal is for the program, which ends the decoder in order.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var errIn, errOut error
	d.stdin, errIn = d.cmd.StdinPipe()
	d.stdout, errOut = d.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, fmt.Errorf("start decoder: %w", err)
	}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start decoder %s: %w", path, err)
	}
	return d, nil
}

// write hands an access unit to the decoder. One goroutine may call it.
func (d *decoder) write(au [][]byte, s stamp) error {
	d.buf = d.buf[:0]
	for _, nalu := range au {
		d.buf = append(d.buf, 0, 0, 0, 1)
		d.buf = append(d.buf, nalu...)
	}
	if d.codec.hasPicture(au) {
		d.buf = append(d.buf, d.codec.delimiter...)
		d.mu.Lock()
		d.pending.push(s)
		d.mu.Unlock()
	}
	_, err := d.stdin.Write(d.buf)
	return err
}

// read blocks for the next picture. One goroutine may call it.
func (d *decoder) read() (*camera.Frame, error) {
	f := d.pool.Get()
	if _, err := io.ReadFull(d.stdout, f.Pix); err != nil {
		f.Release()
		return nil, err
	}
	d.mu.Lock()
	s := d.pending.pop()
	d.mu.Unlock()
	f.Captured, f.PTS = s.arrived, s.pts
	return f, nil
}

// kill ends the process and makes read and write return. It may be called by any goroutine,
// and more than once.
func (d *decoder) kill() {
	// The errors say that it has ended already. The pipes are closed for the sake of a wrapper
	// script, whose children outlive it and hold the other ends.
	_ = d.cmd.Process.Kill()
	_ = d.stdin.Close()
	_ = d.stdout.Close()
}

// wait frees the process and says how it ended. It is called once, after kill and after the
// last read.
func (d *decoder) wait() error {
	err := d.cmd.Wait()
	return fmt.Errorf("decode %s: ffmpeg ended: %w%s", d.codec.name, err, d.stderr.note())
}

// complaints are the end of what the decoder prints.
type complaints struct{ *tail.Buffer }

// complaintBytes is enough for a few lines.
const complaintBytes = 1024

// note returns the last line in parentheses, or nothing.
func (c complaints) note() string {
	text := bytes.TrimSpace(c.Bytes())
	if len(text) == 0 {
		return ""
	}
	return fmt.Sprintf(" (ffmpeg: %s)", text[bytes.LastIndexByte(text, '\n')+1:])
}
