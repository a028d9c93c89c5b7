package published

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// command is what the training command in a checkpoint tells about the network. Fields are
// zero where it tells nothing.
type command struct {
	arch         string // as written
	trunk        nn.Trunk
	outputStride int
	placement    *nn.Placement
	whitening    whiten.Settings // valid with placement
}

// The options of the published training program, and what they are when not given.
const (
	optionArch       = "--arch"
	optionPlacement  = "--wt_layer"
	optionLambda     = "--wt_reg_weight"
	optionRelaxDenom = "--relax_denom"
	optionClusters   = "--clusters"
)

var optionDefaults = map[string]string{optionLambda: "0", optionRelaxDenom: "2", optionClusters: "50"}

// archPattern matches the program's names of networks, such as
// network.deepv3.DeepR50V3PlusD_OS8.
var archPattern = regexp.MustCompile(`(?:^|\.)Deep(\w+)V3PlusD(?:_OS(\d+))?$`)

var archTrunks = map[string]nn.Trunk{
	"R50": nn.ResNet50, "R101": nn.ResNet101, "MobileNet": nn.MobileNetV2, "ShuffleNet": nn.ShuffleNetV2,
}

// parseCommand reads the arguments of the published training program. Text of other programs
// tells nothing.
func parseCommand(text string) (command, error) {
	given := options(text)
	c := command{arch: strings.Join(given[optionArch], " ")}
	if m := archPattern.FindStringSubmatch(c.arch); m != nil && archTrunks[m[1]] != "" {
		c.trunk, c.outputStride = archTrunks[m[1]], 16
		if m[2] != "" {
			c.outputStride, _ = strconv.Atoi(m[2]) // beyond int: refused as an output stride later
		}
		// The program's default; programs without the option have no norms either.
		c.placement = new(nn.Placement)
	}
	if numbers, ok := given[optionPlacement]; ok {
		p, err := nn.ParsePlacement(strings.Join(numbers, " "))
		if err != nil {
			return c, fmt.Errorf("training command in the file: %s: %w", optionPlacement, err)
		}
		c.placement = &p
	}
	if c.placement == nil {
		return c, nil
	}
	clusters := 0.0
	for option, to := range map[string]*float64{optionLambda: &c.whitening.Lambda, optionRelaxDenom: &c.whitening.RelaxDenom, optionClusters: &clusters} {
		value := optionDefaults[option]
		if words, ok := given[option]; ok {
			value = strings.Join(words, " ")
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || v < 0 || math.IsNaN(v) || v > 1e6 {
			return c, fmt.Errorf("training command in the file: %s has the value %q, not a number from 0 to 1000000", option, value)
		}
		*to = v
	}
	c.whitening.Clusters = int(clusters)
	return c, nil
}

// options returns the words that follow the known options. As in Python's argparse, an
// option may be written --name=word or cut short; the last of several counts.
func options(text string) map[string][]string {
	given := map[string][]string{}
	current := ""
	for _, word := range strings.Fields(text) {
		if !strings.HasPrefix(word, "--") {
			if current != "" {
				given[current] = append(given[current], word)
			}
			continue
		}
		name, value, hasValue := strings.Cut(word, "=")
		if current = knownOption(name); current == "" {
			continue
		}
		given[current] = nil
		if hasValue {
			given[current] = []string{value}
		}
	}
	return given
}

// knownOption completes an option. Six characters tell the known ones from all others of the
// program.
func knownOption(name string) string {
	for _, known := range []string{optionArch, optionPlacement, optionLambda, optionRelaxDenom, optionClusters} {
		if len(name) >= 6 && strings.HasPrefix(known, name) {
			return known
		}
	}
	return ""
}
