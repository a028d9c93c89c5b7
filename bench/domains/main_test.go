package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "domains")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	save := func(path string, lines ...string) {
		text := "model,domain,corruption,severity,pictures,measure,class,value\n" + strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Figures of day_val, dusk, and the class road at dusk; the other domains have 40.
	for name, values := range map[string][3]float64{
		"base-1": {50, 30, 80}, "base-2": {52, 33, 82}, "isw-1": {48, 35, 79}, "isw+pasta-1": {49, 36, 80}, "isw+fda-1": {45, 50, 78},
	} {
		lines := []string{
			fmt.Sprintf("run,day_val,,0,2,miou,,%v", values[0]), fmt.Sprintf("run,dusk,,0,3,miou,,%v", values[1]), fmt.Sprintf("run,dusk,,0,3,iou,road,%v", values[2])}
		for _, domain := range []string{"new_route", "idd_lite", "bdd100k", "facades"} {
			lines = append(lines, "run,"+domain+",,0,4,miou,,40")
		}
		save(filepath.Join(folder, name+".csv"), lines...)
	}
	save(filepath.Join(root, "reference.csv"), "base,day_val,,0,2,miou,,50.5", "base,dusk,,0,2,miou,,29")

	var page bytes.Buffer
	if err := run(folder, &page); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, want := range []string{
		"| base | 1, 2 | 51.00 ± 1.00 | 40.00 ± 0.00 | 31.50 ± 1.50 |",
		"| base, published code | 1 | 50.50 |  | 29.00 |",
		"| isw | 1 | 48.00 | 40.00 | 35.00 |",
		// Seed 1 alone: both have it.
		"- ISW against base: better on dusk (+5.00); within 1.5 on new_route (+0.00), idd_lite (+0.00), bdd100k (+0.00), facades (+0.00); worse on day_val (−2.00).\n",
		"- isw+pasta against isw: better on none; within 1.5 on day_val (+1.00)",
		"- isw+fda against isw: better on dusk (+15.00)",
		"- base against the published code's: better on dusk (+2.50); within 1.5 on day_val (+0.50); worse on none.\n",
		"| road | 81.0 | 79.0 | 80.0 |",
		"| CamVid, at dusk | 3 | 11 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if generalising, adapted, found := strings.Cut(text, "not domain generalisation"); !found || strings.Contains(generalising, "| isw+fda |") || !strings.Contains(adapted, "| isw+fda |") {
		t.Errorf("what has seen the target is not set apart:\n%s", text)
	}

	save(filepath.Join(folder, "iw-1.csv"), "run,dusk,,0,3,miou,,30")
	if err := run(folder, &page); err == nil || !strings.Contains(err.Error(), "iw-1.csv lacks the domain day_val") {
		t.Errorf("an unfinished file: error %v", err)
	}
	save(filepath.Join(folder, "isw-2.csv"), "run,dusk,0")
	if err := run(folder, &page); err == nil || !strings.Contains(err.Error(), "isw-2.csv") {
		t.Errorf("a damaged file: error %v", err)
	}
}
