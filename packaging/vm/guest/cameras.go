package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

const (
	oneVivid = "vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0"
	twoVivid = "vivid n_devs=2 node_types=0x1,0x1 num_inputs=1,1 input_types=0x0,0x0"
	replugs  = 20
)

// plug connects or disconnects the driver's cameras, as a cable does.
func plug(ctx context.Context, in bool) error {
	action := "unbind"
	if in {
		action = "bind"
	}
	if err := os.WriteFile("/sys/bus/platform/drivers/vivid/"+action, []byte("vivid.0"), 0); err != nil {
		return fmt.Errorf("%s the cameras: %w", action, err)
	}
	return exists(ctx, "/dev/video0", in)
}

// deliver has a camera lose all frames, or none.
func deliver(ctx context.Context, camera int, frames bool) error {
	lost := "100"
	if frames {
		lost = "0"
	}
	return commands(ctx, fmt.Sprintf("v4l2-ctl -d /dev/video%d -c percentage_of_dropped_buffers=%s", camera, lost))
}

// replugged unplugs the camera, waits until its pictures stop, plugs it in, and returns how long
// after the device was back the first picture came.
func replugged(ctx context.Context, p *player) (time.Duration, error) {
	if err := plug(ctx, false); err != nil {
		return 0, err
	}
	if err := p.silent(ctx, 300*time.Millisecond); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := plug(ctx, true); err != nil {
		return 0, err
	}
	binding := time.Since(start)
	took, err := p.after(ctx, start)
	return max(0, took-binding), err
}

// recovered notes a recovery and compares it with its target.
func (b *bench) recovered(took, target time.Duration) error {
	b.recovery = append(b.recovery, took)
	if limit := b.limit(target); took > limit {
		return fmt.Errorf("the picture was back after %.1f s, later than %v", took.Seconds(), limit)
	}
	return nil
}

var plugIn = scenario{
	name: "camera appears", expected: "RTSP plays within 5 s of the plug",
	patience: time.Minute,
	run: func(ctx context.Context, b *bench) error {
		// The camera is there when the machine boots again, too.
		err := errorsOf(os.WriteFile("/etc/modules-load.d/vivid.conf", []byte("vivid\n"), 0o644),
			os.WriteFile("/etc/modprobe.d/vivid.conf", []byte("options "+oneVivid+"\n"), 0o644))
		if err != nil {
			return err
		}
		p := watch(overlayURL)
		defer p.stop()
		start := time.Now()
		if err := commands(ctx, "modprobe "+oneVivid); err != nil {
			return err
		}
		took, err := p.after(ctx, start)
		if err != nil {
			return err
		}
		b.see("first picture %.1f s after the driver was loaded", took.Seconds())
		if err := b.recovered(took, targetFirst); err != nil {
			return err
		}
		links, err := os.ReadDir("/dev/robustnet/by-path")
		if err != nil {
			return fmt.Errorf("the rules of udev made no names: %w", err)
		}
		b.see("/dev/robustnet/by-path/%s", links[0].Name())
		return errorsOf(
			answers(ctx, "/readyz", 200),
			os.Remove(overridesFile),
			configure(ctx, settings(oneCamera, "0.5", "")),
			p.more(ctx, 5))
	},
}

var replug = scenario{
	name: "unplugged, plugged in ×20", expected: "picture back within 3 s each time, daemon not restarted",
	patience: 5 * time.Minute,
	run: func(ctx context.Context, b *bench) error {
		before, err := stateOf(ctx, service)
		if err != nil {
			return err
		}
		p := watch(overlayURL)
		defer p.stop()
		if err := p.more(ctx, 1); err != nil {
			return err
		}
		for i := range replugs {
			took, err := replugged(ctx, p)
			if err != nil {
				return fmt.Errorf("time %d: %w", i+1, err)
			}
			b.recovery = append(b.recovery, took)
		}
		sorted := slices.Sorted(slices.Values(b.recovery))
		b.see("p50 %.2f s, worst %.2f s", sorted[len(sorted)/2].Seconds(), sorted[len(sorted)-1].Seconds())
		b.see("%d connections of the player", p.connections())
		if worst, limit := sorted[len(sorted)-1], b.limit(targetBack); worst > limit {
			return fmt.Errorf("the worst is over %v", limit)
		}
		return unchanged(ctx, before)
	},
}

