package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

const packageName = "robustnet-edge"

// apt runs apt-get on what is here; the machine has no network.
func apt(ctx context.Context, args ...string) error {
	_, err := command(ctx, "apt-get", append([]string{"-y", "-q", "-o", "APT::Sandbox::User=root"}, args...)...)
	return err
}

var install = scenario{
	name: "package installed", expected: "service enabled and active without a camera, user in video and render",
	patience: 3 * time.Minute,
	run: func(ctx context.Context, b *bench) error {
		// The model inside the program takes seconds a frame when emulated.
		const overrides = "ROBUSTNET_MODEL_PATH=" + modelFile + "\nROBUSTNET_CAMERA_SIZE=320x180\nROBUSTNET_CAMERA_FPS=10\n"
		err := errorsOf(os.MkdirAll(filepath.Dir(modelFile), 0o755),
			copyFile(filepath.Join(plan.Folder, "model.onnx"), modelFile),
			os.WriteFile(overridesFile, []byte(overrides), 0o644))
		if err != nil {
			return err
		}
		start := time.Now()
		if err := apt(ctx, "install", filepath.Join(plan.Folder, plan.PackageFile)); err != nil {
			return err
		}
		b.see("apt took %.1f s", time.Since(start).Seconds())
		if err := becomes(ctx, service, "active"); err != nil {
			return err
		}
		enabled, err := command(ctx, "systemctl", "is-enabled", service)
		if err != nil || enabled != "enabled" {
			return fmt.Errorf("the service is %q: %w", enabled, err)
		}
		groups, err := command(ctx, "id", "-nG", "robustnet")
		if err != nil {
			return err
		}
		b.see("%s, user in %s", enabled, groups)
		for _, group := range []string{"video", "render"} {
			if !slices.Contains(strings.Fields(groups), group) {
				return fmt.Errorf("the user is not in %s", group)
			}
		}
		return errorsOf(answers(ctx, "/healthz", 200), answers(ctx, "/readyz", 503),
			metricBecomes(ctx, 0, "robustnet_camera_up"))
	},
}

var list = scenario{
	name: "cameras listed", expected: "`robustnet-edge cameras --json` names the device and its sizes",
	patience: time.Minute,
	run: func(ctx context.Context, b *bench) error {
		said, err := command(ctx, "robustnet-edge", "cameras", "--json")
		if err != nil {
			return err
		}
		for _, want := range []string{"/dev/video0", "vivid", "640x360"} {
			if !strings.Contains(said, want) {
				return fmt.Errorf("%q is not in %s", want, said)
			}
		}
		b.see("/dev/video0 of vivid, 640x360 among its sizes")
		return nil
	},
}

var reboot = scenario{
	name: "reboot", expected: "the stream plays by itself",
	patience: 2 * time.Minute,
	run: func(ctx context.Context, b *bench) error {
		p := watch(overlayURL)
		defer p.stop()
		if err := p.more(ctx, 1); err != nil {
			return err
		}
		played, err := uptime()
		if err != nil {
			return err
		}
		active, err := command(ctx, "systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", service)
		if err != nil {
			return err
		}
		microseconds, err := strconv.ParseInt(active, 10, 64)
		if err != nil {
			return err
		}
		b.see("service active %.1f s and a picture %.1f s after the kernel began", float64(microseconds)/1e6, played.Seconds())
		b.recovery = append(b.recovery, played)
		return answers(ctx, "/readyz", 200)
	},
}

func uptime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, err
	}
	seconds, _, _ := strings.Cut(string(text), " ")
	return time.ParseDuration(seconds + "s")
}

var upgrade = scenario{
	name: "upgraded", expected: "new version runs, the changed configuration is kept, picture back",
	patience: 3 * time.Minute,
	run: func(ctx context.Context, b *bench) error {
		before, err := stateOf(ctx, service)
		if err != nil {
			return err
		}
		changed, err := os.ReadFile(configFile)
		if err != nil {
			return err
		}
		p := watch(overlayURL)
		defer p.stop()
		if err := p.more(ctx, 1); err != nil {
			return err
		}
		start := time.Now()
		// As unattended-upgrades answers dpkg's question.
		if err := apt(ctx, "-o", "Dpkg::Options::=--force-confold", "install", filepath.Join(plan.Folder, plan.NewerFile)); err != nil {
			return err
		}
		took := time.Since(start)
		back, err := p.again(ctx, start)
		if err != nil {
			return err
		}
		b.see("apt took %.1f s, picture back %.1f s after it began", took.Seconds(), back.Seconds())
		now, err := os.ReadFile(configFile)
		if err != nil || string(now) != string(changed) {
			return fmt.Errorf("the configuration was not kept (%v)", err)
		}
		if _, err := os.Stat(configFile + ".dpkg-dist"); err != nil {
			return fmt.Errorf("the new version's configuration is not beside the old one: %w", err)
		}
		after, err := stateOf(ctx, service)
		if err != nil || after.pid == before.pid || after.active != "active" {
			return fmt.Errorf("the service is %v, it was %v (%v)", after, before, err)
		}
		version, err := command(ctx, "dpkg-query", "-W", "-f", "${Version}", packageName)
		b.see("version %s", version)
		return err
	},
}

var remove = scenario{
	name: "removed", expected: "service stopped, programs and units gone, configuration kept",
	patience: time.Minute,
	run: func(ctx context.Context, b *bench) error {
		if err := apt(ctx, "remove", packageName); err != nil {
			return err
		}
		err := errorsOf(becomes(ctx, service, "inactive"), exists(ctx, "/usr/bin/robustnet-edge", false),
			exists(ctx, "/lib/systemd/system/"+service, false), exists(ctx, configFile, true))
		if err != nil {
			return err
		}
		if said, err := command(ctx, "pgrep", "-a", "robustnet-edge"); err == nil {
			return fmt.Errorf("a process is left: %s", said)
		}
		b.see("as expected")
		return nil
	},
}

var purge = scenario{
	name: "purged", expected: "no file, unit or user is left",
	patience: time.Minute,
	run: func(ctx context.Context, b *bench) error {
		if err := apt(ctx, "purge", packageName); err != nil {
			return err
		}
		if said, err := command(ctx, "getent", "passwd", "robustnet"); err == nil {
			return fmt.Errorf("the user is left: %s", said)
		}
		left, err := leftovers("/etc", "/usr", "/var", "/run", "/dev")
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("left are %s", strings.Join(left, ", "))
		}
		b.see("nothing is left")
		return nil
	},
}

// leftovers are files with the product's name, but for the test's own.
func leftovers(folders ...string) ([]string, error) {
	var left []string
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it went meanwhile
			}
			if err == nil && strings.Contains(d.Name(), "robustnet") && path != filepath.Dir(modelFile) && !strings.HasSuffix(path, testUnit) {
				left = append(left, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return left, nil
}

// testUnit runs this program.
const testUnit = "robustnet-test.service"
