package stream

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

func TestSplitAnnexB(t *testing.T) {
	for _, test := range []struct {
		name   string
		stream []byte
		want   [][]byte
	}{
		{"nothing", nil, nil},
		{"no start code", []byte{1, 2, 3, 0, 0}, nil},
		{"start code only", []byte{0, 0, 0, 1}, nil},
		{"long and short start codes", []byte{0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2}, [][]byte{{0x67, 1}, {0x68, 2}}},
		{"padding", []byte{0, 0, 1, 0x67, 1, 0, 0, 0, 0, 0, 1, 0x68, 0, 0}, [][]byte{{0x67, 1}, {0x68}}},
		{"empty units", []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0x65}, [][]byte{{0x65}}},
		{"leading bytes", []byte{9, 9, 0, 0, 1, 0x65}, [][]byte{{0x65}}},
		{"emulation prevention", []byte{0, 0, 1, 0x65, 0, 0, 3, 1}, [][]byte{{0x65, 0, 0, 3, 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := splitAnnexB(nil, test.stream); !reflect.DeepEqual(got, test.want) {
				t.Errorf("splitAnnexB(%v) = %v, want %v", test.stream, got, test.want)
			}
		})
	}
}

func TestWithoutDelimiter(t *testing.T) {
	for _, test := range []struct {
		name         string
		stream, want []byte
	}{
		{"nothing", nil, nil},
		{"no start code", []byte{9, 9}, []byte{9, 9}},
		{"start code only", []byte{0, 0, 1}, []byte{0, 0, 1}},
		{"none", []byte{0, 0, 1, 0x65, 1}, []byte{0, 0, 1, 0x65, 1}},
		{"first", []byte{0, 0, 0, 1, 9, 0x10, 0, 0, 0, 1, 0x67, 1}, []byte{0, 0, 0, 1, 0x67, 1}},
		{"short start codes", []byte{0, 0, 1, 9, 0xf0, 0, 0, 1, 0x67, 1}, []byte{0, 0, 1, 0x67, 1}},
		{"empty", []byte{0, 0, 1, 9, 0, 0, 1, 0x67}, []byte{0, 0, 1, 0x67}},
		{"alone", []byte{0, 0, 1, 9, 0x10}, nil},
		{"later", []byte{0, 0, 1, 0x65, 0, 0, 1, 9, 0x10}, []byte{0, 0, 1, 0x65, 0, 0, 1, 9, 0x10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := withoutDelimiter(test.stream); !bytes.Equal(got, test.want) {
				t.Errorf("withoutDelimiter(%v) = %v, want %v", test.stream, got, test.want)
			}
		})
	}
}

func FuzzSplitAnnexB(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2})
	f.Add([]byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0x65, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		nalus := splitAnnexB(nil, stream)
		if rest := splitAnnexB(nil, withoutDelimiter(stream)); len(rest) != len(nalus) && len(rest) != len(nalus)-1 {
			t.Errorf("without its delimiter %v holds %d NAL units of %d", stream, len(rest), len(nalus))
		}
		for _, nalu := range nalus {
			if len(nalu) == 0 || nalu[len(nalu)-1] == 0 || bytes.Contains(nalu, startCode) {
				t.Errorf("splitAnnexB(%v) holds %v", stream, nalu)
			}
		}
		if len(nalus) == 0 {
			return
		}
		// An independent writer and reader agree on what was found.
		joined, err := h264.AnnexB(nalus).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var want h264.AnnexB
		if err := want.Unmarshal(joined); err != nil {
			t.Skip(err) // more than the library takes
		}
		if got := splitAnnexB(nil, joined); !reflect.DeepEqual(got, [][]byte(want)) {
			t.Errorf("splitAnnexB(%v) = %v, want %v", joined, got, want)
		}
	})
}
