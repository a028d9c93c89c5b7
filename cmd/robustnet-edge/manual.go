package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/internal/cli"
)

func newManual() *cobra.Command {
	items, flags := settingItems()
	return cli.NewManual(cli.Manual{
		Exits:     exitHelp,
		Elsewhere: flags,
		Sections: []cli.ManualSection{
			{
				Title: "settings",
				Text: `Each is a key of the file, below its section, a variable and a flag.
--config or ROBUSTNET_CONFIG names the file.`,
				Items: items,
			},
			{
				Title: "signals",
				Items: []cli.ManualItem{
					{Term: "SIGHUP", Text: "Read the configuration again. One with a mistake is refused, and the one before stays in use."},
					{Term: "SIGINT, SIGTERM", Text: "Complete the outputs and end. A second one ends the program at once."},
				},
			},
			{
				Title: "files",
				Text:  "Of the Debian package:",
				Items: []cli.ManualItem{
					{Term: "/etc/robustnet/edge.yaml", Text: "Settings of the service robustnet-edge."},
					{Term: "/etc/robustnet/cameras/NAME", Text: "Starts robustnet-edge@NODE for a camera of this name, with the variables in the file."},
					{Term: "/etc/robustnet/camera-NODE.env", Text: "Variables for robustnet-edge@NODE."},
					{Term: "/dev/robustnet/by-serial, /dev/robustnet/by-path", Text: "Names of cameras that stay."},
					{Term: "/var/lib/robustnet", Text: "Where the services start, and the one folder in which they may write what is to stay."},
					{Term: "/usr/share/doc/robustnet-edge/install.md", Text: "How to install, watch and mend it."},
				},
			},
			{Title: "see also", Text: "robustnet-quantize(1), systemctl(1), journalctl(1)"},
		},
	})
}

// settingItems describes all settings, section by section, and lists their flags.
func settingItems() (items []cli.ManualItem, flags []string) {
	last := ""
	for _, s := range config.Describe() {
		section, _, _ := strings.Cut(s.Key, ".")
		item := cli.ManualItem{
			Term: strings.TrimSpace(fmt.Sprintf("%s, %s, --%s %s", s.Key, s.Variable, s.Flag, s.Kind)),
			Text: fmt.Sprintf("%s%s: %s. Default: %s.", strings.ToUpper(s.Help[:1]), s.Help[1:], s.Allowed, s.Default),
		}
		if section != last {
			item.Heading, last = "Section "+section, section
		}
		items = append(items, item)
		flags = append(flags, s.Flag)
	}
	return items, flags
}
