package v4l2

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/robustnet-edge/robustnet/camera"
)

// fakeKernel stands for the kernel: nodes whose drivers do what tests want. Its files and mappings
// are real, so that those which are left behind show.
type fakeKernel struct {
	t     *testing.T
	nodes map[string]*fakeDriver

	mu  sync.Mutex
	fds map[int]*fakeDriver
}

// newFake makes a kernel, and checks at the end of the test that nothing is left of it.
func newFake(t *testing.T, nodes map[string]*fakeDriver) *fakeKernel {
	t.Helper()
	r, w, err := os.Pipe() // so that the runtime's own files are open before they are counted
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	k := &fakeKernel{t: t, nodes: nodes, fds: map[int]*fakeDriver{}}
	files := openFiles(t)
	t.Cleanup(func() {
		for _, d := range nodes {
			d.hangUp()
		}
		if left := openFiles(t); len(left) != len(files) {
			t.Errorf("files open at the end: %v, at the beginning %v", left, files)
		}
		if left := mappedBuffers(t); left != 0 {
			t.Errorf("%d buffers are still mapped", left)
		}
	})
	return k
}

func openFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // fails for the folder's own
			files = append(files, to)
		}
	}
	return files
}

const bufferFile = "robustnet-fake-camera"

func mappedBuffers(t *testing.T) int {
	t.Helper()
	all, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(all), bufferFile)
}

// fakeDriver is one node. Zero values are those of a well-behaved driver.
type fakeDriver struct {
	openErr      error
	fail         map[uintptr]error // by request, or callMap
	capabilities uint32            // 0: captures and streams
	allNodes     bool              // the flags are in capabilities only, as drivers had it before 2012
	formats      []fakeFormat
	set          func(layout) layout // answers S_FMT, if not with what was asked
	padding      int                 // bytes after each row
	buffers      int                 // 0: as many as asked
	short        int                 // bytes that buffers lack
	noRate       bool
	atStart      []delivery // at STREAMON

	mu       sync.Mutex
	now      layout
	interval fraction
	memory   [][]byte
	queued   []int
	done     []delivery
	ready    int // the write end of the pipe whose read end is the device
	streams  bool
	scratch  [64]byte // so that the fake allocates nothing
}

// callMap stands for mmap among the requests that fail.
const callMap = 1

type fakeFormat struct {
	code      string
	sizes     []sizes
	intervals []intervals
}

func listed(code string, fps uint32, list ...[2]int) fakeFormat {
	f := fakeFormat{code: code, intervals: []intervals{{shortest: fraction{1, fps}, longest: fraction{1, fps}}}}
	for _, s := range list {
		f.sizes = append(f.sizes, sizes{single(s[0]), single(s[1])})
	}
	return f
}

// webcam lists what most USB cameras do.
func webcam() []fakeFormat {
	return []fakeFormat{
		listed("MJPG", 30, [2]int{1280, 720}, [2]int{64, 48}), listed("YUYV", 30, [2]int{640, 480}, [2]int{64, 48}),
	}
}

// delivery is a picture that the driver has filled, or an error that it has.
type delivery struct {
	bytes    []byte
	flags    uint32
	sequence uint32
	stamp    int64
	err      error
	index    int // added to the buffer's
}

func (k *fakeKernel) open(path string) (int, error) {
	d := k.nodes[path]
	if d == nil {
		return -1, unix.ENOENT
	}
	if d.openErr != nil {
		return -1, d.openErr
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return -1, err
	}
	d.hangUp()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ready, d.memory, d.queued, d.done, d.streams = ends[1], nil, nil, nil, false
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fds[ends[0]] = d
	return ends[0], nil
}

// hangUp makes poll tell of an error without a picture.
func (d *fakeDriver) hangUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ready != 0 {
		unix.Close(d.ready)
		d.ready = 0
	}
}

// deliver fills buffers, or has the next DQBUF fail.
func (d *fakeDriver) deliver(all ...delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fill(all)
}

