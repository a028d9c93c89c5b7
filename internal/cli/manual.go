package cli

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Manual is what a program's page of man(1) has beside the help of its commands.
type Manual struct {
	// Exits are lines with a code and its meaning each, as in the program's help.
	Exits string
	// Elsewhere are the flags that the sections describe.
	Elsewhere []string
	// Sections follow them.
	Sections []ManualSection
}

// ManualSection is a part of a page.
type ManualSection struct {
	Title string
	Text  string // paragraphs, as of a command's help
	Items []ManualItem
}

// ManualItem is a term and what it means, or, with a heading, the first one below it.
type ManualItem struct{ Heading, Term, Text string }

// NewManual returns the command that prints the page, for packages. It is not in the help.
func NewManual(m Manual) *cobra.Command {
	return &cobra.Command{
		Use:    "manual",
		Short:  "Print the page for man",
		Long:   "Manual prints the program's page for man(1).",
		Hidden: true,
		Args:   Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), m.page(cmd.Root()))
			return err
		},
	}
}

func (m Manual) page(program *cobra.Command) string {
	p := &roff{}
	version, _, _ := strings.Cut(program.Version, " ")
	p.macro("TH", strings.ToUpper(program.Name()), "1", changed(), program.Name()+" "+version, "User Commands")
	p.macro("SH", "NAME")
	p.text(program.Name() + " - " + strings.ToLower(program.Short[:1]) + program.Short[1:])
	var commands []*cobra.Command
	for _, c := range program.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" && c.Name() != "completion" {
			commands = append(commands, c)
		}
	}

	p.macro("SH", "SYNOPSIS")
	p.macro("B", program.UseLine())
	for _, c := range commands {
		p.macro("br")
		p.macro("B", c.UseLine())
	}
	p.macro("SH", "DESCRIPTION")
	p.paragraphs(program.Long)
	if list := m.flags(program); len(list) > 0 {
		p.macro("SH", "OPTIONS")
		p.flags(list)
	}
	p.macro("SH", "COMMANDS")
	for _, c := range commands {
		p.macro("SS", c.UseLine())
		p.paragraphs(cmp.Or(c.Long, c.Short+"."))
		if c.Example != "" {
			p.macro("PP")
			p.example(c.Example)
		}
		p.flags(m.flags(c))
	}
	if m.Exits != "" {
		p.macro("SH", "EXIT STATUS")
		for line := range strings.Lines(m.Exits) {
			if code, meaning, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
				p.item(code, strings.TrimSpace(meaning))
			}
		}
	}
	for _, s := range m.Sections {
		p.macro("SH", strings.ToUpper(s.Title))
		p.paragraphs(s.Text)
		for _, item := range s.Items {
			if item.Heading != "" {
				p.macro("SS", item.Heading)
			}
			p.item(item.Term, item.Text)
		}
	}
	if program.Example != "" {
		p.macro("SH", "EXAMPLES")
		p.example(program.Example)
	}
	return p.String()
}

// flags returns those of a command that are to be listed with it.
func (m Manual) flags(c *cobra.Command) (list []*pflag.Flag) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" && !slices.Contains(m.Elsewhere, f.Name) {
			list = append(list, f)
		}
	})
	return list
}

// changed returns the day of the commit that a program was built from, or nothing.
func changed() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				day, _, _ := strings.Cut(s.Value, "T")
				return day
			}
		}
	}
	return ""
}

// roff writes the language of manual pages.
type roff struct{ strings.Builder }

var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

func (p *roff) macro(name string, arguments ...string) {
	p.WriteString("." + name)
	for _, a := range arguments {
		fmt.Fprintf(p, ` "%s"`, strings.ReplaceAll(roffEscapes.Replace(a), `"`, `\(dq`))
	}
	p.WriteString("\n")
}

func (p *roff) text(line string) {
	line = roffEscapes.Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	p.WriteString(line + "\n")
}

func (p *roff) item(term, text string) {
	p.macro("TP")
	p.macro("B", term)
	p.text(text)
}

// paragraphs writes the text of a command's help; those that are indented keep their lines.
func (p *roff) paragraphs(text string) {
	first := true
	for paragraph := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		if paragraph != "" && !first {
			p.macro("PP")
		}
		if strings.HasPrefix(paragraph, " ") {
			p.example(paragraph)
		} else {
			for line := range strings.Lines(paragraph) {
				p.text(strings.TrimSpace(line))
			}
		}
		first = false
	}
}

// example writes lines as they are.
func (p *roff) example(lines string) {
	if lines == "" {
		return
	}
	p.macro("RS")
	p.macro("nf")
	for line := range strings.Lines(lines) {
		p.text(strings.TrimSpace(line))
	}
	p.macro("fi")
	p.macro("RE")
}

func (p *roff) flags(list []*pflag.Flag) {
	for _, f := range list {
		kind, usage := pflag.UnquoteUsage(f)
		name := strings.TrimSpace("--" + f.Name + " " + kind)
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		switch f.DefValue {
		case "", "0", "false", "[]", "0s":
		default:
			usage += " (default " + f.DefValue + ")"
		}
		p.item(name, usage)
	}
}
