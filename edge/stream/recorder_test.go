package stream

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// probed is what ffprobe says about a file's video.
type probed struct {
	Packets []struct {
		PTS      string `json:"pts_time"`
		Duration string `json:"duration_time"`
		Flags    string `json:"flags"`
	} `json:"packets"`
	Streams []struct {
		Codec  string `json:"codec_name"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		Frames string `json:"nb_read_packets"`
	} `json:"streams"`
	Format struct {
		Duration string `json:"duration"`
		BitRate  string `json:"bit_rate"`
	} `json:"format"`
}

func probe(t *testing.T, path string) probed {
	t.Helper()
	out := tool(t, "ffprobe", "-count_packets", "-show_packets", "-show_streams", "-show_format", "-of", "json", "-f", "mp4", path)
	var p probed
	if err := json.Unmarshal(out, &p); err != nil || len(p.Streams) != 1 {
		t.Fatalf("ffprobe of %s: %v, %d streams", path, err, len(p.Streams))
	}
	return p
}

func seconds(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// decode checks that every picture of a file decodes without a complaint and returns
// the last.
func decode(t *testing.T, path string, width, height int) []byte {
	t.Helper()
	raw := tool(t, "ffmpeg", "-nostdin", "-f", "mp4", "-i", path, "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-pix_fmt", "yuv420p", "-f", "rawvideo", "pipe:1")
	size := width * height * 3 / 2
	if len(raw) < size || len(raw)%size != 0 {
		t.Fatalf("%s: decoded %d bytes, want pictures of %d", path, len(raw), size)
	}
	return raw[len(raw)-size:]
}

// record writes the pattern at the given times and returns which of them were key frames.
func record(t *testing.T, r *Recorder, e *Encoder, p *pattern, times []time.Duration) (keys []bool) {
	t.Helper()
	for i, pts := range times {
		au, err := e.Encode(p.next(), i%7 == 3)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Write(au, pts); err != nil {
			t.Fatal(err)
		}
		if len(au.NALUs) > 0 {
			keys = append(keys, au.Key)
		}
	}
	return keys
}

// unevenTimes are capture times of a camera that wavers between 20 and 50 ms and once
// stalls for 3 s.
func unevenTimes(n int) []time.Duration {
	times := make([]time.Duration, n)
	at := 90 * time.Second
	for i := range times {
		times[i] = at
		at += time.Duration(20+i*13%31) * time.Millisecond
		if i == n/2 {
			at += 3 * time.Second
		}
	}
	return times
}

func mustRecorder(t *testing.T, path string) *Recorder {
	t.Helper()
	r, err := NewRecorder(path, RecorderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestRecordingKeepsTimesAndPictures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.mp4")
	if err := os.WriteFile(path, []byte("an older recording"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := smallOptions()
	r, times := mustRecorder(t, path), unevenTimes(100)
	keys := record(t, r, mustEncoder(t, BuiltIn(), o), newPattern(o.Width, o.Height), times)
	if old, err := os.ReadFile(path); err != nil || string(old) != "an older recording" {
		t.Errorf("before Close the older file is %q, %v, want it untouched", old, err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path + PartSuffix); err == nil {
		t.Error("after Close the .part file is still there")
	}
	got := probe(t, path)
	if st := got.Streams[0]; st.Codec != "h264" || st.Width != o.Width || st.Height != o.Height {
		t.Errorf("stream is %+v, want h264 of %d×%d", st, o.Width, o.Height)
	}
	if len(got.Packets) != len(keys) {
		t.Fatalf("%d pictures in the file, want %d", len(got.Packets), len(keys))
	}
	if len(keys) == len(times) { // openh264 may leave pictures out
		for i, packet := range got.Packets {
			want := (times[i] - times[0]).Seconds()
			if pts := seconds(t, packet.PTS); pts < want-2e-5 || pts > want+2e-5 {
				t.Errorf("picture %d: pts %v s, want %v", i, pts, want)
			}
		}
		want := (times[len(times)-1] - times[0] + times[98] - times[97]).Seconds()
		if d := seconds(t, got.Format.Duration); d < want-0.06 || d > want+0.06 {
			t.Errorf("duration %v s, want about %v", d, want)
		}
	}
	for i, packet := range got.Packets {
		if key := strings.Contains(packet.Flags, "K"); key != keys[i] {
			t.Errorf("picture %d: flags %q, want key %t", i, packet.Flags, keys[i])
		}
	}
	checkPattern(t, decode(t, path, o.Width, o.Height), o.Width, o.Height)
}

func TestInterruptedRecordingPlaysAndIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.mp4")
	o := smallOptions()
	r, p, e := mustRecorder(t, path), newPattern(o.Width, o.Height), mustEncoder(t, BuiltIn(), o)
	record(t, r, e, p, unevenTimes(100))
	growing := len(probe(t, path+PartSuffix).Packets)
	if growing < 60 {
		t.Errorf("a growing file of 100 pictures holds %d, want all but the last second", growing)
	}
	checkPattern(t, decode(t, path+PartSuffix, o.Width, o.Height), o.Width, o.Height)

	if second, err := NewRecorder(path, RecorderOptions{}); err == nil {
		second.Close()
		t.Error("a second recorder opened a file that is being written")
	}
	r.file.Close() // what the system does for a killed program
	again := mustRecorder(t, path)
	if want := filepath.Join(filepath.Dir(path), "out.recovered-1.mp4"); again.Recovered() != want {
		t.Fatalf("Recovered() = %q, want %q", again.Recovered(), want)
	}
	if got := len(probe(t, again.Recovered()).Packets); got != growing {
		t.Errorf("the recovered file holds %d pictures, want %d", got, growing)
	}
	record(t, again, mustEncoder(t, BuiltIn(), o), p, unevenTimes(10))
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if got := len(probe(t, path).Packets); got < 1 || got > 10 {
		t.Errorf("the new recording holds %d pictures, want at most 10", got)
	}
}

func TestRecordingFaults(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ name, path, want string }{
		{"no such folder", filepath.Join(dir, "none", "out.mp4"), "create it first"},
		{"a folder", dir, "not a regular file"},
		{"a device", "/dev/null", "not a regular file"},
		{"file as folder", "/dev/null/out.mp4", "not a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := NewRecorder(test.path, RecorderOptions{})
			if err == nil {
				r.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("NewRecorder(%q): got error %v, want one with %q", test.path, err, test.want)
			}
		})
	}
	t.Run("nothing written", func(t *testing.T) {
		path := filepath.Join(dir, "empty.mp4")
		if err := mustRecorder(t, path).Close(); err == nil || !strings.Contains(err.Error(), "not one picture") {
			t.Errorf("Close of an empty recording: got %v, want an error that says so", err)
		}
		if left, _ := filepath.Glob(path + "*"); len(left) != 0 {
			t.Errorf("an empty recording left %v", left)
		}
	})
	t.Run("starts at a key frame", func(t *testing.T) {
		r := mustRecorder(t, filepath.Join(dir, "key.mp4"))
		if err := r.Write(AccessUnit{NALUs: [][]byte{{0x41, 0x9a}}}, 0); err != nil || r.written != 0 {
			t.Errorf("Write before the first key frame: %v with %d bytes written, want neither", err, r.written)
		}
	})
}

func TestRecordingRefusesAnotherSize(t *testing.T) {
	o := smallOptions()
	r := mustRecorder(t, filepath.Join(t.TempDir(), "out.mp4"))
	record(t, r, mustEncoder(t, BuiltIn(), o), newPattern(o.Width, o.Height), unevenTimes(5))
	o.Width, o.Height = 160, 128
	au, err := mustEncoder(t, BuiltIn(), o).Encode(newPattern(o.Width, o.Height).next(), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(au, time.Hour); err == nil || !strings.Contains(err.Error(), "from 320×240 to 160×128") {
		t.Errorf("Write of another size: got error %v, want one that names both sizes", err)
	}
}

func TestRecordingSurvivesAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.mp4")
	o := smallOptions()
	r, e, p := mustRecorder(t, path), mustEncoder(t, BuiltIn(), o), newPattern(o.Width, o.Height)
	times := unevenTimes(200)
	record(t, r, e, p, times[:100])
	complete := len(probe(t, path+PartSuffix).Packets)

	// A limit on the size of files fails a write in its middle, as a full disk does.
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := before
	limit.Cur = uint64(r.written) + 100
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Skipf("cannot limit the size of files: %v", err)
	}
	var failure error
	for _, pts := range times[100:] {
		au, err := e.Encode(p.next(), false)
		if err != nil {
			t.Fatal(err)
		}
		if failure = r.Write(au, pts); failure != nil {
			break
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if failure == nil || !strings.Contains(failure.Error(), path+PartSuffix) {
		t.Fatalf("Write to a full disk: got error %v, want one that names the file", failure)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close after a full disk: %v, want what was complete to be saved", err)
	}
	if got := len(probe(t, path).Packets); got != complete {
		t.Errorf("%d pictures were saved, want the %d of the complete fragments", got, complete)
	}
	checkPattern(t, decode(t, path, o.Width, o.Height), o.Width, o.Height)
}
