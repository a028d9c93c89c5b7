package stream

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"
)

// PartSuffix is added to a recording's name until it is closed.
const PartSuffix = ".part"

// DefaultFragment is the length of a fragment where [RecorderOptions] names none.
const DefaultFragment = time.Second

// RecorderOptions configure a [Recorder].
type RecorderOptions struct {
	// Fragment is how much video is gathered before it is written: what a crash of the
	// program can cost. 0 means DefaultFragment.
	Fragment time.Duration
}

// Recorder writes access units to a fragmented MP4 file (ISO/IEC 14496-12, 8.8). Such a
// file needs no index at its end: what has been written plays in ffmpeg and browsers
// while it grows and after the program was killed. The file bears the suffix .part until
// Close gives it its name. A Recorder is used by one goroutine at a time.
type Recorder struct {
	path      string
	options   RecorderOptions
	file      *os.File
	recovered string

	sps, pps      []byte // as in the file's header; nil before the first key frame
	width, height int
	origin        time.Duration // PTS of the first picture
	samples       []*fmp4.Sample
	fragmentStart int64  // decode time of samples[0], 90 kHz
	last          int64  // decode time of the newest sample
	duration      uint32 // of the sample before it
	part          fmp4.Part
	buffer        seekablebuffer.Buffer
	kept          [][]byte // scratch: the NAL units that go into a sample
	written       int64    // bytes of complete fragments
	failure       error    // the first write error; nothing is written after it
	closed        bool
}

// NewRecorder opens path with the suffix .part; an existing file called path stays until
// Close replaces it. Where an interrupted recording left a .part file, that is kept
// under a name of its own first, see Recovered.
func NewRecorder(path string, o RecorderOptions) (*Recorder, error) {
	if o.Fragment <= 0 {
		o.Fragment = DefaultFragment
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("recording: %s is not a regular file; name a file to write", path)
	}
	r := &Recorder{path: path, options: o}
	var err error
	if r.file, err = lockPart(path + PartSuffix); err != nil {
		return nil, err
	}
	if err := r.recover(); err != nil {
		r.file.Close()
		return nil, err
	}
	r.part.Tracks = []*fmp4.PartTrack{{ID: 1}}
	return r, nil
}

// lockPart opens a file for this process alone.
func lockPart(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("recording: folder %s does not exist; create it first", filepath.Dir(name))
	}
	if err != nil {
		return nil, fmt.Errorf("recording: create: %w", err)
	}
	// File systems that cannot lock are used without: only a lock held elsewhere counts.
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		file.Close()
		return nil, fmt.Errorf("recording: %s is being written by another program; choose another file", name)
	}
	return file, nil
}

// recover moves the leftover of an interrupted recording out of the way and begins a
// new file in its place.
func (r *Recorder) recover() error {
	part := r.path + PartSuffix
	info, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	if info.Size() == 0 {
		return nil
	}
	extension := filepath.Ext(r.path)
	base := strings.TrimSuffix(r.path, extension)
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.recovered-%d%s", base, n, extension)
		reserved, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("recording: keep the interrupted %s: %w", part, err)
		}
		reserved.Close()
		if err := os.Rename(part, name); err != nil {
			return fmt.Errorf("recording: keep the interrupted %s: %w", part, err)
		}
		r.recovered = name
		break
	}
	r.file.Close()
	r.file, err = lockPart(part)
	return err
}

// Recovered names the file under which an interrupted recording was found and kept;
// empty where there was none.
func (r *Recorder) Recovered() string { return r.recovered }

// Write appends an access unit that is shown from pts on; the first one's pts becomes
// the file's zero. Access units before the first key frame and empty ones are left out.
// pts that do not increase are moved to the next 1/90000 s. After an error nothing more
// is written, every Write returns it again, and Close saves what was complete.
func (r *Recorder) Write(au AccessUnit, pts time.Duration) error {
	switch {
	case r.closed:
		return fmt.Errorf("recording: write %s: %w", r.path, os.ErrClosed)
	case r.failure != nil:
		return r.failure
	case len(au.NALUs) == 0, r.sps == nil && !au.Key:
		return nil
	}
	r.failure = r.write(au, pts)
	return r.failure
}

func (r *Recorder) write(au AccessUnit, pts time.Duration) error {
	if r.sps == nil {
		if err := r.begin(au); err != nil {
			return err
		}
		r.origin = pts
	} else if err := r.checkSize(au); err != nil {
		return err
	}
	now := ticks(pts - r.origin)
	if n := len(r.samples); n > 0 {
		now = max(now, r.last+1)
		r.duration = uint32(min(now-r.last, maxSampleTicks))
		r.samples[n-1].Duration = r.duration
		if now-r.fragmentStart >= ticks(r.options.Fragment) || n >= maxFragmentSamples {
			if err := r.flush(); err != nil {
				return err
			}
		}
	}
	if len(r.samples) == 0 {
		r.fragmentStart = now
	}
	r.last = now
	return r.add(au)
}

const (
	// maxSampleTicks is the longest duration that a sample can have, over 13 hours.
	maxSampleTicks = 1<<32 - 1
	// maxFragmentSamples bounds the memory for a fragment even if time stands still.
	maxFragmentSamples = 1024
	// onlySampleTicks is shown for when the file holds a single picture: 1/25 s.
	onlySampleTicks = rtpClockHz / 25
)

