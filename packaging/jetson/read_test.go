package jetson

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// instruction is one of a Dockerfile, its lines joined.
type instruction struct {
	line    int
	keyword string
	flags   []string // such as --from=go
	text    string   // what follows the flags
}

// flag returns the value of --name=value.
func (i instruction) flag(name string) string {
	for _, f := range i.flags {
		if value, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			return value
		}
	}
	return ""
}

// stage is a part of a Dockerfile that begins with FROM.
type stage struct {
	name, base   string
	instructions []instruction // without FROM
}

// last returns the last instruction with a keyword, and whether there is one.
func (s stage) last(keyword string) (instruction, bool) {
	for _, i := range slices.Backward(s.instructions) {
		if i.keyword == keyword {
			return i, true
		}
	}
	return instruction{}, false
}

// of are the instructions with a keyword.
func (s stage) of(keyword string) []instruction {
	return slices.DeleteFunc(slices.Clone(s.instructions), func(i instruction) bool { return i.keyword != keyword })
}

// readInstructions reads what this Dockerfile uses of the format, and refuses the rest: here
// documents, and directives for the parser.
func readInstructions(text string) ([]instruction, error) {
	var all []instruction
	var open strings.Builder // of an instruction that goes on
	begun := 0
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			if strings.HasPrefix(line, "# escape=") || strings.HasPrefix(line, "# syntax=") {
				return nil, fmt.Errorf("line %d: directives are not read here", n+1)
			}
			continue // also between the lines of an instruction
		}
		if open.Len() == 0 {
			begun = n + 1
		}
		part, more := strings.CutSuffix(line, `\`)
		open.WriteString(part)
		if more {
			open.WriteByte(' ')
			continue
		}
		i := instruction{line: begun}
		i.keyword, i.text, _ = strings.Cut(open.String(), " ")
		i.keyword, i.text = strings.ToUpper(i.keyword), strings.TrimSpace(i.text)
		for strings.HasPrefix(i.text, "--") {
			flag, rest, _ := strings.Cut(i.text, " ")
			i.flags, i.text = append(i.flags, flag), strings.TrimSpace(rest)
		}
		if strings.Contains(i.text, "<<") {
			return nil, fmt.Errorf("line %d: here documents are not read here", begun)
		}
		all = append(all, i)
		open.Reset()
	}
	if open.Len() > 0 {
		return nil, fmt.Errorf("line %d: the instruction does not end", begun)
	}
	return all, nil
}

// readStages groups instructions into stages.
func readStages(text string) ([]stage, error) {
	instructions, err := readInstructions(text)
	if err != nil {
		return nil, err
	}
	var stages []stage
	for _, i := range instructions {
		if i.keyword == "FROM" {
			words := strings.Fields(i.text)
			if len(words) != 3 || !strings.EqualFold(words[1], "AS") {
				return nil, fmt.Errorf("line %d: want FROM image AS name", i.line)
			}
			stages = append(stages, stage{name: words[2], base: words[0]})
			continue
		}
		if len(stages) == 0 {
			return nil, fmt.Errorf("line %d: %s before the first FROM", i.line, i.keyword)
		}
		s := &stages[len(stages)-1]
		s.instructions = append(s.instructions, i)
	}
	if len(stages) == 0 {
		return nil, errors.New("there is no FROM")
	}
	return stages, nil
}

// target returns the stages from which one is made, itself the last.
func target(stages []stage, name string) []stage {
	needed := map[string]bool{name: true}
	for _, s := range slices.Backward(stages) { // a stage uses earlier ones only
		if !needed[s.name] {
			continue
		}
		needed[s.base] = true
		for _, copied := range s.of("COPY") {
			needed[copied.flag("from")] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(stages), func(s stage) bool { return !needed[s.name] })
}

// commands cuts what a RUN does into commands, each into words without their quotes.
func commands(run instruction) [][]string {
	var all [][]string
	cut := func(r rune) bool { return r == '&' || r == ';' || r == '|' }
	for part := range strings.FieldsFuncSeq(run.text, cut) {
		words := strings.Fields(part)
		for n, word := range words {
			words[n] = strings.Trim(word, `"'`)
		}
		if len(words) > 0 {
			all = append(all, words)
		}
	}
	return all
}
