package data

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/robustnet-edge/robustnet/train/labels"
)

// layout is how a data set's files lie in its folder.
type layout struct {
	name    string
	classes func() labels.Set
	decode  decoder
	table   *idTable // nil where decode returns class ids
	// splits are folders of the splits by what they are called here; the first is that of
	// training, which is taken where none is named.
	splits []splitFolder
	// forms are tried in turn; the first whose folders exist is taken.
	forms []form
	// sizesDiffer says that the data set is known to have pairs of different sizes, which are
	// skipped.
	sizesDiffer bool
}

type splitFolder struct{ name, folder string }

// form is one arrangement. SPLIT in a folder stands for that of the split; a form without it
// has lists of names, splits/NAME.txt.
type form struct {
	images, labels string
	imageEnds      []string
	labelEnds      []string
	// notLabel is the end of files that look like labels but are none.
	notLabel string
	// labelsNamed says that the user has named the folder of labels, so that it must be there.
	labelsNamed bool
}

const splitMark = "SPLIT"

var (
	anyPicture = []string{".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"}
	anyLabel   = []string{".png"}

	trainValTest = []splitFolder{{"train", "train"}, {"val", "val"}, {"test", "test"}}
)

// listed is the form that every folder may have.
func listed(labelFolder string, labelEnds ...string) form {
	return form{images: "images", labels: labelFolder, imageEnds: anyPicture, labelEnds: append(labelEnds, ".png")}
}

func layouts() []layout {
	return []layout{
		{
			name: "cityscapes", classes: labels.Cityscapes, decode: greyIDs, table: cityscapesIDs(), splits: trainValTest,
			forms: []form{
				{images: "leftImg8bit/SPLIT", labels: "gtFine/SPLIT", imageEnds: []string{"_leftImg8bit.png"}, labelEnds: []string{"_gtFine_labelIds.png"}},
				{images: "leftImg8bit_trainvaltest/leftImg8bit/SPLIT", labels: "gtFine_trainvaltest/gtFine/SPLIT",
					imageEnds: []string{"_leftImg8bit.png"}, labelEnds: []string{"_gtFine_labelIds.png"}},
			},
		},
		{
			name: "gtav", classes: labels.Cityscapes, decode: byColor(labels.Cityscapes()), sizesDiffer: true,
			splits: []splitFolder{{"train", "train"}, {"val", "valid"}, {"test", "test"}},
			forms: []form{
				{images: "images/SPLIT", labels: "labels/SPLIT", imageEnds: anyPicture, labelEnds: anyLabel},
				listed("labels"),
			},
		},
		{
			name: "bdd100k", classes: labels.Cityscapes, decode: greyIDs, table: trainIDs(), splits: trainValTest,
			forms: []form{
				{images: "images/10k/SPLIT", labels: "labels/sem_seg/masks/SPLIT", imageEnds: []string{".jpg"}, labelEnds: anyLabel},
				{images: "images/SPLIT", labels: "labels/SPLIT", imageEnds: []string{".jpg"}, labelEnds: []string{"_train_id.png"}},
				{images: "seg/images/SPLIT", labels: "seg/labels/SPLIT", imageEnds: []string{".jpg"}, labelEnds: []string{"_train_id.png"}},
				listed("labels_trainId", "_train_id.png"),
			},
		},
		{
			name: "mapillary", classes: labels.Cityscapes, decode: greyIDs, table: mapillaryIDs(),
			splits: []splitFolder{{"train", "training"}, {"val", "validation"}, {"test", "testing"}},
			forms: []form{
				{images: "SPLIT/images", labels: "SPLIT/v1.2/labels", imageEnds: anyPicture, labelEnds: anyLabel},
				{images: "SPLIT/images", labels: "SPLIT/labels", imageEnds: anyPicture, labelEnds: anyLabel},
				listed("labels"),
			},
		},
		{
			name: "synthia", classes: labels.Cityscapes, decode: redIDs, table: synthiaIDs(), splits: trainValTest,
			forms: []form{
				{images: "RGB/SPLIT", labels: "GT/LABELS/SPLIT", imageEnds: anyPicture, labelEnds: anyLabel},
				{images: "RGB", labels: "GT/LABELS", imageEnds: anyPicture, labelEnds: anyLabel},
			},
		},
		{
			name: "idd", classes: labels.IDDLite, decode: greyIDs, table: places(7, 255), splits: trainValTest,
			forms: []form{
				{images: "leftImg8bit/SPLIT", labels: "gtFine/SPLIT", imageEnds: []string{"_image.jpg", "_image.png"},
					labelEnds: []string{"_label.png"}, notLabel: "_inst_label.png"},
				listed("labels"),
			},
		},
		{
			name: "camvid", classes: labels.CamVid, decode: greyIDs, table: places(11, 11), splits: trainValTest,
			forms: []form{
				{images: "SPLIT", labels: "SPLITannot", imageEnds: anyPicture, labelEnds: anyLabel},
				listed("labels"),
			},
		},
	}
}

// located is a form as found in a folder, split being the one that is taken.
type located struct {
	form
	split string
	// list is the file of the split's names; empty where all pictures are taken.
	list string
	// noLabels says where labels were looked for in vain; nil where there are some.
	noLabels error
}

// errNamedLabels marks folders of labels that the user has named and that are not there.
var errNamedLabels = errors.New("there is no such folder of labels; correct the description")

// locate finds the form that dir has for a split. If no form's label folder is there, the first
// with pictures is taken.
func (l *layout) locate(dir, split string) (located, error) {
	var tried, unlabelled []string
	var bare *located
	for _, f := range l.forms {
		at := l.of(f, dir, split)
		tried = append(tried, at.images)
		if !isDir(filepath.Join(dir, at.images)) {
			continue
		}
		if isDir(filepath.Join(dir, at.labels)) {
			return at, nil
		}
		unlabelled = append(unlabelled, at.labels)
		if bare == nil {
			bare = &at
		}
	}
	if bare == nil {
		return located{}, fault(dir, "no pictures of layout %s are there; looked for the folders %s", l.name, strings.Join(tried, ", "))
	}
	bare.withoutLabels(dir, unlabelled)
	return *bare, nil
}

// withoutLabels leaves out the labels, which were looked for in the given folders.
func (at *located) withoutLabels(dir string, tried []string) {
	at.noLabels = fault(dir, "there is no folder of labels; looked for %s", strings.Join(tried, ", "))
	if at.labelsNamed {
		at.noLabels = &FileError{filepath.Join(dir, at.labels), errNamedLabels}
	}
	at.labels = ""
}

// of is the form for a split: the given one or, in forms with a folder for each split, that
// of training.
func (l *layout) of(f form, dir, split string) located {
	at := located{form: f, split: split}
	if strings.Contains(f.images, splitMark) {
		if split == "" {
			at.split = l.splits[0].name
		}
		folder := at.split
		for _, s := range l.splits {
			if s.name == at.split {
				folder = s.folder
			}
		}
		at.images = strings.ReplaceAll(f.images, splitMark, folder)
		at.labels = strings.ReplaceAll(f.labels, splitMark, folder)
	} else if split != "" {
		at.list = filepath.Join(dir, "splits", split+".txt")
	}
	return at
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
