package terminal

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestProgress(t *testing.T) {
	var screen bytes.Buffer
	p := &Progress{to: &screen, Terminal: true}
	for done := 1; done < 4; done++ {
		p.Show("reading", done, 4)
	}
	if !strings.Contains(screen.String(), "reading") || !strings.Contains(screen.String(), "/4") {
		t.Errorf("the terminal shows %q", &screen)
	}
	p.Show("reading", 4, 4)
	if last := screen.String()[strings.LastIndexByte(screen.String(), '\r')+1:]; strings.TrimSpace(last) != "" {
		t.Errorf("%q is left when all is done", last)
	}
	screen.Reset()
	p.Show("adapting", 1, 9)
	p.Show("evaluating", 1, 2)
	p.Clear()
	if text := screen.String(); !strings.Contains(text, "evaluating") || strings.TrimSpace(text[strings.LastIndexByte(text, '\r')+1:]) != "" {
		t.Errorf("after a stage that was left: %q", text)
	}
}

// TestNoTerminal wants nothing in files and pipes.
func TestNoTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var buffer bytes.Buffer
	NewProgress(&buffer).Show("reading", 1, 2)
	NewProgress(w).Show("reading", 1, 2)
	w.Close()
	if n, _ := buffer.ReadFrom(r); n > 0 {
		t.Errorf("written: %q", &buffer)
	}
}
