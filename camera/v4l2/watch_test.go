package v4l2

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// watching runs a watch of a folder, and returns what counts its calls.
func watching(t *testing.T, dev, path string) (changes <-chan struct{}, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	calls, done := make(chan struct{}, 1000), make(chan error, 1)
	go func() {
		done <- machineFiles{dev: dev}.watch(ctx, path, func() { calls <- struct{}{} })
	}()
	return calls, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("watch = %v", err)
		}
	}
}

// await returns when something changed, and takes all that did.
func await(t *testing.T, changes <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-changes:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing is told", what)
	}
	for {
		select {
		case <-changes:
		case <-time.After(20 * time.Millisecond):
			return
		}
	}
}

func TestWatch(t *testing.T) {
	dev := t.TempDir()
	node, dir := filepath.Join(dev, "video0"), filepath.Join(dev, "v4l/by-id")
	link := filepath.Join(dir, "usb-cam")
	changes, end := watching(t, dev, link)
	defer end()
	await(t, changes, "the beginning")
	for round := range 2 { // udev removes its folders with the last link, and makes them anew
		for _, step := range []struct {
			what string
			do   func() error
		}{
			{"a node", func() error { return os.WriteFile(node, nil, 0o600) }},
			{"its permissions", func() error { return os.Chmod(node, 0o660) }},
			{"the folder of folders", func() error { return os.Mkdir(filepath.Dir(dir), 0o755) }},
			{"the folder", func() error { return os.Mkdir(dir, 0o755) }},
			{"the link", func() error { return os.Symlink(node, link) }},
		} {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			await(t, changes, step.what)
		}
		if err := errors.Join(os.RemoveAll(filepath.Dir(dir)), os.Remove(node)); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			await(t, changes, "the end of the folders")
		}
	}
}

// Links may be made by renaming, and have any name.
func TestWatchRenamed(t *testing.T) {
	dev := t.TempDir()
	changes, end := watching(t, dev, filepath.Join(dev, "front"))
	defer end()
	await(t, changes, "the beginning")
	if err := errors.Join(os.Symlink("video0", filepath.Join(dev, ".tmp")), os.Rename(filepath.Join(dev, ".tmp"), filepath.Join(dev, "front"))); err != nil {
		t.Fatal(err)
	}
	await(t, changes, "the link")
}

func TestWatchIgnoresOthers(t *testing.T) {
	dev := t.TempDir()
	changes, end := watching(t, dev, "/somewhere/else")
	defer end()
	await(t, changes, "the beginning")
	for _, other := range []string{"ttyUSB0", "videoX", "video", "video0.tmp"} {
		if err := os.WriteFile(filepath.Join(dev, other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dev, "video3"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-changes
	select {
	case <-changes:
		t.Error("told of more than the node")
	case <-time.After(20 * time.Millisecond):
	}
}

func TestWatchErrors(t *testing.T) {
	err := machineFiles{dev: filepath.Join(t.TempDir(), "none")}.watch(t.Context(), "", func() { t.Error("told of a change") })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("watch = %v, want ErrNotExist", err)
	}
}
