package camera

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseURI(t *testing.T) {
	tests := map[string]URI{
		"/dev/video0":                       {Scheme: "v4l2", Path: "/dev/video0"},
		"/dev/video0?fps=30":                {Scheme: "v4l2", Path: "/dev/video0", Params: url.Values{"fps": {"30"}}},
		"/dev/v4l/by-id/usb-046d_C920-i0":   {Scheme: "v4l2", Path: "/dev/v4l/by-id/usb-046d_C920-i0"},
		"v4l2:":                             {Scheme: "v4l2"},
		"v4l2:/dev/video2?format=MJPEG":     {Scheme: "v4l2", Path: "/dev/video2", Params: url.Values{"format": {"MJPEG"}}},
		"V4L2:?size=1280x720":               {Scheme: "v4l2", Params: url.Values{"size": {"1280x720"}}},
		"v4l2:?serial=A%20%2F1&fps=5":       {Scheme: "v4l2", Params: url.Values{"serial": {"A /1"}, "fps": {"5"}}},
		"v4l2:?port=1-2.1":                  {Scheme: "v4l2", Params: url.Values{"port": {"1-2.1"}}},
		"file:clip.mp4?loop=1&pace=0":       {Scheme: "file", Path: "clip.mp4", Params: url.Values{"loop": {"1"}, "pace": {"0"}}},
		"file:/abs/clip.mp4":                {Scheme: "file", Path: "/abs/clip.mp4"},
		"file:///abs/clip.mp4":              {Scheme: "file", Path: "/abs/clip.mp4"},
		"file://localhost/abs/clip.mp4":     {Scheme: "file", Path: "/abs/clip.mp4"},
		"file:my clip.mp4":                  {Scheme: "file", Path: "my clip.mp4"},
		"file:my%20clip%3F100%25.mp4":       {Scheme: "file", Path: "my clip?100%.mp4"},
		"file:Straße/東京#1.mp4?":             {Scheme: "file", Path: "Straße/東京#1.mp4"},
		"dir:images/?fps=5&loop=1&pace=1":   {Scheme: "dir", Path: "images/", Params: url.Values{"fps": {"5"}, "loop": {"1"}, "pace": {"1"}}},
		"dir:.":                             {Scheme: "dir", Path: "."},
		"synthetic:":                        {Scheme: "synthetic"},
		"synthetic:?style=day&seed=-1":      {Scheme: "synthetic", Params: url.Values{"style": {"day"}, "seed": {"-1"}}},
		"rtsp://cam/":                       {Scheme: "rtsp", Address: "rtsp://cam/"},
		"rtsps://[fe80::1]:322/a":           {Scheme: "rtsps", Address: "rtsps://[fe80::1]:322/a"},
		"rtsp://u:p%2F%40@h:1/x@y?a=1&a=%z": {Scheme: "rtsp", Address: "rtsp://u:p%2F%40@h:1/x@y?a=1&a=%z"},
		"csi://0":                           {Scheme: "csi", Path: "0"},
		"csi:1":                             {Scheme: "csi", Path: "1"},
		"CSI://007?":                        {Scheme: "csi", Path: "7"},
		"csi://0?sensor-mode=2&width=1920&height=1080&fps=29.97&flip=2": {Scheme: "csi", Path: "0", Params: url.Values{
			"sensor-mode": {"2"}, "width": {"1920"}, "height": {"1080"}, "fps": {"29.97"}, "flip": {"2"}}},
		"gst:videotestsrc":                                     {Scheme: "gst", Pipeline: "videotestsrc"},
		"GST: videotestsrc ! queue  ":                          {Scheme: "gst", Pipeline: "videotestsrc ! queue"},
		`gst:filesrc location="a  b%20?x=1&y.mp4" ! decodebin`: {Scheme: "gst", Pipeline: `filesrc location="a  b%20?x=1&y.mp4" ! decodebin`},
		"gst:gst:":       {Scheme: "gst", Pipeline: "gst:"},
		"gst://csi://0#": {Scheme: "gst", Pipeline: "//csi://0#"},
		"RTSP://h/p?loop=1#transport=tcp&timeout=5s": {
			Scheme: "rtsp", Address: "rtsp://h/p?loop=1", Params: url.Values{"transport": {"tcp"}, "timeout": {"5s"}},
		},
	}
	for in, want := range tests {
		got, err := ParseURI(in)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseURI(%q) = %+v, %v; want %+v", in, got, err, want)
			continue
		}
		if again, err := ParseURI(got.String()); err != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("ParseURI(%q), printed from %q, = %+v, %v; want %+v", got.String(), in, again, err, want)
		}
	}
}

