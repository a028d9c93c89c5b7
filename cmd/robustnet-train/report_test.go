package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
)

// freshRun makes an untrained run of the cheapest network.
func freshRun(t *testing.T, dir string) string {
	t.Helper()
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes, spec.Placement = 0.5, nn.LiteHead, 11, nn.Placement{}
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	c := trainrun.Config{Network: spec, Method: nn.Base, Labels: labels.CamVid(), Origin: "a test"}
	if _, err := trainrun.Create(dir, c, trainrun.Checkpoint{Weights: net.Init(1)}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReport(t *testing.T) {
	folder := t.TempDir()
	isw := freshRun(t, filepath.Join(folder, "first"))
	freshRun(t, filepath.Join(folder, "beside"))
	far := freshRun(t, filepath.Join(t.TempDir(), "far"))
	page := filepath.Join(folder, "page.html")
	for name, c := range map[string]struct {
		args         []string
		path         string
		names, never []string
	}{
		"beside":    {nil, filepath.Join(isw, "report.html"), []string{"beside"}, []string{"far"}},
		"elsewhere": {[]string{"--with", far, "--out", page}, page, []string{"far"}, []string{"beside"}},
	} {
		t.Run(name, func(t *testing.T) {
			if out := succeed(t, append([]string{"report", "--run", isw}, c.args...)...); out != c.path+" written\n" {
				t.Errorf("it said %q", out)
			}
			text, err := os.ReadFile(c.path)
			if err != nil {
				t.Fatal(err)
			}
			row := func(name string) bool { return strings.Contains(string(text), `<th scope="row">`+name+"</th>") }
			for _, n := range append(c.names, "first") {
				if !row(n) {
					t.Errorf("run %s is not compared", n)
				}
			}
			for _, n := range c.never {
				if row(n) {
					t.Errorf("run %s is compared", n)
				}
			}
		})
	}
}

func TestReportErrors(t *testing.T) {
	dir := freshRun(t, filepath.Join(t.TempDir(), "run"))
	none := filepath.Join(dir, "none")
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no run":        {nil, cli.Usage, "--run"},
		"missing run":   {[]string{"--run", none}, cli.Failure, "report: open run " + none},
		"missing other": {[]string{"--run", dir, "--with", none}, cli.Failure, "--with: open run " + none},
		"no folder":     {[]string{"--run", dir, "--out", filepath.Join(none, "x.html")}, cli.Failure, "does not exist"},
		"a folder":      {[]string{"--run", dir, "--out", dir}, cli.Failure, "it is a folder"},
		"stray":         {[]string{dir}, cli.Usage, "report"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := execute(t, append([]string{"report"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, %s; want %d and %q", code, stderr, c.code, c.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "report.html")); err == nil {
				t.Error("a report was written")
			}
		})
	}
}
