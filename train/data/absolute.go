package data

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Absolute returns the source in a form that names the same pictures from every folder.
func Absolute(source string) (string, error) {
	p, err := parse(source)
	if err != nil {
		return "", fmt.Errorf("data set %s: %w", source, err)
	}
	if p.layout == scenesLayout {
		return source, nil
	}
	places := []string{p.place}
	if file, dir, ok := cutDescribed(p.place); ok && p.layout == folderLayout {
		places = []string{file, dir}
	}
	for i, place := range places {
		if places[i], err = filepath.Abs(place); err != nil {
			return "", fmt.Errorf("data set %s: %w", source, err)
		}
	}
	absolute := p.layout + "=" + strings.Join(places, "@")
	if p.name != "" {
		absolute = p.name + "=" + absolute
	}
	return absolute, nil
}
