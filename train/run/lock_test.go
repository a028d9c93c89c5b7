package run_test

import (
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/run"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		unlock, err := run.Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Lock(dir); err == nil || !strings.Contains(err.Error(), dir+": another process is training it") {
			t.Errorf("locked twice: %v", err)
		}
		if err := unlock(); err != nil {
			t.Error(err)
		}
	}
	if _, err := run.Lock(dir + "/missing"); err == nil || !strings.Contains(err.Error(), "no complete run") {
		t.Errorf("a missing folder: %v", err)
	}
}