// unchanged checks that the daemon is the process that it was.
func unchanged(ctx context.Context, before unit) error {
	now, err := stateOf(ctx, service)
	if err == nil && now != before {
		err = fmt.Errorf("the service is %v; it was %v", now, before)
	}
	return err
}

// errorsOf is the first error of several steps that were all taken.
func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// reopens is how often the daemon has opened the camera again.
func reopens(ctx context.Context) (float64, error) {
	return metric(ctx, "robustnet_camera_reopens_total")
}

var disconnect = scenario{
	name: "device says disconnected", expected: "opened again, picture back within 3 s, daemon not restarted",
	patience: time.Minute,
	run: func(ctx context.Context, b *bench) error {
		before, err := stateOf(ctx, service)
		if err != nil {
			return err
		}
		p := watch(overlayURL)
		defer p.stop()
		opened, err := reopens(ctx)
		if err == nil {
			err = p.more(ctx, 1)
		}
		if err != nil {
			return err
		}
		// The driver keeps the node and refuses all calls until its last user has closed it.
		if _, err := command(ctx, "v4l2-ctl", "-d", "/dev/video0", "-c", "disconnect=1"); err != nil {
			return err
		}
		start := time.Now()
		err = until(ctx, "the camera is opened again", func() (bool, error) {
			now, err := reopens(ctx)
			return now > opened, err
		})
		if err != nil {
			return err
		}
		again := time.Since(start)
		rest, err := p.after(ctx, start.Add(again))
		if err != nil {
			return err
		}
		b.see("opened again after %.1f s, picture after %.1f s", again.Seconds(), (again + rest).Seconds())
		return errorsOf(b.recovered(again+rest, targetBack), unchanged(ctx, before))
	},
}

var stall = scenario{
	name: "camera stalls for 25 s", expected: "called silent after no_frame, opened again and again, no watchdog; picture back when the camera goes on",
	patience: 2 * time.Minute,
	run: func(ctx context.Context, b *bench) error {
		before, err := stateOf(ctx, service)
		if err != nil {
			return err
		}
		p := watch(overlayURL)
		defer p.stop()
		opened, err := reopens(ctx)
		if err == nil {
			err = p.more(ctx, 1)
		}
		if err != nil {
			return err
		}
		start := time.Now()
		if err := deliver(ctx, 0, false); err != nil {
			return err
		}
		err = until(ctx, "the camera is opened again", func() (bool, error) {
			now, err := reopens(ctx)
			return now > opened, err
		})
		if err != nil {
			return err
		}
		b.see("opened again %.1f s after its last frame", time.Since(start).Seconds())
		// Longer than the watchdog's time.
		if err := p.silent(ctx, 25*time.Second); err != nil {
			return err
		}
		if err := answers(ctx, "/readyz", 503); err != nil {
			return err
		}
		if err := deliver(ctx, 0, true); err != nil {
			return err
		}
		back := time.Now()
		took, err := p.after(ctx, back)
		if err != nil {
			return err
		}
		b.see("picture %.1f s after it went on", took.Seconds())
		return errorsOf(b.recovered(took, targetRetry), unchanged(ctx, before))
	},
}

const twoCameraSettings = `cameras:
  - {name: front, uri: /dev/video0, size: 320x180, fps: 10}
  - {name: back, uri: /dev/video1, size: 320x180, fps: 10}`

var twoCameras = scenario{
	name: "two cameras", expected: "a stream and metrics for each; one stalls, the other goes on; both unplugged, both back",
	patience: 2 * time.Minute,
	run: func(ctx context.Context, b *bench) error {
		err := commands(ctx, "systemctl stop "+service, "rmmod vivid", "modprobe "+twoVivid)
		if err == nil {
			err = configure(ctx, settings(twoCameraSettings, "0.5", ""))
		}
		if err != nil {
			return err
		}
		front, back := watch("rtsp://127.0.0.1:8554/front"), watch("rtsp://127.0.0.1:8554/back")
		defer front.stop()
		defer back.stop()
		if err := errorsOf(front.more(ctx, 5), back.more(ctx, 5)); err != nil {
			return err
		}
		b.see("both play")
		return errorsOf(oneStalls(ctx, b, front, back), bothUnplugged(ctx, b, front, back),
			commands(ctx, "systemctl stop "+service, "rmmod vivid", "modprobe "+oneVivid),
			configure(ctx, settings(oneCamera, "0.5", "")))
	},
}

