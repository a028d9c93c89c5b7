package run_test

import (
	"os"
	"path/filepath"
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
	for _, name := range []string{".last.safetensors.17.part", ".best.safetensors.4.part", ".report.html.1.part"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := run.Lock(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != ".report.html.1.part" {
		t.Errorf("%v are left, %v; others than the training may write the report", left, err)
	}
	if _, err := run.Lock(dir + "/missing"); err == nil || !strings.Contains(err.Error(), "no complete run") {
		t.Errorf("a missing folder: %v", err)
	}
}
