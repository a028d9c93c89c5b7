package export

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/scene"
	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/trt"
)

// What measures runs the finished model, so that a card states what users get. The caller's
// engine stays open; [trt.Engine.Interrupt] ends a measurement with [trt.ErrInterrupted].

// pictureTypes are the extensions of pictures, in lower case.
var pictureTypes = []string{".jpg", ".jpeg", ".png"}

// SourceStyle returns the statistics of the model's style over all JPEG and PNG pictures of
// a folder, without its subfolders: those of the domain that the model was trained on.
func SourceStyle(engine trt.Engine, folder string) (trt.CardStyle, error) {
	files, err := pictures(folder)
	if err != nil {
		return trt.CardStyle{}, fmt.Errorf("measure style: %w", err)
	}
	var statistics evaluate.StyleStatistics
	for _, file := range files {
		result, err := runFile(engine, filepath.Join(folder, file))
		if err != nil {
			return trt.CardStyle{}, fmt.Errorf("measure style: %w", err)
		}
		statistics.Add(result.Style)
	}
	style := engine.Card().Style
	return statistics.Card(style.Layers, style.Order), nil
}

// FolderAccuracy measures the model on the pictures of dir/images, JPEG or PNG, whose labels
// are the PNG images of the same names in dir/labels. split chooses those that are listed in
// dir/splits/SPLIT.txt, one name without extension a line; if empty, all are taken.
func FolderAccuracy(engine trt.Engine, dir, split string) (trt.Accuracy, error) {
	accuracy, err := folderAccuracy(engine, dir, split)
	if err != nil {
		return trt.Accuracy{}, fmt.Errorf("measure accuracy: %w", err)
	}
	return accuracy, nil
}

func folderAccuracy(engine trt.Engine, dir, split string) (trt.Accuracy, error) {
	folder, list := filepath.Join(dir, "images"), ""
	if split != "" {
		list = filepath.Join(dir, "splits", split+".txt")
	}
	files, err := chosen(folder, list)
	if err != nil {
		return trt.Accuracy{}, err
	}
	masks, err := os.MkdirTemp("", "robustnet-masks-")
	if err != nil {
		return trt.Accuracy{}, err
	}
	defer os.RemoveAll(masks)
	for name, file := range files {
		if err := saveMask(engine, filepath.Join(folder, file), filepath.Join(masks, name+".png")); err != nil {
			return trt.Accuracy{}, err
		}
	}
	card := engine.Card()
	matrix := confusion.New(len(card.Classes), card.Ignore)
	if _, err := evaluate.Folder(matrix, filepath.Join(dir, "labels"), masks, list); err != nil {
		return trt.Accuracy{}, err
	}
	return accuracyOf(matrix, dir)
}

// Scenes measures a model that has the classes of package scene, in their order, on
// held-out procedural streets of the given styles. It returns the accuracy on each under
// its name on cards, such as "scene/day", and the statistics of the model's style over all.
func Scenes(engine trt.Engine, styles []scene.Style) (map[string]trt.Accuracy, trt.CardStyle, error) {
	var statistics evaluate.StyleStatistics
	accuracies := map[string]trt.Accuracy{}
	for _, style := range styles {
		name := "scene/" + style.String()
		matrix, err := evaluate.Scenes(engine, evaluate.DefaultStreets(style), func(r trt.Result) { statistics.Add(r.Style) })
		if err != nil {
			return nil, trt.CardStyle{}, err
		}
		if accuracies[name], err = accuracyOf(matrix, name); err != nil {
			return nil, trt.CardStyle{}, err
		}
	}
	style := engine.Card().Style
	return accuracies, statistics.Card(style.Layers, style.Order), nil
}

// pictures lists the pictures of a folder, in the order of their names.
func pictures(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if slices.Contains(pictureTypes, strings.ToLower(filepath.Ext(e.Name()))) {
			files = append(files, e.Name())
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no pictures (%s)", folder, strings.Join(pictureTypes, " "))
	}
	return files, nil
}

// chosen returns the pictures' files by their names: those of the list, or all of the
// folder without one.
func chosen(folder, list string) (map[string]string, error) {
	files := map[string]string{}
	if list == "" {
		all, err := pictures(folder)
		for _, file := range all {
			files[strings.TrimSuffix(file, filepath.Ext(file))] = file
		}
		return files, err
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		name := strings.TrimSpace(line)
		if name == "" {
			continue
		}
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("list %s: the name %q leads out of the folder", list, name)
		}
		if files[name], err = find(folder, name); err != nil {
			return nil, fmt.Errorf("list %s: %w", list, err)
		}
	}
	return files, nil
}

// find returns the file of a picture's name.
func find(folder, name string) (string, error) {
	for _, ext := range pictureTypes {
		if _, err := os.Stat(filepath.Join(folder, name+ext)); err == nil {
			return name + ext, nil
		}
	}
	return "", fmt.Errorf("picture %s is not in %s as %s: %w", name, folder, strings.Join(pictureTypes, ", "), fs.ErrNotExist)
}

// runFile runs the model on a picture.
func runFile(engine trt.Engine, path string) (trt.Result, error) {
	m := gocv.IMRead(path, gocv.IMReadColor)
	defer m.Close()
	if m.Empty() {
		return trt.Result{}, fmt.Errorf("picture %s cannot be decoded; delete or replace it", path)
	}
	result, err := engine.Run(&camera.Frame{Pix: m.ToBytes(), Width: m.Cols(), Height: m.Rows()})
	if err != nil {
		return trt.Result{}, fmt.Errorf("picture %s: %w", path, err)
	}
	return result, nil
}

// saveMask writes the mask of a picture as PNG, whose grey values are class ids.
func saveMask(engine trt.Engine, path, to string) error {
	result, err := runFile(engine, path)
	if err != nil {
		return err
	}
	d := engine.Describe()
	mask := &image.Gray{Pix: result.Mask, Stride: d.MaskWidth, Rect: image.Rect(0, 0, d.MaskWidth, d.MaskHeight)}
	var file bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	return errors.Join(encoder.Encode(&file, mask), os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, file.Bytes(), 0o600))
}

// accuracyOf turns counts into what cards hold.
func accuracyOf(m *confusion.Matrix, where string) (trt.Accuracy, error) {
	if m.Pixels() == 0 {
		return trt.Accuracy{}, fmt.Errorf("%s: every label is ignored", where)
	}
	a := trt.Accuracy{MIoU: points(m.MeanIoU())}
	for _, iou := range m.IoU() {
		a.PerClass = append(a.PerClass, points(iou))
	}
	return a, nil
}

// points turns a ratio into hundredths with two decimals. A class that does not occur has
// none: it counts as 0, because JSON holds no NaN.
func points(ratio float64) float64 {
	if math.IsNaN(ratio) {
		return 0
	}
	return math.Round(ratio*10000) / 100
}
