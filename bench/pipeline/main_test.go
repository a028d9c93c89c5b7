package main

import (
	"context"
	"errors"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/telemetry/telemetrytest"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// TestValid marks times during which a throttle counter moved.
func TestValid(t *testing.T) {
	failed := errors.New("no clip")
	for name, c := range map[string]struct {
		counter string // of the supply's alarms afterwards
		err     error
		missed  bool
	}{
		"steady": {counter: "27\n"}, "an alarm": {counter: "28\n", missed: true}, "a failure": {counter: "28\n", err: failed},
	} {
		root := telemetrytest.Tree(t, telemetrytest.OrinJetPack6)
		var b bench
		err := b.valid(telemetry.Open(root), func(context.Context, *ort.Engine) error {
			telemetrytest.Write(t, root, "sys/class/hwmon/hwmon3/oc3_event_cnt", c.counter)
			return c.err
		})(t.Context(), nil)
		if !errors.Is(err, c.err) || b.missed != c.missed {
			t.Errorf("%s: missed %t, %v; want %t, %v", name, b.missed, err, c.missed, c.err)
		}
	}
}
