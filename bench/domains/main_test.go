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
	for name, values := range map[string][3]float64{"base-1": {50, 30, 80}, "base-2": {52, 33, 82}, "isw-1": {48, 35, 79}} {
		save(filepath.Join(folder, name+".csv"),
			fmt.Sprintf("run,day_val,,0,2,miou,,%v", values[0]), fmt.Sprintf("run,dusk,,0,2,miou,,%v", values[1]), fmt.Sprintf("run,dusk,,0,2,iou,road,%v", values[2]))
	}
	save(filepath.Join(root, "reference.csv"), "base,day_val,,0,2,miou,,50.5")

	var page bytes.Buffer
	if err := run(folder, &page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| base | 1, 2 | 51.00 ± 1.00 |  | 31.50 ± 1.50 |",
		"| base, published code | 1 | 50.50 |",
		"| isw | 1 | 48.00 |  | 35.00 |",
		"- ISW against base: better on dusk (+3.50); not better on day_val (−3.00).\n",
		"- base against the published code's: better on day_val (+0.50); not better on none.\n",
		"| road | 81.0 | 79.0 |",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, page.String())
		}
	}

	save(filepath.Join(folder, "isw-2.csv"), "run,dusk,0")
	if err := run(folder, &page); err == nil || !strings.Contains(err.Error(), "isw-2.csv") {
		t.Errorf("a damaged file: error %v", err)
	}
}
