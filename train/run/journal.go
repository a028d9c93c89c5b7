package run

// The files that a training leaves beside its checkpoints. All but the metrics are rewritten
// as a whole.
const (
	MetricsFile     = "metrics.csv"
	EvaluationsFile = "evaluations.json"
	CovarianceFile  = "covariances.safetensors"
	StatusFile      = "status.json"
	ReportFile      = "report.html"
	// FiguresDir holds pictures: sample_<n>_<part>.png of the fixed samples, worst_<n>_<part>.png
	// of the worst ones, with the parts image, truth and prediction; and rebuilt_<n>_<part>.png
	// of 'reconstruct', with the parts image, base and whitened.
	FiguresDir = "figures"
	// FiguresList, in it, has a line for each sample and worst picture: what its files are
	// called, its mIoU in points, NaN without labels, and its name, between tabs.
	FiguresList = "list.txt"
)

// Metric is one line of metrics.csv: means over the iterations since the line before it.
type Metric struct {
	// Iteration is the number of iterations done.
	Iteration    int
	LearningRate float64
	// Loss is the whole objective; CE, Aux and Whitening are its terms before their weights.
	// Whitening is NaN where there is none (yet).
	Loss, CE, Aux, Whitening float64
	PicturesPerSecond        float64
	// WaitShare is the share of time, 0 to 1, that was spent waiting for data.
	WaitShare float64
}

// Evaluation is the accuracy on one domain at one moment of the training.
type Evaluation struct {
	Iteration int    `json:"iteration"`
	Domain    string `json:"domain"`
	Pictures  int    `json:"pictures"`
	// MIoU, PixelAccuracy and IoU are in points, 0 to 100.
	MIoU          float64 `json:"miou"`
	PixelAccuracy float64 `json:"pixel_accuracy"`
	// Classes and IoU go together; classes that neither occur nor were predicted are left out.
	Classes []string  `json:"classes"`
	IoU     []float64 `json:"iou"`
	// Confusion is nil where it was not kept: a run folder has that of the last evaluation of
	// each domain.
	Confusion *Confusion `json:"confusion,omitempty"`
	// Adapted says that target pictures were seen, without labels, so that the figure is not
	// one of domain generalisation.
	Adapted bool `json:"adapted,omitempty"`
}

// Status is status.json: where a training stands, for programs that watch it.
type Status struct {
	// State is "training", "selecting masks", "stopped" (to be resumed), "done" or "failed".
	State      string  `json:"state"`
	Iteration  int     `json:"iteration"`
	Iterations int     `json:"iterations"`
	Reason     string  `json:"reason,omitempty"`
	Seconds    float64 `json:"seconds"`
}
