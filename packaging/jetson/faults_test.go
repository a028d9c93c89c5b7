package jetson

import (
	"slices"
	"strings"
	"testing"
)

// Every check finds what it is for: each fault is put into the real file.
func TestFaults(t *testing.T) {
	file := read(t, "Dockerfile.jetson")
	list := readContents(t)
	for name, tt := range map[string]struct {
		old, new string // the first occurrence is replaced
		want     string // in one of the faults
	}{
		"another image":            {"ubuntu:22.04", "ubuntu:20.04", "jp6: ubuntu:20.04 is not among the images"},
		"an image of the list":     {"ubuntu:22.04", "ubuntu:20.04", "jp6: ubuntu:22.04, of the images in contents.yaml, is not in"},
		"latest":                   {"l4t-cuda:12.6.11-runtime", "l4t-cuda:latest", "has no tag that stays"},
		"no tag":                   {"l4t-cuda:12.6.11-runtime", "l4t-cuda", "has no tag that stays"},
		"an old Go":                {"golang:1.26", "golang:1.21", "where go.mod wants Go 1.26"},
		"another package":          {"libx264-163", "libx264-160", "jp6: libx264-160 is not among the packages"},
		"a package fewer":          {"    libopencv-dnn406t64 \\\n", "", "jp7: libopencv-dnn406t64, of the packages"},
		"no OpenCV module":         {"    libopencv-dnn406t64 \\\n", "", "jp7: the package libopencv-dnn406t64 is missing"},
		"a package of the script":  {"setup.sh ca-certificates", "setup.sh ca-certificates git", "jp6: git is not among the packages"},
		"no pin":                   {`"libnvinfer10=10.16.*"`, "libnvinfer10", "jp7: libnvinfer10 is not among the nvidia"},
		"a package downloaded":     {"libnvonnxparsers-dev=10.16.*", "libnvonnxparsers-dev=11.*", "jp7: libnvonnxparsers-dev=11.*"},
		"another address":          {"nvidia.com/jetson/common", "nvidia.com/jetson/t234", "jetson/t234 is not among the addresses"},
		"a path in ENV":            {":/usr/local/cuda/lib64", ":/usr/local/cuda/lib", "jp6: /usr/local/cuda/lib is not among the paths"},
		"a path in COPY":           {"librobustnet-trt10.so", "librobustnet-trt11.so", "librobustnet-trt11.so is not among the paths"},
		"a path in RUN":            {"/nvidia/libnvdla_compiler.so", "/tegra/libnvdla_compiler.so", "/tegra/libnvdla_compiler.so is not among the paths"},
		"a file that is not here":  {"COPY go.mod go.sum ./", "COPY go.mod go.work ./", "COPY go.work: it is not in the repository"},
		"a file kept out":          {"COPY LICENSE /usr", "COPY docs/arm64.md /usr", ".dockerignore keeps it out"},
		"a script that is missing": {"RUN packaging/build-tensorrt.sh", "RUN packaging/build-trt.sh", "RUN packaging/build-trt.sh: it is not in the repository"},
		"a script not copied":      {"COPY packaging/build-tensorrt.sh packaging/\n", "", "RUN packaging/build-tensorrt.sh: it is not copied before"},
		"a program not built":      {" ./cmd/robustnet-quantize", "", "/src/build/robustnet-quantize: it is not built there"},
		"a stage that is missing":  {"COPY --from=tensorrt-jp6", "COPY --from=tensorrt-jp5", "there is no such stage before"},
		"a stage for nothing":      {"FROM golang:1.26-bookworm AS go", "FROM ubuntu:24.04 AS spare\n\nFROM golang:1.26-bookworm AS go", "no image is made of the stage spare"},
		"a target fewer":           {"runtime AS jp6", "runtime AS jp", "there is no target jp6"},
		"root by default":          {"USER 10001\n", "", "jp6: it runs as root"},
		"root by name":             {"USER 10001\n", "USER root:root\n", "jp6: it runs as root"},
		"root by number":           {"USER 10001\n", "USER 0\n", "jp6: it runs as root"},
		"another user":             {"USER 10001\n", "USER 10002\n", "jp6: its user is not in the group video"},
		"no group":                 {" --groups video", "", "jp6: its user is not in the group video"},
		"no health check":          {"HEALTHCHECK", "LABEL", "jp6: HEALTHCHECK is"},
		"a health check for show":  {`CMD ["robustnet-edge", "healthz"]`, "CMD true", "jp6: HEALTHCHECK is"},
		"no volume":                {"VOLUME /var/cache/robustnet\n", "", "jp6: VOLUME is"},
		"another port":             {"EXPOSE 8080/tcp", "EXPOSE 80/tcp", "jp6: EXPOSE is"},
		"recommended packages":     {"-y --no-install-recommends g++", "-y g++", "recommended packages are installed"},
		"a question":               {"install -y --no-install-recommends g++", "install --no-install-recommends g++", "or there is a question"},
		"lists that stay":          {"    libx264-163 \\\n && rm -rf /var/lib/apt/lists/*", "    libx264-163", "the lists of packages stay"},
		"lists of the script":      {"ca-certificates \\\n && rm -rf /var/lib/apt/lists/*", "ca-certificates", "the lists of packages stay"},
		"old lists":                {"RUN apt-get update \\\n && apt-get install -y --no-install-recommends g++", "RUN apt-get install -y --no-install-recommends g++", "may be old"},
		"dialogs":                  {"ARG DEBIAN_FRONTEND=noninteractive\n", "", "packages may ask questions"},
		"a secret":                 {"ARG VERSION=unknown", "ARG NGC_API_KEY", "ARG may hold a secret"},
		"ADD":                      {"COPY LICENSE /usr", "ADD LICENSE /usr", "ADD, which may fetch"},
		"a here document":          {"RUN go mod download", "RUN <<E", "here documents are not read"},
		"a directive":              {"# The camera daemon", "# syntax=docker/dockerfile:1\n# The camera daemon", "directives are not read"},
		"a stage without a name":   {"FROM ubuntu:22.04 AS build-jp6", "FROM ubuntu:22.04", "want FROM image AS name"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(file, tt.old) {
				t.Fatalf("the Dockerfile has no %q", tt.old)
			}
			got := faults(t, strings.Replace(file, tt.old, tt.new, 1), list)
			if !slices.ContainsFunc(got, func(f string) bool { return strings.Contains(f, tt.want) }) {
				t.Errorf("faults %q, want one with %q", got, tt.want)
			}
		})
	}
}