// begin writes the file's header, which holds the first key frame's parameter sets.
func (r *Recorder) begin(au AccessUnit) error {
	sps, pps := au.ParameterSets()
	if sps == nil || pps == nil {
		return fmt.Errorf("recording: begin %s: the key frame lacks parameter sets", r.path)
	}
	width, height, err := pictureSize(sps)
	if err != nil {
		return fmt.Errorf("recording: begin %s: %w", r.path, err)
	}
	r.sps, r.pps, r.width, r.height = bytes.Clone(sps), bytes.Clone(pps), width, height
	header := fmp4.Init{Tracks: []*fmp4.InitTrack{{
		ID: 1, TimeScale: rtpClockHz, Codec: &mp4.CodecH264{SPS: r.sps, PPS: r.pps},
	}}}
	r.buffer.Reset()
	if err := header.Marshal(&r.buffer); err != nil {
		return fmt.Errorf("recording: begin %s: %w", r.path, err)
	}
	return r.save()
}

// checkSize refuses what one MP4 track cannot hold.
func (r *Recorder) checkSize(au AccessUnit) error {
	sps, _ := au.ParameterSets()
	if sps == nil || bytes.Equal(sps, r.sps) {
		return nil
	}
	width, height, err := pictureSize(sps)
	if err != nil {
		return fmt.Errorf("recording: write %s: %w", r.path, err)
	}
	if width != r.width || height != r.height {
		return fmt.Errorf("recording: write %s: pictures changed from %d×%d to %d×%d pixels; close it and begin another file",
			r.path, r.width, r.height, width, height)
	}
	return nil
}

// add appends a sample whose duration the next picture will tell. Parameter sets that
// the header holds are left out of it.
func (r *Recorder) add(au AccessUnit) error {
	r.kept = r.kept[:0]
	for _, nalu := range au.NALUs {
		if !bytes.Equal(nalu, r.sps) && !bytes.Equal(nalu, r.pps) {
			r.kept = append(r.kept, nalu)
		}
	}
	n := len(r.samples)
	if n < cap(r.samples) {
		r.samples = r.samples[:n+1] // what flush left behind is used again
	} else {
		r.samples = append(r.samples, nil)
	}
	if r.samples[n] == nil {
		r.samples[n] = &fmp4.Sample{}
	}
	if err := r.samples[n].FillH264(0, r.kept); err != nil {
		r.samples = r.samples[:n]
		return fmt.Errorf("recording: write %s: %w", r.path, err)
	}
	return nil
}

// flush writes the gathered samples as one fragment.
func (r *Recorder) flush() error {
	if len(r.samples) == 0 {
		return nil
	}
	r.part.SequenceNumber++
	r.part.Tracks[0].BaseTime = uint64(r.fragmentStart)
	r.part.Tracks[0].Samples = r.samples
	r.buffer.Reset()
	if err := r.part.Marshal(&r.buffer); err != nil {
		return fmt.Errorf("recording: write %s: %w", r.path, err)
	}
	r.samples = r.samples[:0]
	return r.save()
}

// save appends the buffer to the file as a whole or not at all.
func (r *Recorder) save() error {
	if _, err := r.file.WriteAt(r.buffer.Bytes(), r.written); err != nil {
		err = fmt.Errorf("recording: %w; what was recorded before is kept", err)
		if undo := r.file.Truncate(r.written); undo != nil {
			err = errors.Join(err, fmt.Errorf("recording: %w", undo))
		}
		return err
	}
	r.written += int64(r.buffer.Len())
	return nil
}

// Close writes what is gathered, waits until the disk has it and gives the file its
// name, replacing an older one. It is idempotent. A recording without a single picture
// leaves no file and is an error.
func (r *Recorder) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	defer r.file.Close()
	var errs []error
	if n := len(r.samples); n > 0 && r.failure == nil {
		// Nobody knows how long the last picture is shown: take the one before it.
		r.samples[n-1].Duration = cmp.Or(r.duration, onlySampleTicks)
		errs = append(errs, r.flush())
	}
	if r.part.SequenceNumber == 0 {
		errs = append(errs, os.Remove(r.path+PartSuffix),
			fmt.Errorf("recording: %s: not one picture was recorded, so there is no file", r.path))
		return errors.Join(errs...)
	}
	if err := r.publish(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// publish makes the finished file durable under its name.
func (r *Recorder) publish() error {
	if err := r.file.Sync(); err != nil {
		return fmt.Errorf("recording: %w; it is kept as %s%s", err, r.path, PartSuffix)
	}
	if err := os.Rename(r.path+PartSuffix, r.path); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	folder, err := os.Open(filepath.Dir(r.path))
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	return nil
}

// pictureSize reads the size in pixels from a sequence parameter set.
func pictureSize(sps []byte) (width, height int, err error) {
	var parsed h264.SPS
	if err := parsed.Unmarshal(sps); err != nil {
		return 0, 0, fmt.Errorf("sequence parameter set: %w", err)
	}
	return parsed.Width(), parsed.Height(), nil
}
