// Package jetson holds Dockerfile.jetson against contents.yaml, the list of what it may name,
// and against the repository. It builds nothing.
package jetson

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/robustnet-edge/robustnet/edge/config"
)

const root = "../.."

// contents is contents.yaml.
type contents struct {
	Sources map[string]string                       `yaml:"sources"`
	Targets map[string]map[string]map[string]string `yaml:"targets"` // by target, kind and name: source
}

// made are the images, and how the names of their OpenCV packages end.
var made = map[string]string{"jp6": "4.5d", "jp7": "406t64"}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readContents(t *testing.T) contents {
	t.Helper()
	var c contents
	if err := yaml.UnmarshalWithOptions([]byte(read(t, "packaging/jetson/contents.yaml")), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDockerfile(t *testing.T) {
	for _, fault := range faults(t, read(t, "Dockerfile.jetson"), readContents(t)) {
		t.Error(fault)
	}
}

// faults is all that is wrong with a Dockerfile.
func faults(t *testing.T, dockerfile string, list contents) []string {
	t.Helper()
	stages, err := readStages(dockerfile)
	if err != nil {
		return []string{err.Error()}
	}
	var all []string
	complain := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	listed(list, stages, complain)
	used := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(made)) {
		parts := target(stages, name)
		for _, s := range parts {
			used[s.name] = true
		}
		if len(parts) == 0 || parts[len(parts)-1].name != name {
			complain("there is no target %s", name)
			continue
		}
		final(parts[len(parts)-1], complain)
		goVersion(t, parts, complain)
		openCV(t, parts[len(parts)-1], made[name], complain)
	}
	for n, s := range stages {
		if !used[s.name] {
			complain("no image is made of the stage %s", s.name)
		}
		fromRepository(t, s, complain)
		fromStages(s, stages[:n], complain)
		installs(s, complain)
		secrets(s, complain)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// listed compares with contents.yaml, in both directions.
func listed(list contents, stages []stage, complain func(string, ...any)) {
	cited := map[string]bool{"here": true}
	for _, name := range slices.Sorted(maps.Keys(list.Targets)) {
		if _, known := made[name]; !known {
			complain("contents.yaml has a target %s, of which no image is made", name)
		}
	}
	for name := range made {
		there := names(target(stages, name))
		for _, kind := range []string{"images", "packages", "nvidia", "addresses", "paths"} {
			allowed := list.Targets[name][kind]
			for what := range there[kind] {
				if _, ok := allowed[what]; !ok {
					complain("%s: %s is not among the %s of contents.yaml", name, what, kind)
				}
			}
			for what, source := range allowed {
				if !there[kind][what] {
					complain("%s: %s, of the %s in contents.yaml, is not in the Dockerfile", name, what, kind)
				}
				if _, ok := list.Sources[source]; !ok && source != "here" {
					complain("contents.yaml: %s is said to be known from %q, which is no source", what, source)
				}
				cited[source] = true
			}
		}
		for image := range there["images"] {
			if _, tag, ok := strings.Cut(path.Base(image), ":"); !ok || tag == "latest" {
				complain("%s: the image %s has no tag that stays", name, image)
			}
		}
	}
	for source := range list.Sources {
		if !cited[source] {
			complain("contents.yaml: nothing is known from %s", source)
		}
	}
}

// final checks what every image must have.
func final(s stage, complain func(string, ...any)) {
	user, ok := s.last("USER")
	if !ok || slices.Contains([]string{"root", "0"}, strings.Split(user.text, ":")[0]) {
		complain("%s: it runs as root", s.name)
	}
	for keyword, want := range map[string]string{
		"HEALTHCHECK": `CMD ["robustnet-edge", "healthz"]`,
		"ENTRYPOINT":  `["robustnet-edge"]`,
		"VOLUME":      "/var/cache/robustnet",
	} {
		if i, _ := s.last(keyword); i.text != want {
			complain("%s: %s is %q, want %q", s.name, keyword, i.text, want)
		}
	}
	inVideo := slices.ContainsFunc(s.of("RUN"), func(i instruction) bool {
		return strings.Contains(i.text, "--uid "+user.text+" ") && strings.Contains(i.text, "--groups video ")
	})
	if !inVideo {
		complain("%s: its user is not in the group video", s.name)
	}
	c := config.Default()
	_, page, _ := strings.Cut(c.HTTP.Address, ":")
	_, rtsp, _ := strings.Cut(c.Stream.RTSP, ":")
	want := fmt.Sprintf("%s/tcp %s/tcp %d/udp %d/udp", page, rtsp, c.Stream.RTPPort, c.Stream.RTPPort+1)
	if i, _ := s.last("EXPOSE"); i.text != want {
		complain("%s: EXPOSE is %q, want the daemon's ports, %q", s.name, i.text, want)
	}
}

// goVersion checks that the image of Go has what go.mod asks for.
func goVersion(t *testing.T, stages []stage, complain func(string, ...any)) {
	t.Helper()
	wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if wanted == nil {
		t.Fatal("go.mod names no version")
	}
	for image := range names(stages)["images"] {
		if version, ok := strings.CutPrefix(image, "golang:"); ok && !strings.HasPrefix(version, wanted[1]) {
			complain("the image is %s, where go.mod wants Go %s", image, wanted[1])
		}
	}
}

// openCV checks that the libraries against which the programs are linked are there.
func openCV(t *testing.T, s stage, ending string, complain func(string, ...any)) {
	t.Helper()
	there := names([]stage{s})["packages"]
	modules := regexp.MustCompile(`-lopencv_(\w+)`).FindAllStringSubmatch(read(t, "packaging/pkgconfig/opencv4.pc"), -1)
	if len(modules) == 0 {
		t.Fatal("opencv4.pc names no modules")
	}
	for _, m := range modules {
		// gocv does not call this one, so that the linker leaves it out.
		if name := "libopencv-" + m[1] + ending; m[1] != "stitching" && !there[name] {
			complain("%s: the package %s is missing", s.name, name)
		}
	}
}

// fromRepository checks that what a stage takes from the repository is there.
func fromRepository(t *testing.T, s stage, complain func(string, ...any)) {
	t.Helper()
	out := ignored(t)
	copied := map[string]bool{}
	for _, i := range s.of("COPY") {
		if i.flag("from") != "" {
			continue
		}
		words := strings.Fields(i.text)
		for _, source := range words[:len(words)-1] {
			copied[source] = true
			if _, err := os.Stat(filepath.Join(root, source)); err != nil {
				complain("%s: COPY %s: it is not in the repository", s.name, source)
			}
			if out[strings.Split(path.Clean(source), "/")[0]] {
				complain("%s: COPY %s: .dockerignore keeps it out", s.name, source)
			}
		}
	}
	own := regexp.MustCompile(`(?:^|\s)((?:packaging|\./cmd)/[\w./-]+)`)
	for _, i := range s.of("RUN") {
		for _, found := range own.FindAllStringSubmatch(i.text, -1) {
			if _, err := os.Stat(filepath.Join(root, found[1])); err != nil {
				complain("%s: RUN %s: it is not in the repository", s.name, found[1])
			}
			if !copied[found[1]] && !copied["."] {
				complain("%s: RUN %s: it is not copied before", s.name, found[1])
			}
		}
	}
	if i := s.of("ADD"); len(i) > 0 {
		complain("%s: ADD, which may fetch and unpack, where COPY does", s.name)
	}
}

// ignored are the folders that .dockerignore leaves out as a whole.
func ignored(t *testing.T) map[string]bool {
	t.Helper()
	folders := map[string]bool{}
	for line := range strings.Lines(read(t, ".dockerignore")) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "/"); ok {
			folders[name] = true
		}
	}
	return folders
}

// fromStages checks that what is copied out of a stage can be there.
func fromStages(s stage, earlier []stage, complain func(string, ...any)) {
	for _, i := range s.of("COPY") {
		from := i.flag("from")
		if from == "" {
			continue
		}
		at := slices.IndexFunc(earlier, func(e stage) bool { return e.name == from })
		if at < 0 {
			complain("%s: COPY --from=%s: there is no such stage before", s.name, from)
			continue
		}
		words := strings.Fields(i.text)
		for _, source := range words[:len(words)-1] {
			program, ok := strings.CutPrefix(source, "/src/build/")
			if !ok || strings.Contains(program, "/") {
				continue
			}
			if !slices.ContainsFunc(earlier[at].of("RUN"), func(r instruction) bool {
				return slices.Contains(strings.Fields(r.text), "./cmd/"+program)
			}) {
				complain("%s: COPY --from=%s %s: it is not built there", s.name, from, source)
			}
		}
	}
}

// installs checks how packages are installed.
func installs(s stage, complain func(string, ...any)) {
	frontend := slices.ContainsFunc(s.of("ARG"), func(i instruction) bool { return i.text == "DEBIAN_FRONTEND=noninteractive" })
	for _, i := range s.of("RUN") {
		if len(packages(i)) == 0 && !strings.Contains(i.text, "packaging/setup.sh") {
			continue
		}
		if !strings.Contains(i.text, "/var/lib/apt/lists/*") {
			complain("%s: line %d: the lists of packages stay", s.name, i.line)
		}
		if !strings.Contains(i.text, "apt-get install") {
			continue // packaging/setup.sh minds the rest
		}
		if !strings.Contains(i.text, "apt-get install -y --no-install-recommends ") {
			complain("%s: line %d: recommended packages are installed, too, or there is a question", s.name, i.line)
		}
		if !strings.HasPrefix(i.text, "apt-get update ") {
			complain("%s: line %d: the lists of packages may be old", s.name, i.line)
		}
		if !frontend {
			complain("%s: line %d: packages may ask questions", s.name, i.line)
		}
	}
}

var secret = regexp.MustCompile(`(?i)passw|secret|token|credential|private|api_?key`)

// secrets checks that none is asked for or set.
func secrets(s stage, complain func(string, ...any)) {
	for _, i := range s.instructions {
		if (i.keyword == "ENV" || i.keyword == "ARG") && secret.MatchString(i.text) {
			complain("%s: line %d: %s may hold a secret", s.name, i.line, i.keyword)
		}
	}
}
