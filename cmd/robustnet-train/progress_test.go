package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestProgress(t *testing.T) {
	var screen bytes.Buffer
	p := &progress{to: &screen, terminal: true}
	for done := 1; done < 4; done++ {
		p.show("reading", done, 4)
	}
	if !strings.Contains(screen.String(), "reading") || !strings.Contains(screen.String(), "/4") {
		t.Errorf("the terminal shows %q", &screen)
	}
	p.show("reading", 4, 4)
	if last := screen.String()[strings.LastIndexByte(screen.String(), '\r')+1:]; strings.TrimSpace(last) != "" {
		t.Errorf("%q is left when all is done", last)
	}
	screen.Reset()
	p.show("adapting", 1, 9)
	p.show("evaluating", 1, 2)
	p.clear()
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
	newProgress(&buffer).show("reading", 1, 2)
	newProgress(w).show("reading", 1, 2)
	w.Close()
	if n, _ := buffer.ReadFrom(r); n > 0 {
		t.Errorf("written: %q", &buffer)
	}
}