// oneStalls has the second camera deliver nothing until it was opened again.
func oneStalls(ctx context.Context, b *bench, front, back *player) error {
	err := errorsOf(metricBecomes(ctx, 1, "robustnet_camera_up", `camera="front"`), metricBecomes(ctx, 1, "robustnet_camera_up", `camera="back"`),
		deliver(ctx, 1, false), back.silent(ctx, time.Second), front.more(ctx, 10),
		until(ctx, "back is opened again", func() (bool, error) {
			now, err := metric(ctx, "robustnet_camera_reopens_total", `camera="back"`)
			return now > 0, err
		}))
	if err != nil {
		return err
	}
	opened, err := metric(ctx, "robustnet_camera_reopens_total", `camera="front"`)
	if err != nil || opened != 0 || front.connections() != 1 {
		return fmt.Errorf("front was opened again %v times and connected to %d times while back stalled (%v)", opened, front.connections(), err)
	}
	b.see("front goes on while back stalls")
	start := time.Now()
	if err := deliver(ctx, 1, true); err != nil {
		return err
	}
	took, err := back.after(ctx, start)
	if err != nil {
		return err
	}
	b.see("back goes on after %.1f s", took.Seconds())
	return b.recovered(took, targetRetry)
}

// bothUnplugged takes both cameras away: the driver has one device for all that it plays.
func bothUnplugged(ctx context.Context, b *bench, front, back *player) error {
	if err := plug(ctx, false); err != nil {
		return err
	}
	err := errorsOf(front.silent(ctx, 300*time.Millisecond), back.silent(ctx, 300*time.Millisecond))
	if err != nil {
		return err
	}
	start := time.Now()
	if err := plug(ctx, true); err != nil {
		return err
	}
	for _, p := range []*player{front, back} {
		took, err := p.after(ctx, start)
		if err != nil {
			return err
		}
		b.see("%s after %.1f s", p.url, took.Seconds())
		if err := b.recovered(took, targetBack); err != nil {
			return err
		}
	}
	return nil
}

// namedCamera has udev start an instance for the first camera.
const namedCamera = "/etc/robustnet/cameras/video0"

var perDevice = scenario{
	name: "instance for one camera", expected: "started by udev when a file names the camera, ends with it, comes back with it",
	patience: 2 * time.Minute,
	run: func(ctx context.Context, b *bench) error {
		const (
			instance = "robustnet-edge@video0.service"
			port     = "127.0.0.1:8555"
		)
		text := "ROBUSTNET_STREAM_RTSP=" + port + "\nROBUSTNET_HTTP_ADDRESS=off\nROBUSTNET_CAMERA_SIZE=320x180\nROBUSTNET_CAMERA_FPS=10\n" +
			"ROBUSTNET_MODEL_PATH=" + modelFile + "\n"
		err := errorsOf(commands(ctx, "systemctl stop "+service), os.WriteFile(namedCamera, []byte(text), 0o644), plug(ctx, false))
		if err != nil {
			return err
		}
		p := watch("rtsp://" + port + "/overlay")
		defer p.stop()
		start := time.Now()
		if err := plug(ctx, true); err != nil {
			return err
		}
		took, err := p.after(ctx, start)
		if err != nil {
			return err
		}
		b.see("picture %.1f s after the plug", took.Seconds())
		if err := errorsOf(b.recovered(took, targetFirst), plug(ctx, false), becomes(ctx, instance, "inactive")); err != nil {
			return err
		}
		b.see("ended with the camera")
		start = time.Now()
		if err := plug(ctx, true); err != nil {
			return err
		}
		if took, err = p.after(ctx, start); err != nil {
			return err
		}
		b.see("back %.1f s after the next plug", took.Seconds())
		return errorsOf(b.recovered(took, targetFirst), os.Remove(namedCamera), commands(ctx, "systemctl stop "+instance),
			plug(ctx, false), plug(ctx, true), commands(ctx, "systemctl start "+service))
	},
}
