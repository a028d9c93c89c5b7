package telemetry_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/telemetry/telemetrytest"
)

// describe writes a reading, a value to a line.
func describe(r telemetry.Reading) string {
	var b strings.Builder
	for _, z := range r.Zones {
		fmt.Fprintf(&b, "zone %s %v\n", z.Name, z.Celsius)
	}
	if z, ok := r.Hottest(); ok {
		fmt.Fprintf(&b, "hottest %s\n", z.Name)
	}
	if g := r.GPU; g != nil {
		load := "unknown"
		if g.LoadRatio != nil {
			load = fmt.Sprint(*g.LoadRatio)
		}
		hardware := ""
		if g.HardwareHertz != 0 {
			hardware = fmt.Sprintf(" of %v", g.HardwareHertz)
		}
		fmt.Fprintf(&b, "gpu %s %v of %v%s load %s\n", g.Name, g.FrequencyHertz, g.MaxFrequencyHertz, hardware, load)
	}
	for _, c := range r.CPUs {
		fmt.Fprintf(&b, "%s cores %s %s %v of %v of %v\n", c.Policy, c.Cores, c.Governor, c.FrequencyHertz, c.MaxFrequencyHertz, c.HardwareHertz)
	}
	if len(r.CoresOff) > 0 {
		fmt.Fprintf(&b, "off %v\n", r.CoresOff)
	}
	for _, rail := range r.Rails {
		fmt.Fprintf(&b, "rail %s %.3f\n", rail.Name, rail.Watts)
	}
	if r.TotalWatts != 0 {
		fmt.Fprintf(&b, "total %.3f\n", r.TotalWatts)
	}
	for _, c := range r.Counters {
		fmt.Fprintf(&b, "%s %s %d\n", c.Name, c.Cause, c.Events)
	}
	for _, c := range r.Cooling {
		fmt.Fprintf(&b, "cooling %s %d %t\n", c.Name, c.State, c.LimitsClocks)
	}
	if r.PowerMode != nil {
		fmt.Fprintf(&b, "mode %d %s\n", r.PowerMode.ID, r.PowerMode)
	}
	return b.String()
}

func TestMachines(t *testing.T) {
	for name, want := range map[string]string{
		telemetrytest.OrinJetPack6: `zone cpu-thermal 61.343
zone gpu-thermal 62.687
zone soc0-thermal 60.125
zone tj-thermal 62.687
hottest gpu-thermal
gpu 17000000.gpu 9.18e+08 of 1.02e+09 of 1.02e+09 load 0.873
policy0 cores 0 1 2 3 schedutil 1.1904e+09 of 1.728e+09 of 1.728e+09
policy4 cores 4 5 schedutil 1.728e+09 of 1.728e+09 of 1.728e+09
rail VDD_IN 15.600
rail VDD_CPU_GPU_CV 7.400
rail VDD_SOC 2.600
total 15.600
oc1 under_voltage 0
oc2 average_over_current 0
oc3 instantaneous_over_current 27
cooling pwm-fan 2 false
cooling cpufreq-cpu0 0 true
cooling cpufreq-cpu4 0 true
cooling devfreq-17000000.gpu 0 true
cooling cpu-throttle-alert 0 true
cooling gpu-throttle-alert 0 true
cooling hot-surface-alert 1 false
mode 2 MAXN_SUPER
`,
		telemetrytest.OrinJetPack7: `zone cpu-thermal 98.5
zone gpu-thermal 99.031
zone tj-thermal 99.031
hottest gpu-thermal
gpu gpu-gpc-0 7.14e+08 of 1.3005e+09 load unknown
policy0 cores 0 1 2 3 performance 2.2016e+09 of 2.2016e+09 of 2.2016e+09
rail VDD_GPU_SOC 19.864
rail VDD_CPU_CV 9.936
rail VIN_SYS_5V0 6.000
rail VDDQ_VDD2_1V8AO 1.200
total 35.800
oc1 under_voltage 1
oc2 average_over_current 15
oc3 instantaneous_over_current 37
cooling pwm-fan 4 false
cooling gpu-throttle-alert 1 true
cooling devfreq-gpu-gpc-0 18 true
mode 0 MAXN
`,
		telemetrytest.PC: `zone acpitz 27.8
zone acpitz-2 29.8
zone x86_pkg_temp 56
hottest x86_pkg_temp
policy0 cores 0 powersave 2.400123e+09 of 4.7e+09 of 4.7e+09
policy1 cores 1 powersave 8e+08 of 4.7e+09 of 4.7e+09
cooling Processor 0 true
cooling Processor-2 0 true
cooling intel_powerclamp 0 true
cooling TCC Offset 10 false
cooling LCD 40 false
`,
		telemetrytest.Nothing: "",
	} {
		if got := describe(telemetry.Open(telemetrytest.Tree(t, name)).Read()); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", name, got, want)
		}
	}
	if got := describe(telemetry.Open("/does/not/exist").Read()); got != "" {
		t.Errorf("without a root: %s", got)
	}
	var none *telemetry.Sensors
	if got := describe(none.Read()); got != "" {
		t.Errorf("without sensors: %s", got)
	}
}

