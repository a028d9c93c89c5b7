package ranks_test

import (
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/ranks"
)

func TestFromEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		env  string
		want ranks.Config
	}{
		"alone":          {"", ranks.Config{World: 1}},
		"alone, somehow": {"PATH=/bin LOCAL_RANK=0", ranks.Config{World: 1}},
		"one of one": {"MASTER_ADDR=localhost MASTER_PORT=29500 WORLD_SIZE=1 RANK=0 LOCAL_RANK=0",
			ranks.Config{World: 1, Address: "localhost:29500"}},
		"two machines": {"MASTER_ADDR=10.0.0.7 MASTER_PORT=1 WORLD_SIZE=16 RANK=9 LOCAL_RANK=1",
			ranks.Config{World: 16, Rank: 9, Local: 1, Address: "10.0.0.7:1"}},
		"IPv6": {"MASTER_ADDR=fe80::1 MASTER_PORT=65535 WORLD_SIZE=2 RANK=1 LOCAL_RANK=0",
			ranks.Config{World: 2, Rank: 1, Address: "[fe80::1]:65535"}},
		"no local rank": {"MASTER_ADDR=a MASTER_PORT=2 WORLD_SIZE=4 RANK=3", ranks.Config{World: 4, Rank: 3, Local: 3, Address: "a:2"}},
		"torchrun": {"MASTER_ADDR=a MASTER_PORT=2 WORLD_SIZE=2 RANK=0 LOCAL_RANK=0 TORCHELASTIC_USE_AGENT_STORE=True TORCHELASTIC_RESTART_COUNT=3",
			ranks.Config{World: 2, Address: "a:2", Served: true, Attempt: "3"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ranks.FromEnvironment(environment(c.env)); err != nil || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestFromEnvironmentFaults(t *testing.T) {
	for env, faults := range map[string][]string{
		"RANK=0": {"RANK set, but not MASTER_ADDR, MASTER_PORT, WORLD_SIZE; set all four"},
		"MASTER_ADDR=a MASTER_PORT=b WORLD_SIZE=0": {
			"MASTER_ADDR, MASTER_PORT, WORLD_SIZE set, but not RANK", `MASTER_PORT is "b"; want 1 to 65535`, `WORLD_SIZE is "0"; want 1 to 1024`},
		"MASTER_ADDR=a MASTER_PORT=65536 WORLD_SIZE=1e3 RANK=-1 LOCAL_RANK=gpu": {
			`MASTER_PORT is "65536"`, `WORLD_SIZE is "1e3"`, `RANK is "-1"; want 0 to 1023`, `LOCAL_RANK is "gpu"`},
		"MASTER_ADDR=a MASTER_PORT=1 WORLD_SIZE=2 RANK=2":                    {"RANK is 2 of a WORLD_SIZE of 2; want 0 to 1"},
		"MASTER_ADDR=a MASTER_PORT=99999999999999999999 WORLD_SIZE=2 RANK=0": {`MASTER_PORT is "99999999999999999999"`},
	} {
		got, err := ranks.FromEnvironment(environment(env))
		if err == nil {
			t.Errorf("%s: %+v, no error", env, got)
			continue
		}
		for _, fault := range faults {
			if !strings.Contains(err.Error(), fault) {
				t.Errorf("%s: %v\ndoes not say: %s", env, err, fault)
			}
		}
	}
}

// environment reads "NAME=value NAME=value".
func environment(text string) func(string) string {
	values := map[string]string{}
	for _, field := range strings.Fields(text) {
		name, value, _ := strings.Cut(field, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}