// Every fault must name what is wrong and what to write instead.
func TestParseURIErrors(t *testing.T) {
	tests := map[string][]string{
		"":                             {"empty", "/dev/video0"},
		"clip.mp4":                     {"file:clip.mp4"},
		"images/":                      {"dir:images/"},
		"images":                       {"dir:images/", "file:images"},
		"0":                            {"/dev/video0"},
		"synthetic":                    {"synthetic:"},
		"synthetic?style=day":          {"synthetic:?style=day"},
		"fle:clip.mp4":                 {`"fle"`, "did you mean file?", "rtsp"},
		"http://cam/":                  {`"http"`, "known are csi, dir, file, gst, rtsp, rtsps, synthetic, v4l2"},
		"file:":                        {"lacks a path"},
		"file://clip.mp4":              {"file:clip.mp4", "file:///clip.mp4"},
		"file:100%.mp4":                {"%25"},
		"file:a%00b":                   {"control character"},
		"dir:?loop=1":                  {"lacks a path", "dir:."},
		"v4l2:video0":                  {"v4l2:/dev/video0"},
		"synthetic:scene=street":       {"takes no path", "question mark"},
		"file:a?loops=1":               {`"loops"`, "did you mean loop?", "loop, pace"},
		"file:a?loop=1&loop=0":         {"loop", "2 times"},
		"file:a?loop=yes":              {"loop=yes", "0 or 1"},
		"file:a?loop":                  {"0 or 1"},
		"file:a?loop=1;pace=0":         {"name=value"},
		"v4l2:?size=1280":              {"1280x720"},
		"v4l2:?size=1281x720":          {"even"},
		"v4l2:?size=8x8":               {"16..8192"},
		"v4l2:?size=99999999999999x16": {"16..8192"},
		"v4l2:?fps=0":                  {"240"},
		"v4l2:?fps=241":                {"240"},
		"v4l2:?fps=NaN":                {"240"},
		"v4l2:?format=a%20b":           {"one word"},
		"v4l2:?serial=":                {"without control characters"},
		"v4l2:?serial=%01":             {"without control characters"},
		"v4l2:?port=1-2%2F..":          {"1-2.1", "robustnet-edge cameras"},
		"/dev/video0?serial=x":         {"give the path", "v4l2:?serial="},
		"v4l2:/dev/video0?port=1-1":    {"give the path", "v4l2:?port="},
		"file:a?serial=x":              {`"serial"`, "loop, pace"},
		"synthetic:?frames=0":          {"1 or more"},
		"synthetic:?seed=x":            {"whole number"},
		"csi:":                         {"csi://0"},
		"csi:///0":                     {"csi://0"},
		"csi://-1":                     {"csi://0"},
		"csi://256":                    {"csi://0"},
		"csi://0/x":                    {`"0/x"`, "csi://0"},
		"csi://0 ! filesink":           {"csi://0"},
		"csi://0?mode=1":               {`"mode"`, "known are flip, fps, height, sensor-mode, width"},
		"csi://0?sensor_mode=1":        {"did you mean sensor-mode?"},
		"csi://0?sensor-mode=x":        {"whole number within 0..255"},
		"csi://0?flip=8":               {"0..7"},
		"csi://0?flip=2%20!%20x":       {"0..7"},
		"csi://0?width=1280":           {"width and height", "both"},
		"csi://0?width=1281&height=16": {"even"},
		"csi://0?width=8&height=16":    {"16..8192"},
		"csi://0?fps=NaN":              {"240"},
		"gst:":                         {"lacks a pipeline", "gst:v4l2src"},
		"gst:  ":                       {"lacks a pipeline"},
		"gst:a\n! b":                   {"control character"},
		"videotestsrc ! queue":         {"no scheme", "gst:"},
		"rtsp:cam/live":                {"lacks a host"},
		"rtsp:///live":                 {"lacks a host"},
		"rtsp://:554/live":             {"lacks a host"},
		"rtsp://h:70000/live":          {"1..65535"},
		"rtsp://h/#transport=sctp":     {"tcp, udp or auto"},
		"rtsp://h/#timeout=5":          {"5s"},
		"rtsp://h/#size=640x480":       {`"size"`, "timeout, transport"},
	}
	for in, want := range tests {
		u, err := ParseURI(in)
		if err == nil {
			t.Errorf("ParseURI(%q) = %+v; want an error", in, u)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("ParseURI(%q): %q; want it to hold %q", in, err, w)
			}
		}
	}
}

