package v4l2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/robustnet-edge/robustnet/camera"
)

// Watch calls changed whenever the camera of that address may have become one that can be
// opened: when a device node appears, or a link to it, or when permissions are set, which udev
// does a moment after the kernel has made the node. It calls it rather too often than too
// rarely, from the goroutine that called Watch, and changed must not block. Watch returns nil
// when ctx ends, and an error if the system cannot watch; the camera is then found by trying.
func Watch(ctx context.Context, uri camera.URI, changed func()) error {
	return machine().watch(ctx, uri.Path, changed)
}

// watched are the events of folders: names that appear or whose permissions change, and folders
// that end.
const watched = unix.IN_CREATE | unix.IN_ATTRIB | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

func (m machineFiles) watch(ctx context.Context, path string, changed func()) (err error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch %s: %w", m.dev, err)
	}
	file := os.NewFile(uintptr(fd), "inotify") // whose reads can be ended
	defer func() { err = errors.Join(err, file.Close()) }()
	w := watcher{fd: fd, path: filepath.Clean(path), folders: m.foldersOf(path), at: map[int32]string{}}
	if err := w.arm(); err != nil {
		return fmt.Errorf("watch %s for cameras: %w", m.dev, err)
	}
	defer context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })() // long past
	changed()                                                                            // for what happened before
	buffer := make([]byte, 64*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
	for {
		n, err := file.Read(buffer)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("watch %s for cameras: %w", m.dev, err)
		}
		if !w.concerns(buffer[:n]) {
			continue
		}
		if err := w.arm(); err != nil {
			return fmt.Errorf("watch %s for cameras: %w", m.dev, err)
		}
		changed()
	}
}

// foldersOf are the folders in which a camera's path may come into being, from the top down. Of
// a path elsewhere only the nodes are watched.
func (m machineFiles) foldersOf(path string) []string {
	folders := []string{m.dev}
	rest, inside := strings.CutPrefix(filepath.Clean(path), m.dev+string(filepath.Separator))
	if !inside {
		return folders
	}
	at := m.dev
	names := strings.Split(rest, string(filepath.Separator))
	for _, name := range names[:len(names)-1] {
		at = filepath.Join(at, name)
		folders = append(folders, at)
	}
	return folders
}

type watcher struct {
	fd      int
	path    string
	folders []string
	at      map[int32]string
}

// arm watches those of the folders that are there. To watch one again changes nothing.
func (w *watcher) arm() error {
	for i, folder := range w.folders {
		wd, err := unix.InotifyAddWatch(w.fd, folder, watched)
		if err != nil && i > 0 && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)) {
			return nil // its making will be told by the one above
		}
		if err != nil {
			return err
		}
		w.at[int32(wd)] = folder
	}
	return nil
}

// concerns tells whether any of the events may be of the camera.
func (w *watcher) concerns(events []byte) bool {
	found := false
	for len(events) >= unix.SizeofInotifyEvent {
		e := (*unix.InotifyEvent)(unsafe.Pointer(unsafe.SliceData(events)))
		end := min(unix.SizeofInotifyEvent+int(e.Len), len(events))
		name := strings.TrimRight(string(events[unix.SizeofInotifyEvent:end]), "\x00")
		folder := w.at[e.Wd]
		switch {
		case e.Mask&unix.IN_Q_OVERFLOW != 0: // events were lost
			found = true
		case e.Mask&unix.IN_IGNORED != 0:
			delete(w.at, e.Wd)
			found = true
		case folder == w.folders[0]:
			made := filepath.Join(folder, name)
			found = found || nodeName.MatchString(name) || made == w.path || slices.Contains(w.folders, made)
		default:
			found = true
		}
		events = events[end:]
	}
	return found
}
