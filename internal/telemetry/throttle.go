package telemetry

import (
	"fmt"
	"slices"
	"strings"
)

// Cause is why clocks were held back. Its text is fit for a label of a metric.
type Cause string

// The causes. The first three have counters: oc1, oc2 and oc3 of the driver soctherm_oc.
const (
	UnderVoltage             Cause = "under_voltage"
	AverageOverCurrent       Cause = "average_over_current"
	InstantaneousOverCurrent Cause = "instantaneous_over_current"
	Heat                     Cause = "heat"
)

// causeOf says what a counter of soctherm_oc counts. One that is not known is its own cause.
func causeOf(counter string) Cause {
	switch counter {
	case "oc1":
		return UnderVoltage
	case "oc2":
		return AverageOverCurrent
	case "oc3":
		return InstantaneousOverCurrent
	}
	return Cause(counter)
}

// Text is the cause for people.
func (c Cause) Text() string {
	switch c {
	case UnderVoltage:
		return "under-voltage"
	case AverageOverCurrent:
		return "average over-current"
	case InstantaneousOverCurrent:
		return "instantaneous over-current"
	}
	return string(c)
}

// Throttle says that, and why, clocks were held back.
type Throttle struct {
	Cause Cause `json:"cause"`
	// Sources are the counter that moved, or the cooling devices that acted.
	Sources []string `json:"sources"`
	// Events is by how much the counter moved; 0 for heat, which is not counted.
	Events uint64 `json:"events,omitempty"`
}

// String is a line for people, such as "under-voltage (oc1, 3 events)".
func (t Throttle) String() string {
	const most = 4 // a server has a cooling device for each of its cores
	sources := t.Sources
	if len(sources) > most {
		sources = append(slices.Clone(sources[:most-1]), fmt.Sprintf("%d more", len(sources)-most+1))
	}
	text := t.Cause.Text() + " (" + strings.Join(sources, ", ")
	switch {
	case t.Events == 1:
		text += ", 1 event"
	case t.Events > 1:
		text += fmt.Sprintf(", %d events", t.Events)
	}
	return text + ")"
}

// Throttled tells what held clocks back between two readings of the same sensors: a counter that
// moved, or a cooling device that was limiting clocks at one of the two times. Heat between them
// that was gone at both is not seen. A counter that is missing from one of the readings says
// nothing.
func Throttled(before, after Reading) []Throttle {
	var all []Throttle
	for _, c := range after.Counters {
		at := slices.IndexFunc(before.Counters, func(b Counter) bool { return b.Name == c.Name })
		if at < 0 || before.Counters[at].Events == c.Events {
			continue
		}
		moved := c.Events - before.Counters[at].Events
		if c.Events < before.Counters[at].Events {
			moved = c.Events // it began anew
		}
		all = append(all, Throttle{Cause: c.Cause, Sources: []string{c.Name}, Events: moved})
	}
	var hot []string
	for _, c := range slices.Concat(before.Cooling, after.Cooling) {
		if c.LimitsClocks && c.State > 0 && !slices.Contains(hot, c.Name) {
			hot = append(hot, c.Name)
		}
	}
	if len(hot) > 0 {
		all = append(all, Throttle{Cause: Heat, Sources: hot})
	}
	return all
}

// Causes are those of some throttles for people, such as "under-voltage, heat"; empty of none.
func Causes(throttles []Throttle) string {
	var texts []string
	for _, t := range throttles {
		if text := t.Cause.Text(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, ", ")
}

// Merge returns what two lists of [Throttled] say together.
func Merge(a, b []Throttle) []Throttle {
	var all []Throttle
	for _, t := range slices.Concat(a, b) {
		at := slices.IndexFunc(all, func(seen Throttle) bool {
			return seen.Cause == t.Cause && (t.Cause == Heat || slices.Equal(seen.Sources, t.Sources))
		})
		if at < 0 {
			t.Sources = slices.Clone(t.Sources)
			all = append(all, t)
			continue
		}
		all[at].Events += t.Events
		for _, s := range t.Sources {
			if !slices.Contains(all[at].Sources, s) {
				all[at].Sources = append(all[at].Sources, s)
			}
		}
	}
	return all
}