// A password with characters that were not escaped must not show up in the error.
func TestParseURIErrorHidesPassword(t *testing.T) {
	for _, in := range []string{
		"rtsp://admin:top/secret@cam/live",
		"rtsp://admin:12/secret@cam/live",
		"rtsp://admin:12?secret@cam/live",
		"rtsp://admin:12#secret@cam/live",
		"rtsp://admin:secret%zz@cam/live",
		"rtsp://admin:secret@cam:99999/live",
		"rtsp://admin:secret@/live",
		"rtsp://admin:secret@cam/live#transport=x",
		"rtsp//admin:secret@cam/live",
		"rtspsrc location=rtsp://cam/live user-pw=secret ! decodebin",
		"gst:rtspsrc user-pw=secret\n! decodebin",
		"admin:secret@cam",
	} {
		_, err := ParseURI(in)
		if err == nil {
			t.Errorf("ParseURI(%q) succeeded; want an error", in)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseURI(%q): %q holds the password", in, err)
		}
	}
}

func TestRedacted(t *testing.T) {
	tests := map[string]string{
		"rtsp://cam/live?channel=1":                            "rtsp://cam/live?channel=1",
		"rtsp://admin:s3cret@cam:554/live":                     "rtsp://admin:xxxxx@cam:554/live",
		"rtsp://admin@cam/live#transport=tcp":                  "rtsp://admin@cam/live#transport=tcp",
		"rtsp://cam/cam?user=a&Password=s3cret&channel=1":      "rtsp://cam/cam?user=a&Password=xxxxx&channel=1",
		"rtsp://cam/user=a_passwd=s3cret_channel=1/live":       "rtsp://cam/user=a_passwd=xxxxx/live",
		"rtsp://cam/live?authToken=s3cret":                     "rtsp://cam/live?authToken=xxxxx",
		"file:a b.mp4?loop=1":                                  "file:a%20b.mp4?loop=1",
		"/dev/video0":                                          "v4l2:/dev/video0",
		"csi:0?flip=2":                                         "csi://0?flip=2",
		"gst:v4l2src ! videoflip method=clockwise":             "gst:v4l2src ! videoflip method=clockwise",
		"gst:rtspsrc location=rtsp://u:s3cret@cam/x ! queue":   "gst:rtspsrc location=rtsp://u:xxxxx@cam/x ! queue",
		`gst:rtspsrc user-id=u user-pw="s3 cret" ! queue`:      `gst:rtspsrc user-id=u user-pw="xxxxx" ! queue`,
		"gst:souphttpsrc location=http://c/?password=s3&ch=1":  "gst:souphttpsrc location=http://c/?password=xxxxx&ch=1",
		"rtsp://admin:s3cret@[::1]:554/live?x=1#transport=udp": "rtsp://admin:xxxxx@[::1]:554/live?x=1#transport=udp",
	}
	for in, want := range tests {
		u, err := ParseURI(in)
		if err != nil {
			t.Errorf("ParseURI(%q): %v", in, err)
			continue
		}
		if got := u.Redacted(); got != want {
			t.Errorf("Redacted of %q = %q, want %q", in, got, want)
		}
	}
}

