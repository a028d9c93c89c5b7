package edge

import (
	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/overlay"
	"github.com/robustnet-edge/robustnet/trt"
)

const (
	// minPaneSide is the least that video encoders take.
	minPaneSide = 16
	// maxPaneSide keeps two panes side by side within what they take.
	maxPaneSide = 4096
)

// overlayOptions says how f and frames like it are drawn: at their own size, made even, and
// within what can be encoded.
func overlayOptions(c config.Overlay, engine trt.Engine, f *camera.Frame) overlay.Options {
	width, height := paneSize(f.Width, f.Height)
	desc := engine.Describe()
	return overlay.Options{
		Width:      width,
		Height:     height,
		MaskWidth:  desc.MaskWidth,
		MaskHeight: desc.MaskHeight,
		Classes:    engine.Card().Classes,
		Alpha:      c.Alpha,
		Legend:     c.Legend,
		Stats:      c.Stats,
		Stamp:      c.Stamp,
	}
}

// paneSize fits a frame into the allowed sides, keeping its proportions as far as they allow.
func paneSize(width, height int) (w, h int) {
	if longer := max(width, height); longer > maxPaneSide {
		width, height = width*maxPaneSide/longer, height*maxPaneSide/longer
	}
	return max(minPaneSide, width&^1), max(minPaneSide, height&^1)
}