// TestThisMachine reads the sensors of whatever runs the test.
func TestThisMachine(t *testing.T) {
	r := telemetry.Open("/").Read()
	t.Logf("\n%s", describe(r))
	for _, z := range r.Zones {
		if z.Name == "" || z.Celsius < -60 || z.Celsius > 200 {
			t.Errorf("zone %+v", z)
		}
	}
}

// TestOne has what differs between machines, a few files at a time.
func TestOne(t *testing.T) {
	const (
		zone   = "sys/class/thermal/thermal_zone0/"
		cool   = "sys/class/thermal/cooling_device0/"
		gpu    = "sys/class/devfreq/17000000.gpu/"
		cpus   = "sys/devices/system/cpu/"
		policy = "sys/devices/system/cpu/cpufreq/policy0/"
		ina    = "sys/class/hwmon/hwmon0/"
		mode   = "var/lib/nvpmodel/status"
		conf   = "etc/nvpmodel.conf"
	)
	rail := func(n int, label, volts, amperes string) telemetrytest.Files {
		return telemetrytest.Files{
			ina + "name":                         "ina3221\n",
			ina + fmt.Sprintf("in%d_label", n):   label,
			ina + fmt.Sprintf("in%d_input", n):   volts,
			ina + fmt.Sprintf("curr%d_input", n): amperes,
		}
	}
	for name, c := range map[string]struct {
		files telemetrytest.Files
		want  string
	}{
		"below freezing":            {telemetrytest.Files{zone + "type": "tj-thermal", zone + "temp": "-12500\n"}, "zone tj-thermal -12.5\nhottest tj-thermal\n"},
		"temperature of no power":   {telemetrytest.Files{zone + "type": "gpu-thermal", zone + "temp": "-274000\n"}, ""},
		"temperature in words":      {telemetrytest.Files{zone + "type": "gpu-thermal", zone + "temp": "warm\n"}, ""},
		"temperature, not a number": {telemetrytest.Files{zone + "type": "gpu-thermal", zone + "temp": "NaN"}, ""},
		"temperature of the sun":    {telemetrytest.Files{zone + "type": "gpu-thermal", zone + "temp": "5772000"}, ""},
		"endless temperature":       {telemetrytest.Files{zone + "type": "gpu-thermal", zone + "temp": strings.Repeat("9", 100_000)}, ""},
		"empty temperature":         {telemetrytest.Files{zone + "type": "gpu-thermal", zone + "temp": ""}, ""},
		"two temperatures":          {telemetrytest.Files{zone + "type": "gpu-thermal", zone + "temp": "40000\n50000\n"}, ""},
		"folder for temperature":    {telemetrytest.Files{zone + "type": "gpu-thermal", zone + "temp/x": ""}, ""},
		"zone without name":         {telemetrytest.Files{zone + "type": "\n", zone + "temp": "40000"}, ""},
		"zone without type":         {telemetrytest.Files{zone + "temp": "40000"}, ""},
		"hostile name":              {telemetrytest.Files{zone + "type": "a\x00\xff\n" + strings.Repeat("é", 500), zone + "temp": "1000"}, "zone a ? " + strings.Repeat("é", 60) + " 1\nhottest a ? " + strings.Repeat("é", 60) + "\n"},
		"not quite a zone":          {telemetrytest.Files{"sys/class/thermal/thermal_zone07/type": "x", "sys/class/thermal/thermal_zone07/temp": "1", "sys/class/thermal/thermal_zone-1/type": "x", "sys/class/thermal/thermal_zone-1/temp": "1"}, ""},
		"cooling, old names":        {telemetrytest.Files{cool + "type": "thermal-devfreq-0\n", cool + "cur_state": "3\n"}, "cooling thermal-devfreq-0 3 true\n"},
		"cooling, garbage":          {telemetrytest.Files{cool + "type": "cpufreq-cpu0\n", cool + "cur_state": "99999999999\n"}, ""},
		"JetPack 5":                 {telemetrytest.Files{"sys/class/devfreq/17000000.ga10b/cur_freq": "306000000\n", "sys/class/devfreq/17000000.ga10b/device/load": "0\n"}, "gpu 17000000.ga10b 3.06e+08 of 0 load 0\n"},
		"load alone":                {telemetrytest.Files{gpu + "device/load": "1000\n"}, ""},
		"clock of no power":         {telemetrytest.Files{gpu + "cur_freq": "0\n", gpu + "device/load": "0\n"}, "gpu 17000000.gpu 0 of 0 load 0\n"},
		"load beyond all":           {telemetrytest.Files{gpu + "cur_freq": "306000000\n", gpu + "device/load": "1001\n"}, "gpu 17000000.gpu 3.06e+08 of 0 load unknown\n"},
		"nothing of the GPU":        {telemetrytest.Files{gpu + "cur_freq": "fast\n", gpu + "device/load": "-1\n"}, ""},
		"clock beyond all":          {telemetrytest.Files{gpu + "cur_freq": "18446744073709551616\n", gpu + "max_freq": "1000\n"}, ""},
		"clocks to choose":          {telemetrytest.Files{gpu + "cur_freq": "306000000\n", gpu + "max_freq": "612000000\n", gpu + "available_frequencies": "1020000000 306000000 612000000\n"}, "gpu 17000000.gpu 3.06e+08 of 6.12e+08 of 1.02e+09 load unknown\n"},
		"clocks, garbage":           {telemetrytest.Files{gpu + "cur_freq": "306000000\n", gpu + "available_frequencies": "1020000000 much\n"}, "gpu 17000000.gpu 3.06e+08 of 0 load unknown\n"},
		"clocks beyond all":         {telemetrytest.Files{gpu + "cur_freq": "306000000\n", gpu + "available_frequencies": "9223372036854775807\n"}, "gpu 17000000.gpu 3.06e+08 of 0 load unknown\n"},
		"cores off":                 {telemetrytest.Files{cpus + "present": "0-5\n", cpus + "online": "0-1,3\n"}, "off [2 4 5]\n"},
		"all cores on":              {telemetrytest.Files{cpus + "present": "0-5\n", cpus + "online": "0-5\n"}, ""},
		"cores on, not known":       {telemetrytest.Files{cpus + "present": "0-5\n"}, ""},
		"cores, garbage":            {telemetrytest.Files{cpus + "present": "0-5\n", cpus + "online": "0-x\n"}, ""},
		"cores, backwards":          {telemetrytest.Files{cpus + "present": "5-0\n", cpus + "online": "0\n"}, ""},
		"cores beyond all":          {telemetrytest.Files{cpus + "present": "0-65535\n", cpus + "online": "0\n"}, ""},
		"many lists of cores":       {telemetrytest.Files{cpus + "present": "0" + strings.Repeat(",0-500", 600), cpus + "online": "0\n"}, ""},
		"other clocks":              {telemetrytest.Files{"sys/class/devfreq/15340000.vic/cur_freq": "115200000\n"}, ""},
		"video engine alone":        {telemetrytest.Files{"sys/class/devfreq/gpu-nvd-0/cur_freq": "115200000\n"}, "gpu gpu-nvd-0 1.152e+08 of 0 load unknown\n"},
		"governor alone":            {telemetrytest.Files{policy + "scaling_governor": "powersave\n"}, "policy0 cores 0 powersave 0 of 0 of 0\n"},
		"frequencies not known":     {telemetrytest.Files{policy + "scaling_governor": "ondemand\n", policy + "scaling_cur_freq": "<unknown>\n", policy + "scaling_max_freq": "-5"}, "policy0 cores 0 ondemand 0 of 0 of 0\n"},
		"frequency of hardware":     {telemetrytest.Files{policy + "cpuinfo_cur_freq": "800000", policy + "cpuinfo_max_freq": "1984000\n"}, "policy0 cores 0  8e+08 of 1.984e+09 of 1.984e+09\n"},
		"folder for governor":       {telemetrytest.Files{policy + "scaling_governor/x": "", policy + "scaling_max_freq": "800000"}, "policy0 cores 0  0 of 8e+08 of 0\n"},
		"empty policy":              {telemetrytest.Files{policy + "related_cpus": "0"}, ""},
		"rail":                      {rail(1, "VDD_IN\n", "5000\n", "1000\n"), "rail VDD_IN 5.000\ntotal 5.000\n"},
		"rail that carries nothing": {rail(2, "VDD_SOC\n", "5000\n", "-8\n"), "rail VDD_SOC -0.040\n"},
		"unknown rail":              {rail(3, "MY_RAIL\n", "5000\n", "1000\n"), "rail MY_RAIL 5.000\n"},
		"not connected":             {rail(1, "NC\n", "5000\n", "1000\n"), ""},
		"rail without label":        {rail(1, "", "5000\n", "1000\n"), ""},
		"shunt":                     {rail(4, "VDD_IN\n", "5000\n", "1000\n"), ""},
		"current in words":          {rail(1, "VDD_IN\n", "5000\n", "much\n"), ""},
		"current beyond all":        {rail(1, "VDD_IN\n", "5000\n", "9223372036854775807\n"), ""},
		"voltage beyond all":        {rail(1, "VDD_IN\n", "230000\n", "10\n"), ""},
		"another chip":              {telemetrytest.Files{ina + "name": "ina226\n", ina + "in1_label": "VDD_IN", ina + "in1_input": "5000", ina + "curr1_input": "1000"}, ""},
		"counters":                  {telemetrytest.Files{ina + "name": "soctherm_oc\n", ina + "oc4_event_cnt": "4294967295\n", ina + "oc1_event_cnt": "x\n", ina + "oc2_event_cnt": "-1", ina + "oc3_event_cnt": "4294967296", ina + "ocx_event_cnt": "1", ina + "oc_event_cnt": "1"}, "oc4 oc4 4294967295\n"},
		"counters of another":       {telemetrytest.Files{ina + "name": "pwmfan\n", ina + "oc1_event_cnt": "1\n"}, ""},
		"mode without name":         {telemetrytest.Files{mode: "pmode:0003 fmode:quiet"}, "mode 3 mode 3\n"},
		"mode in words":             {telemetrytest.Files{mode: "pmode:fast"}, ""},
		"mode beyond all":           {telemetrytest.Files{mode: "pmode:99999999999999999999"}, ""},
		"no mode in status":         {telemetrytest.Files{mode: "fmode:cool"}, ""},
		"broken modes":              {telemetrytest.Files{mode: "fmode:cool pmode:1", conf: "< POWER_MODEL >\n< POWER_MODEL ID=1 >\n< POWER_MODEL ID=x NAME=X >\n< POWER_MODEL NAME=Y ID=1 >\n<POWER_MODEL  ID=1\tNAME=15W>"}, "mode 1 15W\n"},
		"conf alone":                {telemetrytest.Files{conf: "< POWER_MODEL ID=0 NAME=15W >"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := describe(telemetry.Open(c.files.Tree(t)).Read()); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestTotalNeedsItsRails: a sum without one of its parts would be too small.
func TestTotalNeedsItsRails(t *testing.T) {
	for name, c := range map[string]struct {
		machine, broken string
		want            float64
	}{
		"input":          {telemetrytest.OrinJetPack6, "sys/class/hwmon/hwmon1/curr1_input", 0},
		"part of input":  {telemetrytest.OrinJetPack6, "sys/class/hwmon/hwmon1/curr2_input", 15.6},
		"part of sum":    {telemetrytest.OrinJetPack7, "sys/class/hwmon/hwmon4/in2_input", 0},
		"part of a part": {telemetrytest.OrinJetPack7, "sys/class/hwmon/hwmon5/in2_input", 35.8},
	} {
		files := telemetrytest.Machine(t, c.machine)
		if _, ok := files[c.broken]; !ok {
			t.Fatalf("%s: there is no %s", name, c.broken)
		}
		files[c.broken] = "?"
		if got := telemetry.Open(files.Tree(t)).Read().TotalWatts; fmt.Sprintf("%.3f", got) != fmt.Sprintf("%.3f", c.want) {
			t.Errorf("%s: %v W, want %v", name, got, c.want)
		}
	}
}

// FuzzContent has any content in all files of a board at once: what is told of it is possible.
func FuzzContent(f *testing.F) {
	for _, seed := range []string{"", "0\n", "-1", "5000\n", "pmode:0002", "< POWER_MODEL ID=2 NAME=X >", "\xff\x00", "1e9", "99999999999999999999", "soctherm_oc\n", "ina3221"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		files := telemetrytest.Machine(t, telemetrytest.OrinJetPack6)
		for path := range files {
			if !strings.HasSuffix(path, "/name") && !strings.HasSuffix(path, "/type") && !strings.HasSuffix(path, "_label") {
				files[path] = content
			}
		}
		files["sys/class/thermal/thermal_zone99/type"], files["sys/class/thermal/thermal_zone99/temp"] = content, "40000\n"
		r := telemetry.Open(files.Tree(t)).Read()
		for _, z := range r.Zones {
			if z.Name == "" || !utf8.ValidString(z.Name) || z.Celsius < -60 || z.Celsius > 200 {
				t.Errorf("zone %+v", z)
			}
		}
		for _, rail := range r.Rails {
			if rail.Watts < -3000 || rail.Watts > 3000 {
				t.Errorf("rail %+v", rail)
			}
		}
		if g := r.GPU; g != nil && (g.FrequencyHertz < 0 || g.FrequencyHertz > 1e11 || g.LoadRatio != nil && (*g.LoadRatio < 0 || *g.LoadRatio > 1)) {
			t.Errorf("GPU %+v", g)
		}
		if m := r.PowerMode; m != nil && (m.ID < 0 || !utf8.ValidString(m.Name)) {
			t.Errorf("mode %+v", m)
		}
	})
}