func TestOptionGetters(t *testing.T) {
	u, err := ParseURI("synthetic:?size=640x360&fps=12.5&pace=0&seed=-7&style=fog")
	if err != nil {
		t.Fatal(err)
	}
	if w, h := u.Size(); w != 640 || h != 360 {
		t.Errorf("Size = %d×%d, want 640×360", w, h)
	}
	if got := u.FPS(); got != 12.5 {
		t.Errorf("FPS = %v, want 12.5", got)
	}
	if got := u.Bool("pace", true); got {
		t.Errorf("Bool(pace) = %v, want false", got)
	}
	if got := u.Int("seed", 0); got != -7 {
		t.Errorf("Int(seed) = %d, want -7", got)
	}
	if got := u.Text("style", "day"); got != "fog" {
		t.Errorf("Text(style) = %q, want fog", got)
	}
	if u, err = ParseURI("csi://0?width=640&height=360"); err != nil {
		t.Fatal(err)
	}
	if w, h := u.Size(); w != 640 || h != 360 {
		t.Errorf("Size of csi = %d×%d, want 640×360", w, h)
	}
	none := URI{Scheme: "rtsp"}
	w, h := none.Size()
	if w != 0 || h != 0 || none.FPS() != 0 || !none.Bool("pace", true) || none.Int("seed", 3) != 3 ||
		none.Duration("timeout", time.Second) != time.Second || none.Text("style", "day") != "day" {
		t.Error("getters on a URI without options do not return what stands for absent")
	}
}

// What a program says of a pipeline may quote its password.
func TestMask(t *testing.T) {
	u, err := ParseURI(`gst:rtspsrc location=rtsp://u:pa55@cam/x user-pw='s3cret' ! queue`)
	if err != nil {
		t.Fatal(err)
	}
	got := u.Mask(`could not set property "user-pw" to "s3cret" for rtsp://u:pa55@cam/x`)
	if want := `could not set property "user-pw" to "xxxxx" for rtsp://u:xxxxx@cam/x`; got != want {
		t.Errorf("Mask = %q, want %q", got, want)
	}
	if got := (URI{Scheme: "v4l2"}).Mask("as it is"); got != "as it is" {
		t.Errorf("Mask without a pipeline = %q", got)
	}
}

func FuzzParseURI(f *testing.F) {
	for _, s := range []string{
		"/dev/video0", "v4l2:?size=1280x720&fps=30&format=MJPEG", "v4l2:?serial=A%20%2F1", "v4l2:?port=1-2.1&serial=x", "file:clip.mp4?loop=1&pace=0", "file:////x",
		"dir:a%20b/?fps=5", "rtsp://u:p@h:554/x?y=1#transport=tcp&timeout=5s", "synthetic:?scene=street&seed=1",
		"csi://0?sensor-mode=2&width=1920&height=1080&fps=30&flip=2", "csi:1", "gst:v4l2src device=/dev/video0 ! jpegdec", `gst:rtspsrc user-pw="a b"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURI(s)
		if err != nil {
			return
		}
		again, err := ParseURI(u.String())
		if err != nil || !reflect.DeepEqual(again, u) {
			t.Fatalf("ParseURI(%q) = %+v, printed %q, read back %+v, %v", s, u, u.String(), again, err)
		}
		// Only checked numbers may get into a pipeline that this program writes.
		if u.Scheme == "csi" {
			for _, v := range append([]string{u.Path}, slices.Concat(slices.Collect(maps.Values(u.Params))...)...) {
				if strings.ContainsAny(v, " !\t\"'\\(),;:/=") {
					t.Fatalf("ParseURI(%q) lets %q through", s, v)
				}
			}
		}
		_ = u.Redacted() // which must not panic
		// The masked form may only hold the password if it does not depend on it.
		if u.Address == "" {
			return
		}
		a, err := url.Parse(u.Address)
		if err != nil || a.User == nil {
			return
		}
		if _, has := a.User.Password(); !has {
			return
		}
		at := strings.LastIndex(a.Scheme+"://"+authorityOf(u.Address), "@")
		other := u
		other.Address = a.Scheme + "://" + url.UserPassword(a.User.Username(), "Zq9another").String() + u.Address[at:]
		if got, want := u.Redacted(), other.Redacted(); got != want || strings.Contains(want, "Zq9another") {
			t.Fatalf("Redacted of %q = %q, with another password %q", s, got, want)
		}
	})
}

// authorityOf returns user, password, host and port of an address.
func authorityOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[:i]
	}
	return rest
}