func (d *fakeDriver) fill(all []delivery) {
	d.done = append(d.done, all...)
	if _, err := unix.Write(d.ready, d.scratch[:len(all)]); err != nil {
		panic(err)
	}
}

// spurious has poll tell of a picture that is not there.
func (d *fakeDriver) spurious() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := unix.Write(d.ready, []byte{0}); err != nil {
		panic(err)
	}
}

func (k *fakeKernel) driver(fd int) *fakeDriver {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fds[fd]
}

func (k *fakeKernel) mmap(fd int, _ int64, length int) ([]byte, error) {
	d := k.driver(fd)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fail[callMap]; err != nil {
		return nil, err
	}
	file, err := unix.MemfdCreate(bufferFile, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(file)
	if err := unix.Ftruncate(file, int64(length)); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(file, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	d.memory = append(d.memory, b)
	return b, err
}

func (k *fakeKernel) ioctl(fd int, request uintptr, argument unsafe.Pointer) error {
	d := k.driver(fd)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fail[request]; err != nil {
		return err
	}
	switch request {
	case doCapability:
		d.capability((*rawCapability)(argument))
	case doFormatDesc:
		f := (*rawFormatDesc)(argument)
		if int(f.index) >= len(d.formats) {
			return unix.EINVAL
		}
		f.pixelformat = cUint(newFourCC(d.formats[f.index].code))
	case doSize:
		return d.size((*rawSize)(argument))
	case doInterval:
		return d.rate((*rawInterval)(argument))
	case doGetFormat:
		d.answer((*rawFormat)(argument))
	case doSetFormat:
		d.setFormat((*rawFormat)(argument))
	case doGetRate, doSetRate:
		return d.parameters(request, (*rawParameters)(argument))
	case doRequest:
		if r := (*rawRequest)(argument); d.buffers != 0 && r.count > 0 {
			r.count = cUint(max(d.buffers, 0))
		}
	case doDescribe:
		(*rawBuffer)(argument).length = cUint(max(d.now.bytes, 4096) - d.short)
	case doQueue:
		d.queued = append(d.queued, int((*rawBuffer)(argument).index))
	case doDequeue:
		return d.dequeue(fd, (*rawBuffer)(argument))
	case doStart, doStop:
		if d.streams = request == doStart; d.streams {
			d.fill(d.atStart)
		}
	default:
		k.t.Errorf("unknown request %x", request)
		return unix.ENOTTY
	}
	return nil
}

func (d *fakeDriver) capability(c *rawCapability) {
	flags := d.capabilities
	if flags == 0 {
		flags = capCapture | capStreaming
	}
	for i, b := range []byte("uvcvideo") {
		c.driver[i] = cByte(b)
	}
	for i, b := range []byte("HD Webcam") {
		c.card[i] = cByte(b)
	}
	if c.capabilities = cUint(flags); !d.allNodes { // another node has metadata
		c.capabilities, c.device_caps = capCapture|capStreaming|capMetadata|capOfNode, cUint(flags)
	}
}

func (d *fakeDriver) format(code cUint) fakeFormat {
	i := slices.IndexFunc(d.formats, func(f fakeFormat) bool { return cUint(newFourCC(f.code)) == code })
	if i < 0 {
		return fakeFormat{}
	}
	return d.formats[i]
}

func (d *fakeDriver) size(r *rawSize) error {
	f := d.format(r.pixel_format)
	if int(r.index) >= len(f.sizes) {
		return unix.EINVAL
	}
	w, h := f.sizes[r.index].width, f.sizes[r.index].height
	if w.low == w.high {
		r._type = kindDiscrete
		*(*rawDiscrete)(unsafe.Pointer(&r.anon0)) = rawDiscrete{width: cUint(w.low), height: cUint(h.low)}
		return nil
	}
	r._type = kindStepwise
	*(*rawSizeSteps)(unsafe.Pointer(&r.anon0)) = rawSizeSteps{
		min_width: cUint(w.low), max_width: cUint(w.high), step_width: cUint(w.step),
		min_height: cUint(h.low), max_height: cUint(h.high), step_height: cUint(h.step),
	}
	return nil
}

func rawOf(f fraction) rawFraction {
	return rawFraction{numerator: cUint(f.numerator), denominator: cUint(f.denominator)}
}

func (d *fakeDriver) rate(r *rawInterval) error {
	f := d.format(r.pixel_format)
	if int(r.index) >= len(f.intervals) {
		return unix.EINVAL
	}
	i := f.intervals[r.index]
	if i.shortest == i.longest {
		r._type = rateDiscrete
		*(*rawFraction)(unsafe.Pointer(&r.anon0)) = rawOf(i.shortest)
		return nil
	}
	r._type = kindStepwise
	*(*rawSteps)(unsafe.Pointer(&r.anon0)) = rawSteps{min: rawOf(i.shortest), max: rawOf(i.longest), step: rawOf(i.step)}
	return nil
}

func (d *fakeDriver) answer(f *rawFormat) {
	p := (*rawPicture)(unsafe.Pointer(&f.fmt))
	p.pixelformat, p.width, p.height = cUint(d.now.format), cUint(d.now.width), cUint(d.now.height)
	p.bytesperline, p.sizeimage = cUint(d.now.stride), cUint(d.now.bytes)
}

func (d *fakeDriver) setFormat(f *rawFormat) {
	l := layoutOf(f)
	l.bytes = l.width * l.height * 3
	if known, ok := formatOf(l.format); ok && !known.compressed() {
		l.stride = known.planes[0].rowBytes(l.width) + d.padding
		l.bytes = l.stride * l.height * 2 // enough for any format
	}
	if d.set != nil {
		l = d.set(l)
	}
	d.now = l
	d.answer(f)
}

func (d *fakeDriver) parameters(request uintptr, p *rawParameters) error {
	c := (*rawCapture)(unsafe.Pointer(&p.parm))
	if d.noRate {
		return unix.ENOTTY
	}
	c.capability = capTimePerFrame
	if request == doSetRate {
		d.interval = fractionOf(c.timeperframe)
	}
	c.timeperframe = rawOf(d.interval)
	return nil
}

func (d *fakeDriver) dequeue(fd int, b *rawBuffer) error {
	if len(d.done) == 0 {
		_, _ = unix.Read(fd, d.scratch[:]) // the next poll must wait, if this one was spurious
		return unix.EAGAIN
	}
	next := d.done[0]
	if next.err == nil && len(d.queued) == 0 {
		return unix.EAGAIN
	}
	d.done = d.done[1:]
	_, _ = unix.Read(fd, d.scratch[:1])
	if next.err != nil {
		return next.err
	}
	i := d.queued[0]
	d.queued = d.queued[1:]
	copy(d.memory[i], next.bytes)
	b.index, b.bytesused, b.flags, b.sequence = cUint(i+next.index), cUint(len(next.bytes)), cUint(next.flags), cUint(next.sequence)
	setStamp(b, next.stamp)
	return nil
}

// openWith opens an address on a machine with that kernel, without sysfs.
func openWith(t *testing.T, k *fakeKernel, address string, want camera.Want) (camera.Source, error) {
	t.Helper()
	dev := t.TempDir()
	for _, path := range slices.Collect(maps.Keys(k.nodes)) { // known by both names
		node := filepath.Join(dev, filepath.Base(path))
		if err := os.WriteFile(node, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		k.nodes[node] = k.nodes[path]
	}
	uri, err := camera.ParseURI(address)
	if err != nil {
		t.Fatal(err)
	}
	if uri.Path != "" {
		uri.Path = filepath.Join(dev, filepath.Base(uri.Path))
	}
	src, err := machineFiles{kernel: k, dev: dev, sys: t.TempDir(), trial: 20 * time.Millisecond}.open(t.Context(), uri, want)
	if err == nil {
		t.Cleanup(func() {
			if err := src.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
		})
	}
	return src, err
}
