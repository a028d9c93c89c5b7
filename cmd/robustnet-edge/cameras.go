package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/v4l2"
	"github.com/robustnet-edge/robustnet/edge/doctor"
	"github.com/robustnet-edge/robustnet/internal/cli"
)

// newCameras makes the command that lists the cameras of the machine.
func newCameras() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "cameras",
		Short: "List the cameras of this machine, with addresses to paste",
		Long: `Cameras lists the V4L2 cameras of this machine, whether they can be opened, and the modes
that can be read, each with the address that names it for --camera. A camera that another
program uses is not disturbed. Nodes without pictures are left out.

An address by serial number or port stays the same when the nodes are numbered anew;
give it size, format and fps as well, if you like: v4l2:?port=1-2.1&size=1280x720&fps=30`,
		Example: `  robustnet-edge cameras
  robustnet-edge --camera '/dev/video0?format=MJPEG&size=1280x720&fps=30'`,
		Args: cli.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := v4l2.Cameras()
			if err != nil {
				return err
			}
			if asJSON {
				return printCamerasJSON(cmd.OutOrStdout(), all)
			}
			return printCameras(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// listedMode is a mode with the address that chooses it.
type listedMode struct {
	v4l2.Mode
	Camera string `json:"camera"`
}

func printCamerasJSON(out io.Writer, all []v4l2.Camera) error {
	type listedCamera struct {
		v4l2.Camera
		Modes []listedMode `json:"modes"` // in the place of the camera's own
	}
	list := make([]listedCamera, len(all))
	for i, c := range all {
		list[i] = listedCamera{Camera: c, Modes: make([]listedMode, len(c.Modes))}
		for j, m := range c.Modes {
			list[i].Modes[j] = listedMode{Mode: m, Camera: c.Address(m)}
		}
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(list)
}

func printCameras(out io.Writer, all []v4l2.Camera) error {
	var b strings.Builder
	if len(all) == 0 {
		b.WriteString(noCameras + ".\n")
	}
	for i, c := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(strings.TrimSpace(c.Path+"  "+title(c)) + "\n")
		for _, line := range [][2]string{
			{"serial number", byOption("serial", c.Serial)}, {"port", byOption("port", c.Port)}, {"link", c.ByID},
			{string(c.State), c.Problem}, {"not readable", strings.Join(c.Unreadable, " ")},
		} {
			if line[1] != "" {
				fmt.Fprintf(&b, "  %-13s  %s\n", line[0], line[1])
			}
		}
		printModes(&b, c)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

const noCameras = "no /dev/video* delivers pictures; plug a camera in, or use a network camera, a file or synthetic:"

func title(c v4l2.Camera) string {
	switch {
	case c.Driver == "":
		return c.Card
	case c.Card == "":
		return c.Driver
	}
	return fmt.Sprintf("%s (%s)", c.Card, c.Driver)
}

// byOption is the address that names a camera by an option.
func byOption(name, value string) string {
	if value == "" {
		return ""
	}
	u := camera.URI{Scheme: "v4l2", Params: map[string][]string{name: {value}}}
	return quoted(u.String())
}

// quoted is a word for the shell, which would take ? and & for its own.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// printModes writes a line for each format and size, with an address for the fastest rate.
func printModes(b *strings.Builder, c v4l2.Camera) {
	type kind struct {
		format        string
		width, height int
	}
	var kinds []kind
	modes := map[kind][]v4l2.Mode{}
	for _, m := range c.Modes {
		k := kind{m.Format, m.Width, m.Height}
		if modes[k] == nil {
			kinds = append(kinds, k)
		}
		modes[k] = append(modes[k], m)
	}
	for _, k := range kinds {
		of := slices.SortedFunc(slices.Values(modes[k]), func(a, b v4l2.Mode) int { return int(1000 * (b.FPS - a.FPS)) })
		var rates []string
		for _, m := range of {
			if m.FPS > 0 {
				rates = append(rates, fmt.Sprintf("%.4g", m.FPS))
			}
		}
		fmt.Fprintf(b, "  %-5s  %9s  %-20s  --camera %s\n", k.format, fmt.Sprintf("%dx%d", k.width, k.height), strings.Join(rates, " "), quoted(c.Address(of[0])))
	}
}

// findCameras says what the machine has for cameras.
func findCameras(all []v4l2.Camera, err error) []doctor.Finding {
	if err != nil {
		return []doctor.Finding{{What: "cameras", State: doctor.Note, Text: err.Error()}}
	}
	if len(all) == 0 {
		text, next, _ := strings.Cut(noCameras, "; ")
		return []doctor.Finding{{What: "cameras", State: doctor.Note, Text: text, Next: next}}
	}
	var findings []doctor.Finding
	for _, c := range all {
		f := doctor.Finding{What: c.Path, State: doctor.OK, Text: title(c)}
		if c.State != v4l2.Ready {
			// Another camera may be meant, and this one may be busy with the daemon itself; but
			// a user without permission has none at all.
			if f.State = doctor.Note; c.State == v4l2.Denied {
				f.State = doctor.Missing
			}
			text, next, _ := strings.Cut(c.Problem, "; ")
			f.Text, f.Next = strings.TrimPrefix(f.Text+", "+text, ", "), next
		}
		findings = append(findings, f)
	}
	return findings
}
