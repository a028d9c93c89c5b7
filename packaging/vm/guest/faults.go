package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

var kill = scenario{
	name: "kill -9", expected: "systemd starts it again, picture back",
	patience: time.Minute,
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
		if err := commands(ctx, "systemctl kill -s KILL --kill-who=main "+service); err != nil {
			return err
		}
		start := time.Now()
		took, err := p.again(ctx, start)
		if err != nil {
			return err
		}
		b.see("picture back after %.1f s", took.Seconds())
		return errorsOf(b.recovered(took, targetFirst), restarted(ctx, b, before))
	},
}

// restarted checks that systemd has started the daemon again.
func restarted(ctx context.Context, b *bench, before unit) error {
	now, err := stateOf(ctx, service)
	if err != nil {
		return err
	}
	b.see("restarts %d → %d", before.restarts, now.restarts)
	if now.restarts <= before.restarts || now.pid == before.pid || now.active != "active" {
		return fmt.Errorf("the service is %v; it was %v", now, before)
	}
	return nil
}

// frozen has the settings of systemd that let a signal freeze the pipeline.
const frozen = "/run/systemd/system/" + service + ".d"

var watchdog = scenario{
	name: "pipeline freezes", expected: "/readyz 503, the watchdog ends the daemon after WatchdogSec, picture back",
	patience: 2 * time.Minute,
	run: func(ctx context.Context, b *bench) error {
		err := errorsOf(os.MkdirAll(frozen, 0o755),
			os.WriteFile(frozen+"/freeze.conf", []byte("[Service]\nEnvironment=ROBUSTNET_DEBUG_FREEZE=1\n"), 0o644),
			commands(ctx, "systemctl daemon-reload", "systemctl restart "+service))
		if err != nil {
			return err
		}
		p := watch(overlayURL)
		defer p.stop()
		if err := errorsOf(p.more(ctx, 5), answers(ctx, "/readyz", 200)); err != nil {
			return err
		}
		before, err := stateOf(ctx, service)
		if err != nil {
			return err
		}
		since, err := markJournal(ctx)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := commands(ctx, "systemctl kill -s USR1 --kill-who=main "+service); err != nil {
			return err
		}
		if err := errorsOf(p.silent(ctx, time.Second), answers(ctx, "/readyz", 503)); err != nil {
			return err
		}
		b.see("/readyz 503 after %.1f s", time.Since(start).Seconds())
		if _, err := journalHas(ctx, since, "Watchdog timeout"); err != nil {
			return err
		}
		bitten := time.Now()
		b.see("the watchdog's time was out after %.1f s", bitten.Sub(start).Seconds())
		took, err := p.again(ctx, bitten)
		if err != nil {
			return err
		}
		b.see("picture back %.1f s later", took.Seconds())
		return errorsOf(b.recovered(took, targetFirst), restarted(ctx, b, before), os.RemoveAll(frozen),
			commands(ctx, "systemctl daemon-reload", "systemctl restart "+service))
	},
}

// cameraWidth is the width of the first camera's pictures.
func cameraWidth(ctx context.Context) (int, error) {
	_, body, err := get(ctx, "/api/v1/status")
	if err != nil {
		return 0, err
	}
	var status struct {
		Cameras []struct {
			Source struct {
				Width int `json:"width"`
			} `json:"source"`
		} `json:"cameras"`
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		return 0, fmt.Errorf("/api/v1/status: %w", err)
	}
	if len(status.Cameras) == 0 {
		return 0, errors.New("/api/v1/status: no cameras")
	}
	return status.Cameras[0].Source.Width, nil
}

// reload has the daemon read a new configuration.
func reload(ctx context.Context, text string) error {
	return errorsOf(os.WriteFile(configFile, []byte(text), 0o644), commands(ctx, "systemctl reload "+service))
}

var reloadGood = scenario{
	name: "reload, good file", expected: "camera at its new size, player stays connected, same process",
	patience: time.Minute,
	run: func(ctx context.Context, b *bench) error {
		p := watch(overlayURL)
		defer p.stop()
		if err := p.more(ctx, 1); err != nil {
			return err
		}
		before, err := stateOf(ctx, service)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := reload(ctx, settings(strings.Replace(oneCamera, "320x180", "640x360", 1), "0.9", "")); err != nil {
			return err
		}
		err = until(ctx, "the camera's pictures are 640 wide", func() (bool, error) {
			width, err := cameraWidth(ctx)
			return width == 640, err
		})
		if err != nil {
			return err
		}
		took, err := p.after(ctx, time.Now())
		if err != nil {
			return err
		}
		took += time.Since(start)
		b.see("640x360 plays after %.1f s in %d connection", took.Seconds(), p.connections())
		if n := p.connections(); n != 1 {
			return fmt.Errorf("the player had to connect %d times", n)
		}
		return errorsOf(p.more(ctx, 5), metricBecomes(ctx, 1, "robustnet_config_last_reload_successful"), unchanged(ctx, before))
	},
}

