// Package models carries the default model, so that the daemon runs out of the box.
package models

import _ "embed"

// DefaultName is how messages call the default model.
const DefaultName = "scene-tiny (embedded)"

// Default is a model file: a small network trained on procedural street scenes alone (see
// README.md in this folder). It fits the synthetic camera; for real streets train a model
// on real pictures.
//
//go:embed default.onnx
var Default []byte