// The list is checked, too.
func TestFaultsOfTheList(t *testing.T) {
	file := read(t, "Dockerfile.jetson")
	for name, tt := range map[string]struct {
		change func(contents)
		want   string
	}{
		"a package too many": {func(c contents) { c.Targets["jp7"]["packages"]["vim"] = "noble" }, "jp7: vim, of the packages in contents.yaml, is not in the Dockerfile"},
		"a package fewer":    {func(c contents) { delete(c.Targets["jp7"]["packages"], "ffmpeg") }, "jp7: ffmpeg is not among the packages"},
		"an unknown source":  {func(c contents) { c.Targets["jp6"]["packages"]["ffmpeg"] = "hearsay" }, `is said to be known from "hearsay"`},
		"a source for what?": {func(c contents) { c.Sources["hearsay"] = "somebody" }, "nothing is known from hearsay"},
		"another target":     {func(c contents) { c.Targets["jp5"] = nil }, "has a target jp5"},
	} {
		c := readContents(t)
		tt.change(c)
		got := faults(t, file, c)
		if !slices.ContainsFunc(got, func(f string) bool { return strings.Contains(f, tt.want) }) {
			t.Errorf("%s: faults %q, want one with %q", name, got, tt.want)
		}
	}
}

func TestReadInstructions(t *testing.T) {
	const text = "# a comment\nfrom a AS b\nCOPY --from=c --chown=1:1 \\\n  # between\n  x \\\n\n  y\nRUN one && \\\n    two\n"
	got, err := readInstructions(text)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d instructions, %v", len(got), err)
	}
	if got[0].keyword != "FROM" || got[1].line != 3 || got[1].flag("from") != "c" || got[1].flag("chown") != "1:1" ||
		!slices.Equal(strings.Fields(got[1].text), []string{"x", "y"}) || len(commands(got[2])) != 2 {
		t.Errorf("read %+v", got)
	}
	for _, bad := range []string{"RUN x \\\n", "", "RUN x\n", "FROM a\n"} {
		if _, err := readStages(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
