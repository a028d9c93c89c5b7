package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/packaging/vm/plan"
)

// TestFull boots a Debian with systemd and udev twice and has packaging/vm/guest go through its
// scenarios there. ROBUSTNET_VM_DEB chooses another package than that of make deb, and
// ROBUSTNET_VM_ONLY, names with commas between, a few scenarios.
func TestFull(t *testing.T) {
	if os.Getenv("ROBUSTNET_VM_FULL") == "" {
		t.Skip("make test-vm boots a whole Debian; it takes minutes")
	}
	w := newWorkplace(t, "full")
	out := w.folder(t, "out")
	deb := packageFile(t)
	image := w.disk(t, deb)
	prepare(t, w, out, deb)

	modules, err := w.kernel.Load(plan.Module{Name: "virtio_pci"}, plan.Module{Name: "virtio_blk"},
		plan.Module{Name: "crc32c_generic"}, plan.Module{Name: "ext4"}, plan.Module{Name: "9pnet_virtio"}, plan.Module{Name: "9p"})
	if err != nil {
		t.Fatal(err)
	}
	m := &Machine{
		Kernel: w.kernel, Initramfs: w.initramfs(t, &plan.Plan{Modules: modules, Disk: "/dev/vda"}),
		Out: out, Disk: image, MemoryMB: 1536, Acceleration: Acceleration(),
		Append: "systemd.show_status=0", Report: os.Stdout,
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	const boots = 2
	for i := range boots {
		start := time.Now()
		m.Console = filepath.Join(out, fmt.Sprintf("boot%d-console.txt", i+1))
		if err := m.Run(ctx); err != nil {
			t.Error(err)
			break
		}
		t.Logf("the machine ran for %.0f s by %s", time.Since(start).Seconds(), m.Acceleration)
		if report(t, out).Fault != "" {
			break
		}
	}
	checkReport(t, out, m.Acceleration)
}

func report(t *testing.T, out string) *plan.Report {
	t.Helper()
	r := new(plan.Report)
	if err := plan.Load(out, plan.ReportFile, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// checkReport prints the table and holds the scenarios to what was expected.
func checkReport(t *testing.T, out, acceleration string) {
	report := report(t, out)
	text := table(report, acceleration)
	fmt.Print(text)
	if err := os.WriteFile(filepath.Join(out, "table.txt"), []byte(text), 0o644); err != nil {
		t.Error(err)
	}
	for _, s := range report.Scenarios {
		t.Run(strings.ReplaceAll(s.Name, " ", "-"), func(t *testing.T) {
			if s.Fault != "" {
				t.Errorf("expected: %s\nseen: %s\n%s", s.Expected, s.Seen, s.Fault)
			}
		})
	}
	if !report.Done {
		t.Errorf("the scenarios did not come to their end; %s has the journals. %s", out, report.Fault)
	}
	recording := filepath.Join(out, plan.RecordingFile)
	if _, err := os.Stat(recording); errors.Is(err, os.ErrNotExist) {
		return // its scenario was left out or has failed
	}
	said, err := exec.Command("ffmpeg", "-v", "warning", "-nostdin", "-xerror", "-i", recording, "-f", "null", "-").CombinedOutput()
	if err != nil || len(said) > 0 {
		t.Errorf("the recording that ended with its disk full does not play: %v %s", err, said)
	}
}

// table is the scenarios × recovery times.
func table(r *plan.Report, acceleration string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-28s %9s %9s %7s  %s\n", "scenario ("+acceleration+")", "recovery", "worst", "took", "result")
	for _, s := range r.Scenarios {
		typical, worst := "", ""
		if n := len(s.Recovery); n > 0 {
			sorted := slices.Sorted(slices.Values(s.Recovery))
			typical, worst = fmt.Sprintf("%.2f s", sorted[n/2].Seconds()), fmt.Sprintf("%.2f s", sorted[n-1].Seconds())
		}
		fmt.Fprintf(&b, "%-28s %9s %9s %5.0f s  %s\n", s.Name, typical, worst, s.Took.Seconds(), s.Verdict())
	}
	return b.String()
}

// packageFile is the newest package for this machine.
func packageFile(t *testing.T) string {
	if deb := os.Getenv("ROBUSTNET_VM_DEB"); deb != "" {
		return deb
	}
	debs, err := filepath.Glob("../../build/robustnet-edge_*_amd64.deb")
	if err != nil || len(debs) != 1 {
		t.Fatalf("%d packages in build; make deb makes one (%v)", len(debs), err)
	}
	return debs[0]
}

// disk is a copy of the cached root with what the package needs.
func (w *workplace) disk(t *testing.T, deb string) string {
	said, err := exec.Command("dpkg-deb", "-f", deb, "Depends").Output()
	if err != nil {
		t.Fatalf("dpkg-deb -f %s: %v", deb, err)
	}
	packages := []string{"v4l-utils", "iproute2", "procps"}
	for need := range strings.SplitSeq(strings.TrimSpace(string(said)), ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(need), " ")
		packages = append(packages, name)
	}
	slices.Sort(packages)
	root := &Root{
		Kernel: w.kernel, Packages: packages, Modules: []plan.Module{vivid}, Files: guestFiles,
		Masked: []string{"systemd-timesyncd.service", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer",
			"fstrim.timer", "dpkg-db-backup.timer", "getty@tty1.service", "serial-getty@ttyS0.service", "serial-getty@ttyS1.service"},
	}
	start := time.Now()
	image, err := root.Image(t.Context(), w.cache)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the root was ready after %.0f s", time.Since(start).Seconds())
	path := filepath.Join(w.path, "disk.img")
	if err := command(t.Context(), "cp", "--sparse=always", "--reflink=auto", image, path); err != nil {
		t.Fatal(err)
	}
	// It is large, and the journals are elsewhere.
	t.Cleanup(func() { os.Remove(path) })
	return path
}

// guestFiles have the machine start the runner when it has booted, and boot anew or give up after it.
var guestFiles = map[string]string{
	"etc/hostname":                          "vm\n",
	"etc/fstab":                             plan.OutTag + " " + plan.Folder + " 9p trans=virtio,version=9p2000.L,msize=524288 0 0\n",
	"etc/systemd/journald.conf.d/test.conf": "[Journal]\nRateLimitIntervalSec=0\nStorage=persistent\n",
	"etc/systemd/system/multi-user.target.d/test.conf": "[Unit]\nWants=robustnet-test.service\n",
	"etc/systemd/system/robustnet-test.service": `[Unit]
Description=Scenarios
After=multi-user.target
RequiresMountsFor=` + plan.Folder + `
SuccessAction=reboot
FailureAction=poweroff
[Service]
Type=exec
ExecStart=` + plan.Folder + "/" + plan.RunnerFile + `
RuntimeMaxSec=12min
`,
}

// prepare fills the folder that the machine sees.
func prepare(t *testing.T, w *workplace, out, deb string) {
	t.Helper()
	task := plan.Task{Emulated: !strings.HasPrefix(Acceleration(), "kvm")}
	if only := os.Getenv("ROBUSTNET_VM_ONLY"); only != "" {
		task.Only = strings.Split(only, ",")
	}
	err := errors.Join(
		plan.Save(out, plan.TaskFile, task),
		os.WriteFile(filepath.Join(out, modelFile), colourModel(), 0o644),
		copyFile(deb, filepath.Join(out, plan.PackageFile)),
		os.Rename(w.compile(t, "guest"), filepath.Join(out, plan.RunnerFile)),
		newerPackage(t.Context(), deb, filepath.Join(w.path, "newer"), filepath.Join(out, plan.NewerFile)))
	if err != nil {
		t.Fatal(err)
	}
}

// newerPackage makes a package of a later version whose configuration file differs, too.
func newerPackage(ctx context.Context, deb, folder, to string) error {
	if err := command(ctx, "dpkg-deb", "-R", deb, folder); err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	control := filepath.Join(folder, "DEBIAN", "control")
	text, err := os.ReadFile(control)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(text), "\nVersion: ", "\nVersion: 1:", 1)
	if err := os.WriteFile(control, []byte(changed), 0o644); err != nil {
		return err
	}
	config, err := os.OpenFile(filepath.Join(folder, "etc/robustnet/edge.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = config.WriteString("# Of the later version.\n")
	if err := errors.Join(err, config.Close()); err != nil {
		return err
	}
	return command(ctx, "dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", folder, to)
}