var reloadBad = scenario{
	name: "reload, bad file", expected: "refused and named in the journal, metric 0, old settings go on; mended, metric 1",
	patience: time.Minute,
	run: func(ctx context.Context, b *bench) error {
		p := watch(overlayURL)
		defer p.stop()
		if err := p.more(ctx, 1); err != nil {
			return err
		}
		before, err := stateOf(ctx, service)
		if err != nil {
			return err
		}
		since, err := markJournal(ctx)
		if err != nil {
			return err
		}
		if err := os.WriteFile(configFile, []byte("camera: {fps: 9999}\n"), 0o644); err != nil {
			return err
		}
		if _, err := command(ctx, "systemctl", "reload", service); err != nil {
			b.see("systemctl reload fails")
		}
		line, err := journalHas(ctx, since, "9999")
		if err != nil {
			return err
		}
		b.see("journal: %s", line)
		err = errorsOf(metricBecomes(ctx, 0, "robustnet_config_last_reload_successful"), p.more(ctx, 5), unchanged(ctx, before))
		if err != nil {
			return err
		}
		err = errorsOf(reload(ctx, settings(oneCamera, "0.5", "")),
			metricBecomes(ctx, 1, "robustnet_config_last_reload_successful"), p.more(ctx, 5), unchanged(ctx, before))
		b.see("%d connection of the player", p.connections())
		if n := p.connections(); err == nil && n != 1 {
			err = fmt.Errorf("the player had to connect %d times", n)
		}
		return err
	},
}

// smallDisk is where the daemon writes to until nothing is left.
const smallDisk = stateDir + "/small"

// fillDisk has the daemon write to a small disk and waits until systemd has started it again
// after it was full.
func fillDisk(ctx context.Context, b *bench, size, output string) (before unit, err error) {
	err = errorsOf(os.MkdirAll(smallDisk, 0o755),
		commands(ctx, "mount -t tmpfs -o mode=0777,size="+size+" tmpfs "+smallDisk))
	if err != nil {
		return before, err
	}
	since, err := markJournal(ctx)
	if err != nil {
		return before, err
	}
	if err := configure(ctx, settings(oneCamera, "0.5", output)); err != nil {
		return before, err
	}
	if before, err = stateOf(ctx, service); err != nil {
		return before, err
	}
	line, err := journalHas(ctx, since, "no space left on device")
	if err != nil {
		return before, err
	}
	b.see("journal: %s", line)
	return before, until(ctx, "systemd starts the daemon again", func() (bool, error) {
		now, err := stateOf(ctx, service)
		return now.restarts > before.restarts, err
	})
}

// freeDisk makes room and waits for the picture.
func freeDisk(ctx context.Context, b *bench, before unit) error {
	p := watch(overlayURL)
	defer p.stop()
	start := time.Now()
	if err := commands(ctx, "mount -o remount,size=50m "+smallDisk); err != nil {
		return err
	}
	took, err := p.after(ctx, start)
	if err != nil {
		return err
	}
	b.see("picture %.1f s after there was room", took.Seconds())
	return errorsOf(b.recovered(took, targetFirst), p.more(ctx, 5), restarted(ctx, b, before),
		configure(ctx, settings(oneCamera, "0.5", "")), commands(ctx, "umount "+smallDisk))
}

var fullDiskMasks = scenario{
	name: "disk full of masks", expected: "named, all masks whole; goes on by itself when there is room",
	patience: 2 * time.Minute,
	run: func(ctx context.Context, b *bench) error {
		before, err := fillDisk(ctx, b, "200k", "masks: "+smallDisk+"/masks")
		if err != nil {
			return err
		}
		files, err := filepath.Glob(smallDisk + "/masks/*")
		if err != nil || len(files) == 0 {
			return fmt.Errorf("%d masks were kept (%v)", len(files), err)
		}
		for _, path := range files {
			if err := wholePicture(path); err != nil {
				return err
			}
		}
		b.see("%d masks, all whole", len(files))
		return freeDisk(ctx, b, before)
	},
}

func wholePicture(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := png.Decode(file); err != nil {
		return fmt.Errorf("%s is not whole: %w", path, err)
	}
	return nil
}

var fullDiskVideo = scenario{
	name: "disk full of video", expected: "named, the recording plays up to there; goes on by itself when there is room",
	patience: 2 * time.Minute,
	run: func(ctx context.Context, b *bench) error {
		before, err := fillDisk(ctx, b, "500k", "video: "+smallDisk+"/drawn.mp4")
		if err != nil {
			return err
		}
		files, err := filepath.Glob(smallDisk + "/*")
		if err != nil {
			return err
		}
		longest, size := "", int64(0)
		for _, path := range files {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			b.see("%s of %d kB", filepath.Base(path), info.Size()/1000)
			if info.Size() > size {
				longest, size = path, info.Size()
			}
		}
		if err := copyFile(longest, filepath.Join(plan.Folder, plan.RecordingFile)); err != nil {
			return fmt.Errorf("no recording was kept: %w", err)
		}
		return freeDisk(ctx, b, before)
	},
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
