package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// keyCameras is the list of cameras in a file.
const keyCameras = "cameras"

// perCamera are the settings that a configuration with a list has in its entries alone.
var perCamera = []string{"camera.uri", keyPath, "output.video", "output.masks"}

// MaxCameras bounds the list: each camera costs a share of one network.
const MaxCameras = 16

// DefaultName is what the one camera of a configuration without a list is called.
const DefaultName = "camera"

// Listed is one entry of the list of cameras. What an entry does not say about the camera is
// as the section camera has it.
type Listed struct {
	// Name tells the camera from others, in metrics, logs and on the page.
	Name   string
	Camera Camera
	// Path is the last part of the URL of its RTSP stream; its name if the entry has none.
	Path string
	// Video and Masks are as in [Output].
	Video, Masks string
}

// settings lists what an entry may say, bound to its fields.
func (l *Listed) settings() []setting {
	rows := []setting{{"cameras.name", "", "name of the camera in metrics, logs and on the page",
		text(&l.Name, "name", "a word of letters, digits, _ and -, at most 32 of them", listedName)}}
	for _, s := range l.Camera.settings() {
		s.Key = keyCameras + "." + s.Name()
		rows = append(rows, s)
	}
	return append(rows,
		setting{"cameras.path", "", "path of its RTSP stream; the name if there is none",
			text(&l.Path, "path", "letters, digits, . _ ~ - and slashes between them", streamPath)},
		setting{"cameras.video", "", "write its drawn picture to this MP4 file",
			path(&l.Video, "file", ".mp4")},
		setting{"cameras.masks", "", "write its label images into this folder",
			path(&l.Masks, "folder", "")},
	)
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func listedName(s string) error {
	if !namePattern.MatchString(s) {
		return errRange
	}
	return nil
}

// Feed is one camera with everything that concerns it.
type Feed struct {
	Name string
	// Config has the camera's own values in the places where a configuration of one camera
	// has them, and no list.
	Config Config
}

// Feeds are the cameras of a configuration: those of its list or, if there is none, the one
// of the section camera under [DefaultName].
func (c Config) Feeds() []Feed {
	if len(c.Cameras) == 0 {
		return []Feed{{Name: DefaultName, Config: c}}
	}
	feeds := make([]Feed, len(c.Cameras))
	for i, l := range c.Cameras {
		own := c
		own.Cameras = nil
		own.Camera = l.Camera
		own.Stream.Path = l.Path
		own.Output.Video, own.Output.Masks = l.Video, l.Masks
		feeds[i] = Feed{Name: l.Name, Config: own}
	}
	return feeds
}

// entry is a camera of the list as it was read.
type entry struct {
	origin Origin
	values map[string]string // by key of the settings of Listed
}

// list resolves the entries that were read, now that the section camera is known. Their
// values have been judged when they were read.
func (l *loader) list() {
	for _, e := range l.listed {
		listed := Listed{Camera: l.config.Camera}
		for _, s := range listed.settings() {
			if text, given := e.values[s.Key]; given {
				_ = s.set(text)
			}
		}
		if _, given := e.values["cameras.path"]; !given {
			listed.Path = listed.Name
		}
		l.config.Cameras = append(l.config.Cameras, listed)
	}
}

// cameras reads the list of cameras.
func (r *yamlReader) cameras(keyNode ast.MapKeyNode, node ast.Node) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		r.fault(keyNode.GetToken(), keyCameras, "is a list; want an entry with name: and uri: for each camera, begun with a dash")
		return
	}
	if len(list.Values) == 0 {
		r.fault(keyNode.GetToken(), keyCameras, "is empty; give it an entry for each camera, or leave it out for the one of the section camera")
		return
	}
	if len(list.Values) > MaxCameras {
		r.fault(keyNode.GetToken(), keyCameras, fmt.Sprintf("has %d entries; want %d at most", len(list.Values), MaxCameras))
		return
	}
	for i, item := range list.Values {
		r.camera(i, item)
	}
}

// camera reads one entry.
func (r *yamlReader) camera(index int, node ast.Node) {
	what := fmt.Sprintf("%s[%d]", keyCameras, index)
	var scratch Listed
	scratch.Camera = Default().Camera
	known := scratch.settings()
	read := entry{values: map[string]string{}}
	for _, item := range r.entries(node, what+".", what) {
		name := keyText(item.Key)
		at := slices.IndexFunc(known, func(s setting) bool { return s.Name() == name })
		if at < 0 {
			names := make([]string, len(known))
			for i, s := range known {
				names[i] = s.Name()
			}
			r.fault(item.Key.GetToken(), "", fmt.Sprintf("unknown key %s%s", show(what+"."+name, true), didYouMean(Nearest(name, names))))
			continue
		}
		s := known[at]
		key := s.Key
		s.Key = what + "." + name
		r.valueOf(s, item, func(text string, tk *token.Token) {
			if err := s.set(text); err != nil {
				r.fault(tk, s.Key, err.Error())
			}
			read.values[key] = text // a fault of its own is told once
		})
	}
	tk := node.GetToken()
	read.origin = r.at(tk)
	for _, needed := range []string{"name", "uri"} {
		if _, given := read.values[keyCameras+"."+needed]; !given && isMapping(node) {
			r.fault(tk, what, "has no "+needed)
		}
	}
	r.listed = append(r.listed, read)
}

func isMapping(node ast.Node) bool {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.NullNode:
		return true
	}
	return false
}

// cleanPath is the shortest way to write a path; of none, none.
func cleanPath(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Clean(path)
}

// listConflicts finds what cannot stand beside a list of cameras, or within one.
func listConflicts(c Config, origins map[string]Origin, entries []entry) Faults {
	if len(c.Cameras) == 0 {
		return nil
	}
	var faults Faults
	for _, key := range perCamera {
		if from, given := origins[key]; given {
			_, name, _ := strings.Cut(key, ".")
			faults = append(faults, Fault{Origin: from, Key: key, Problem: fmt.Sprintf(
				"%s is for one camera, and there is a list of them; write %s: in its entries", key, name)})
		}
	}
	told := map[int]bool{} // a name that is there twice gives two equal paths, too
	for _, once := range []struct {
		what string
		of   func(Listed) string
	}{
		{"name", func(l Listed) string { return l.Name }},
		{"path", func(l Listed) string { return l.Path }},
		{"video", func(l Listed) string { return cleanPath(l.Video) }},
		{"masks", func(l Listed) string { return cleanPath(l.Masks) }},
	} {
		first := map[string]int{}
		for i, l := range c.Cameras {
			v := once.of(l)
			at, seen := first[v]
			if seen && v != "" && told[i] {
				continue
			}
			if seen && v != "" {
				told[i] = true
				var from Origin
				if i < len(entries) {
					from = entries[i].origin
				}
				key := fmt.Sprintf("%s[%d].%s", keyCameras, i, once.what)
				faults = append(faults, Fault{Origin: from, Key: key, Problem: fmt.Sprintf(
					"%s is %s, as is that of %s[%d]; each camera needs its own", key, show(v, false), keyCameras, at)})
				continue
			}
			first[v] = i
		}
	}
	return faults
}
