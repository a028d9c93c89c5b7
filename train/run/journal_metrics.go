package run

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
)

// metricsHeader is the first line of metrics.csv.
var metricsHeader = []string{
	"iteration", "learning_rate", "loss", "ce", "aux", "whitening", "pictures_per_second", "wait_share",
}

// Metrics writes metrics.csv. It is used by one goroutine at a time.
type Metrics struct {
	file  *os.File
	lines *csv.Writer
}

// OpenMetrics opens the metrics of a run folder for a training that has done so many
// iterations. Lines of later ones are cut off: they are of a training that was interrupted
// after its last checkpoint, and come again. The file is made if it is missing.
func OpenMetrics(dir string, iteration int) (*Metrics, error) {
	path := filepath.Join(dir, MetricsFile)
	m, err := openMetrics(path, iteration)
	if err != nil {
		return nil, fmt.Errorf("open metrics %s: %w", path, err)
	}
	return m, nil
}

func openMetrics(path string, iteration int) (*Metrics, error) {
	text, err := readJournal(path)
	if err != nil {
		return nil, err
	}
	_, end, err := parseMetrics(text, iteration)
	if err != nil {
		return nil, err
	}
	if end < len(text) {
		if err := atomicfile.Bytes(path, text[:end]); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	m := &Metrics{file, csv.NewWriter(file)}
	if end == 0 {
		if err := m.write(metricsHeader); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return m, nil
}

// Append writes a line. When it returns, the line outlives the program, though not the power.
func (m *Metrics) Append(v Metric) error {
	record := []string{strconv.Itoa(v.Iteration)}
	for _, f := range v.numbers() {
		text := ""
		if !math.IsNaN(*f) {
			text = strconv.FormatFloat(*f, 'g', -1, 64)
		}
		record = append(record, text)
	}
	if err := m.write(record); err != nil {
		return fmt.Errorf("append to %s: %w", m.file.Name(), err)
	}
	return nil
}

func (m *Metrics) write(record []string) error {
	if err := m.lines.Write(record); err != nil {
		return err
	}
	m.lines.Flush()
	return m.lines.Error()
}

// Close waits until the lines are on the disk and closes the file.
func (m *Metrics) Close() error { return errors.Join(m.file.Sync(), m.file.Close()) }

// ReadMetrics returns the lines of a run folder's metrics.csv, none if it is missing. A last
// line that is not complete, as after a power failure, is left out.
func ReadMetrics(dir string) ([]Metric, error) {
	path := filepath.Join(dir, MetricsFile)
	text, err := readJournal(path)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	metrics, _, err := parseMetrics(text, math.MaxInt)
	if err != nil {
		return nil, fmt.Errorf("read metrics %s: %w", path, err)
	}
	return metrics, nil
}

// parseMetrics returns the lines up to an iteration, and where they end in the text: 0 when
// not even the header is complete. Only the last line may be damaged.
func parseMetrics(text []byte, until int) (metrics []Metric, end int, err error) {
	lines := csv.NewReader(bytes.NewReader(text))
	lines.FieldsPerRecord = -1
	for {
		record, err := lines.Read()
		next := int(lines.InputOffset())
		torn := next == len(text) && !bytes.HasSuffix(text, []byte("\n"))
		if err == io.EOF || torn {
			return metrics, end, nil
		}
		var m Metric
		switch {
		case err != nil:
		case end == 0 && !slices.Equal(record, metricsHeader):
			err = errors.New("its first line is not that of a metrics file")
		case end > 0:
			m, err = parseMetric(record)
		}
		if err != nil && next == len(text) && end > 0 {
			return metrics, end, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("after %d lines: %w; move the file away to go on without it", len(metrics), err)
		}
		if end > 0 {
			if m.Iteration > until {
				return metrics, end, nil
			}
			metrics = append(metrics, m)
		}
		end = next
	}
}

func parseMetric(record []string) (m Metric, err error) {
	if len(record) != len(metricsHeader) {
		return m, fmt.Errorf("it has %d fields, not %d", len(record), len(metricsHeader))
	}
	m.Iteration, err = strconv.Atoi(record[0])
	if err != nil {
		return m, fmt.Errorf("%s: %w", metricsHeader[0], err)
	}
	for i, f := range m.numbers() {
		if *f = math.NaN(); record[i+1] == "" {
			continue
		}
		if *f, err = strconv.ParseFloat(record[i+1], 64); err != nil {
			return m, fmt.Errorf("%s: %w", metricsHeader[i+1], err)
		}
	}
	return m, nil
}

// numbers are the fields after the iteration, in the order of the header.
func (m *Metric) numbers() []*float64 {
	return []*float64{&m.LearningRate, &m.Loss, &m.CE, &m.Aux, &m.Whitening, &m.PicturesPerSecond, &m.WaitShare}
}

// maxJournalBytes is more than any training writes: two million lines of metrics.
const maxJournalBytes = 256 << 20

// readJournal returns a file's content, none if it is missing.
func readJournal(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxJournalBytes+1))
	if err == nil && len(text) > maxJournalBytes {
		err = fmt.Errorf("%s has more than %d bytes; no training wrote that", path, maxJournalBytes)
	}
	return text, err
}
