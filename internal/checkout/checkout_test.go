package checkout_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/checkout"
)

func TestBuilt(t *testing.T) {
	const variable = "ROBUSTNET_TEST_BUILT"
	dir := t.TempDir()
	here := filepath.Join(dir, "here.so")
	for _, path := range []string{here, filepath.Join(dir, "go.mod"), filepath.Join(dir, "build", "lib", "there.so")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "some", "package"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "some", "package"))
	for named, want := range map[string]string{here: here, "../../here.so": here, "": filepath.Join(dir, "build", "lib", "there.so")} {
		t.Setenv(variable, named)
		if got := checkout.Built(t, "lib/there.so", variable); got != want {
			t.Errorf("%q: found %s, want %s", named, got, want)
		}
	}
	t.Setenv(variable, filepath.Join(dir, "none.so"))
	t.Run("none", func(t *testing.T) {
		defer func() {
			if !t.Skipped() {
				t.Error("the test goes on without the file")
			}
		}()
		checkout.Built(t, "lib/there.so", variable)
	})
}
