package nvinfer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/internal/shell"
	"github.com/robustnet-edge/robustnet/trt"
)

// FileEnding is that of files that hold a plan, and SidecarEnding what is added to its name for
// the file that describes it.
const (
	FileEnding    = ".engine"
	SidecarEnding = ".json"
)

// SidecarVersion is the one that this package writes and reads.
const SidecarVersion = 1

// ErrStale is wrapped where an engine file does not fit this machine or its sidecar; the error
// ends with the command that builds it anew.
var ErrStale = errors.New("the engine has to be built anew")

// Sidecar describes the plan that lies beside it. The plan itself stays as TensorRT made it, for
// other tools to read.
type Sidecar struct {
	Version int    `json:"version"`
	Program string `json:"program"`
	// Card is that of the model.
	Card json.RawMessage `json:"card"`
	// Device is where the plan was built: it runs nowhere else.
	Device Device `json:"device"`
	Model  Origin `json:"model"`
	Build  Build  `json:"build"`
	// PlanSHA256 is over the plan's bytes.
	PlanSHA256 string `json:"plan_sha256"`
	// Captured says that runs replay a CUDA graph; Refused is why not.
	Captured bool   `json:"cuda_graph"`
	Refused  string `json:"cuda_graph_refused,omitempty"`
}

// Origin is the model file that a plan was built from.
type Origin struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// OriginOf describes a model file with that content.
func OriginOf(path string, content []byte) (Origin, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Origin{}, fmt.Errorf("describe model %s: %w", path, err)
	}
	return Origin{absolute, hashOf(content)}, nil
}

// Build holds the options that a plan is built with and that its description has.
type Build struct {
	// Level is TensorRT's optimisation level, 0 to 5: the higher, the longer it searches.
	Level int `json:"level"`
	// WorkspaceBytes bounds the scratch memory; 0 leaves it to TensorRT.
	WorkspaceBytes int64 `json:"workspace_bytes"`
	// Weak lets TensorRT choose FP16 for a model of FP32, and INT8 where the model has Q/DQ, as
	// versions before 11 can. Otherwise the types in the model decide.
	Weak bool `json:"weak"`
	// Detailed keeps what [Engine.Inspect] shows of each layer.
	Detailed bool `json:"detailed"`
}

// hashOf returns the SHA-256 of a file's content as text.
func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Save writes a plan and its sidecar, which is given but for its version and the plan's hash. The
// sidecar comes last: without it, the plan is not used.
func Save(path string, plan []byte, s Sidecar) error {
	s.Version, s.PlanSHA256 = SidecarVersion, hashOf(plan)
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("describe engine %s: %w", path, err)
	}
	// That of an older plan must not describe the new one.
	if err := os.Remove(path + SidecarEnding); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replace engine %s: %w", path, err)
	}
	if err := atomicfile.Bytes(path, plan); err != nil {
		return err
	}
	return atomicfile.Bytes(path+SidecarEnding, append(text, '\n'))
}

// ReadSidecar reads the description of the engine file at path.
func ReadSidecar(path string) (*Sidecar, error) {
	text, err := os.ReadFile(path + SidecarEnding)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("engine %s: %w: its description %s is missing; %s", path, ErrStale, filepath.Base(path)+SidecarEnding, rebuild("", path, Build{Level: DefaultLevel}))
	}
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", path, err)
	}
	s := new(Sidecar)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("engine %s: %w: read its description %s: %w; %s", path, ErrStale, filepath.Base(path)+SidecarEnding, err, rebuild("", path, Build{Level: DefaultLevel}))
	}
	if s.Version != SidecarVersion {
		return nil, fmt.Errorf("engine %s: %w: its description has version %d and this program knows %d; %s", path, ErrStale, s.Version, SidecarVersion, s.rebuild(path))
	}
	return s, nil
}

// ModelChanged tells whether the file that the engine was built from is there and has another
// content than it had then. An engine does not need its model; a file that is gone, or cannot be
// read, has not changed.
func (s *Sidecar) ModelChanged() bool {
	content, err := os.ReadFile(s.Model.Path)
	return err == nil && hashOf(content) != s.Model.SHA256
}

// Rebuild is the command that builds the engine file at path anew.
func (s *Sidecar) Rebuild(path string) string { return strings.TrimPrefix(s.rebuild(path), "run: ") }

// check tells whether the plan is the one described, for the device at hand, and returns the
// model's card.
func (s *Sidecar) check(path string, plan []byte, here Device) (*trt.Card, error) {
	stale := func(format string, args ...any) error {
		return fmt.Errorf("engine %s: %w: %s; %s", path, ErrStale, fmt.Sprintf(format, args...), s.rebuild(path))
	}
	there := s.Device
	switch {
	case hashOf(plan) != s.PlanSHA256:
		return nil, stale("it is not the plan that %s describes", filepath.Base(path)+SidecarEnding)
	case there.TensorRT != here.TensorRT:
		return nil, stale("it was built with TensorRT %s and this machine has %s", there.TensorRT, here.TensorRT)
	case there.Capability != here.Capability || there.GPU != here.GPU || there.Processors != here.Processors:
		return nil, stale("it was built for %s with %d processors (compute capability %s) and this machine has %s with %d (%s)",
			there.GPU, there.Processors, there.Capability, here.GPU, here.Processors, here.Capability)
	}
	card, err := trt.ParseCard(s.Card)
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w: %w; %s", path, trt.ErrContract, err, s.rebuild(path))
	}
	return card, nil
}

func (s *Sidecar) rebuild(path string) string { return rebuild(s.Model.Path, path, s.Build) }

// DefaultLevel is TensorRT's own optimisation level.
const DefaultLevel = 3

// rebuild is the command that builds an engine again.
func rebuild(model, path string, b Build) string {
	if model == "" {
		model = "MODEL.trt-int8.onnx"
	}
	command := "robustnet-quantize build --model " + shell.Quote(model) + " --out " + shell.Quote(path)
	if b.Level != DefaultLevel {
		command += fmt.Sprintf(" --level %d", b.Level)
	}
	if b.WorkspaceBytes > 0 {
		command += fmt.Sprintf(" --workspace %d", b.WorkspaceBytes>>20)
	}
	if b.Weak {
		command += " --weak"
	}
	if b.Detailed {
		command += " --detailed"
	}
	return "run: " + command
}
