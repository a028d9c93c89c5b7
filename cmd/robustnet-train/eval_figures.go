package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/robustnet-edge/robustnet/train/evaluate"
)

// writeFigures saves pictures in dir/MODEL/DOMAIN, see [evaluate.WriteExhibits].
func writeFigures(dir, model, domain string, worst []evaluate.Exhibit) error {
	dir = filepath.Join(dir, fileName(model), fileName(domain))
	if err := evaluate.WriteExhibits(dir, evaluate.Exhibits{Kind: "worst", List: worst}); err != nil {
		return fmt.Errorf("--figures: %w", err)
	}
	return nil
}

// fileName makes the name of a file of any text.
func fileName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, text)
	if strings.Trim(name, ".") == "" { // "." and ".." are folders
		name = "_" + name
	}
	return name
}
