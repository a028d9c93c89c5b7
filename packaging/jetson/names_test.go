package jetson

import (
	"path"
	"regexp"
	"strings"
)

// named is what some stages name, by kind: images, packages, nvidia, addresses, paths.
type named map[string]map[string]bool

func (n named) add(kind, name string) {
	if n[kind] == nil {
		n[kind] = map[string]bool{}
	}
	n[kind][name] = true
}

var (
	address  = regexp.MustCompile(`https?://[^\s"']+`)
	absolute = regexp.MustCompile(`(?:^|[\s"'=:\[])(/[^\s"'=:,\]]+)`)
	ofNVIDIA = regexp.MustCompile(`^(cuda-|libnv|nvidia-|tensorrt)`)
)

// names gathers what stages name.
func names(stages []stage) named {
	n := named{}
	own := map[string]bool{}
	for _, s := range stages {
		if !own[s.base] {
			n.add("images", s.base)
		}
		own[s.name] = true
		for _, i := range s.instructions {
			text := i.text
			for _, found := range address.FindAllString(text, -1) {
				n.add("addresses", found)
			}
			for _, found := range absolute.FindAllStringSubmatch(address.ReplaceAllString(text, ""), -1) {
				n.add("paths", path.Clean(found[1]))
			}
			if i.keyword == "RUN" {
				for _, p := range packages(i) {
					if ofNVIDIA.MatchString(p) {
						n.add("nvidia", p)
					} else {
						n.add("packages", p)
					}
				}
			}
		}
	}
	return n
}

// packages are those that a RUN installs, by apt-get or by this repository's script.
func packages(run instruction) []string {
	var all []string
	for _, words := range commands(run) {
		for len(words) > 0 && strings.Contains(words[0], "=") { // variables
			words = words[1:]
		}
		switch {
		case len(words) == 0:
			continue
		case words[0] == "packaging/setup.sh":
			words = words[1:]
		case words[0] == "apt-get" && len(words) > 1 && (words[1] == "install" || words[1] == "download"):
			words = words[2:]
		default:
			continue
		}
		for _, word := range words {
			if !strings.HasPrefix(word, "-") {
				all = append(all, word)
			}
		}
	}
	return all
}
