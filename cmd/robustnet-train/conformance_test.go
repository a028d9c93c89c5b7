package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// asProgram is the variable that makes the test binary behave as the program itself, which
// starts itself anew for the reference BLAS.
const asProgram = "TRAIN_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main() // which exits
	}
	os.Exit(m.Run())
}

// asProcess runs a command line in a process of its own.
func asProcess(t *testing.T, environment []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), asProgram+"=1"), environment...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// torchLibrary names libtorch for a process, or skips.
func torchLibrary(t *testing.T) []string {
	t.Helper()
	return []string{"ROBUSTNET_TORCH_LIBRARY=" + torchtest.Path(t)}
}

// references returns the folders of numbers from the published implementation, or skips.
func references(t *testing.T) []string {
	t.Helper()
	manifests, err := filepath.Glob("../../../shared/reference/*/manifest.json")
	if err != nil || len(manifests) == 0 {
		t.Skipf("no reference folders in ../shared/reference: %v", err)
	}
	var dirs []string
	for _, m := range manifests {
		dirs = append(dirs, filepath.Dir(m))
	}
	return dirs
}

// magnified are the quantities in which differences in rounding grow beyond the tolerances:
// those behind a backward pass through the small batches of the references.
var magnified = regexp.MustCompile(`^(gradient |step [1-9]|.*_after_steps)`)

// verdicts reads a report: the quantities that differ, those magnified apart, and whether
// this machine rounds as the references' did. Processors do not, for whose instructions
// oneDNN and BLAS have other kernels.
func verdicts(t *testing.T, report string) (differ, ofRounding []string, sameRounding bool) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^ *\S+ +\S+ +(\S+e[-+]\d+) +(ok|FAIL)? +(\S.*)$`)
	sameRounding = true
	first := 0
	for _, m := range line.FindAllStringSubmatch(report, -1) {
		err, quantity := m[1], m[3]
		if strings.HasPrefix(quantity, "step 0 ") {
			first++
			v, fault := strconv.ParseFloat(err, 64)
			sameRounding = sameRounding && fault == nil && v < 1e-9
		}
		switch {
		case m[2] != "FAIL":
		case magnified.MatchString(quantity):
			ofRounding = append(ofRounding, m[0])
		default:
			differ = append(differ, m[0])
		}
	}
	if first == 0 {
		t.Errorf("there is no first step in the report\n%s", report)
	}
	return differ, ofRounding, sameRounding
}

func TestConformance(t *testing.T) {
	dirs, environment := references(t), torchLibrary(t)
	if testing.Short() {
		dirs = dirs[:1]
	}
	// A file among the folders is what the shell makes of reference/*.
	file := filepath.Join(filepath.Dir(dirs[0]), "README.md")
	code, stdout, stderr := asProcess(t, environment, append([]string{"conformance", file}, dirs...)...)
	if !strings.Contains(stderr, file+" is a file, no reference folder: passed over\n") {
		t.Errorf("standard error: %s", stderr)
	}
	differ, ofRounding, sameRounding := verdicts(t, stdout)
	if len(differ) > 0 {
		t.Errorf("these differ:\n%s", strings.Join(differ, "\n"))
	}
	if !sameRounding {
		t.Logf("this machine rounds otherwise than the references' did: %d quantities behind a backward pass differ", len(ofRounding))
		return
	}
	last := fmt.Sprintf(" quantities in %d folders agree with the reference\n", len(dirs))
	if code != cli.OK || !strings.HasSuffix(stdout, last) {
		t.Errorf("exit code %d, want … %s; these differ:\n%s", code, last, strings.Join(ofRounding, "\n"))
	}
}

// TestConformanceFails changes one number of a reference.
func TestConformanceFails(t *testing.T) {
	dirs, environment := references(t), torchLibrary(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(dirs[0])); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "manifest.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var manifest map[string]any
	if err := json.Unmarshal(content, &manifest); err != nil {
		t.Fatal(err)
	}
	manifest["eval_logits_sum"] = manifest["eval_logits_sum"].(float64) * (1 + 2e-4)
	if content, err = json.Marshal(manifest); err != nil {
		t.Fatal(err)
	}
	// The folder of a temporary copy may be read only, its file too.
	if err := errors.Join(os.Remove(path), os.WriteFile(path, content, 0o600)); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := asProcess(t, environment, "conformance", dir)
	failed := regexp.MustCompile(`^ *-?\S+ +-?\S+ +2\.0e-04 +FAIL +eval_logits_sum$`)
	counts := regexp.MustCompile(`\Arobustnet-train: \d+ of \d+ quantities in 1 folders differ from the reference\n\z`)
	differ, _, _ := verdicts(t, stdout)
	if code != cli.Failure || !counts.MatchString(stderr) || len(differ) != 1 || !failed.MatchString(differ[0]) {
		t.Errorf("exit code %d, differing %q, stderr %s", code, differ, stderr)
	}
}

// TestConformanceCommandLines has no library to load: the faults are found before.
func TestConformanceCommandLines(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no folder":    {nil, cli.Usage, "conformance: requires at least 1 arg(s)"},
		"wrong folder": {[]string{dir}, cli.Failure, "read reference folder " + dir + ": open " + dir + "/manifest.json: no such file"},
		"files only":   {[]string{os.Args[0]}, cli.Usage, " is a file; give the folder that holds manifest.json\n"},
		"blas":         {[]string{"--blas", "mkl", dir}, cli.Usage, "--blas \"mkl\": choose reference or system\n"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := asProcess(t, []string{"ROBUSTNET_TORCH_LIBRARY=/nowhere.so"}, append([]string{"conformance"}, c.args...)...)
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "libtorch") {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %d, %q", code, stdout, stderr, c.code, c.want)
			}
		})
	}
}

// TestConformanceWithoutLibrary says what to install.
func TestConformanceWithoutLibrary(t *testing.T) {
	dirs := references(t)
	code, _, stderr := asProcess(t, []string{"ROBUSTNET_TORCH_LIBRARY=/nowhere.so"}, "conformance", dirs[0])
	if code != cli.Failure || !strings.Contains(stderr, "libtorch cannot be loaded: stat /nowhere.so") || !strings.Contains(stderr, "make setup") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}
