package metrics

// Stage is a step of the frame pipeline whose time is measured.
type Stage uint8

// The stages, in the order in which a frame passes them.
const (
	Capture     Stage = iota // reading and decoding a frame from the camera
	Preprocess               // scaling to the model's input
	Infer                    // the network
	Postprocess              // turning the network's output into a mask and figures
	Overlay                  // drawing
	Encode                   // colour conversion and H.264
	stageCount
)

// String returns the stage label.
func (s Stage) String() string {
	return [stageCount]string{"capture", "preprocess", "infer", "postprocess", "overlay", "encode"}[s]
}

// Drop is a place where a frame is given up in favour of a newer one.
type Drop uint8

// The places, named after the stage that was busy.
const (
	DropCapture Drop = iota // lost by the camera or its driver before we could read it
	DropInfer               // waited for the network
	DropOverlay             // waited for drawing
	DropEncode              // waited for the encoder
	dropCount
)

// Drops lists every [Drop].
func Drops() []Drop { return []Drop{DropCapture, DropInfer, DropOverlay, DropEncode} }

// String returns the stage label.
func (d Drop) String() string {
	return [dropCount]string{"capture", "infer", "overlay", "encode"}[d]
}
