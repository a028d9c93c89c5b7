// Package gsttest helps to test what runs programs of GStreamer.
package gsttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Need skips a test where an element of GStreamer is missing.
func Need(t testing.TB, elements ...string) {
	t.Helper()
	for _, e := range elements {
		if err := exec.CommandContext(t.Context(), "gst-inspect-1.0", "--exists", e).Run(); err != nil {
			t.Skipf("the GStreamer element %s is not installed; make test installs it, or: "+
				"apt-get install gstreamer1.0-tools gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly (%v)", e, err)
		}
	}
}

// Script puts a shell script in the place of a program until the end of the test.
func Script(t testing.TB, program, body string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// Children lists the processes that a process has started and not freed.
func Children(t testing.TB, parent int) (pids []int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range threads {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(content)) {
			var pid int
			if _, err := fmt.Sscan(field, &pid); err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}
