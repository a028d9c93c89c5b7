package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
)

// writeLabels writes a picture and its labels, one row, into the plain folders of dir.
func writeLabels(t *testing.T, dir, name string, ids ...uint8) {
	t.Helper()
	rect := image.Rect(0, 0, len(ids), 1)
	for folder, img := range map[string]image.Image{
		"images": image.NewRGBA(rect), "labels": &image.Gray{Pix: ids, Stride: len(ids), Rect: rect},
	} {
		var file bytes.Buffer
		if err := png.Encode(&file, img); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, folder, name+".png"), file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "street")
	writeLabels(t, dir, "a", 3, 3, 0, 11)
	writeLabels(t, dir, "b", 3, 3, 3, 3)
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"check", "camvid=" + dir}, &out, &errs); code != 0 || errs.Len() > 0 {
		t.Fatalf("exit code %d, %s", code, &errs)
	}
	for _, want := range []string{"street: 2 pictures, 2 of 4 x 1\n", "\n 3  road             6  75.00 %         2\n", "\n    ignored          1  12.50 %\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output\n%sdoes not have %q", &out, want)
		}
	}

	out.Reset()
	if code := run(t.Context(), []string{"check", "x=camvid=" + dir, "y=camvid=" + dir, "--json"}, &out, &errs); code != 0 || errs.Len() > 0 {
		t.Fatalf("exit code %d, %s", code, &errs)
	}
	var reports []data.Report
	if err := json.Unmarshal(out.Bytes(), &reports); err != nil {
		t.Fatal(err)
	}
	if len(reports) != 2 || reports[1].Name != "y" || reports[1].Classes[3].Pixels != 6 {
		t.Errorf("reports %+v", reports)
	}
}

// TestCheckFaults wants every fault on a line of its own, path first, of all data sets, and
// exit code 1.
func TestCheckFaults(t *testing.T) {
	dir := t.TempDir()
	writeLabels(t, dir, "a", 3, 12)
	writeLabels(t, dir, "b", 77)
	none := filepath.Join(dir, "none")
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"check", "gtav=" + none, "camvid=" + dir}, &out, &errs); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"\nunknown label id 77: 1 pixel in 1 file\n",
		"\n" + filepath.Join(dir, "labels/a.png") + ": label ids that the layout does not know: 12 (1 pixel)\n",
		"\n" + filepath.Join(dir, "labels/b.png") + ": label ids that the layout does not know: 77 (1 pixel)\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output\n%sdoes not have %q", &out, want)
		}
	}
	if text := errs.String(); !strings.Contains(text, none+": no such file") || !strings.Contains(text, "2 faults") {
		t.Errorf("error %q", text)
	}
}

func TestCheckUsage(t *testing.T) {
	for _, args := range [][]string{{"check"}, {"check", "camvid"}, {"check", "camvd=x"}, {"check", "camvid=x", "--josn"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, &out, &errs); code != 2 {
			t.Errorf("%q: exit code %d, want 2", args, code)
		}
	}
}
