package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// FileVariable names the configuration file in the environment, as --config does.
const FileVariable = environmentPrefix + "CONFIG"

// fileFlag is the flag with the path of the configuration file.
const fileFlag = "config"

// Sources are the layers above the defaults.
type Sources struct {
	// Environ holds NAME=value strings as os.Environ returns them.
	Environ []string
	// Flags is a parsed set on which [RegisterFlags] was called; nil for none.
	Flags *pflag.FlagSet
}

// Loaded is a valid configuration and its history.
type Loaded struct {
	Config Config
	// Origins tells by key ("overlay.alpha") where a value came from. Keys with their
	// default are absent.
	Origins map[string]Origin
}

// Load merges defaults, the YAML file that --config or ROBUSTNET_CONFIG names, the
// environment and the flags. If anything is wrong, in whichever layer, the error is of
// type [Faults] and lists all of it.
func Load(src Sources) (Loaded, error) {
	l := newLoader()
	if file, namedBy := src.file(); file != "" {
		l.file(file, namedBy)
	}
	l.environment(src.Environ)
	if src.Flags != nil {
		l.flags(src.Flags)
	}
	return l.finish()
}

// Check reads one YAML file over the defaults and ignores environment and flags. The
// error is of type [Faults] and lists everything that is wrong.
func Check(file string) (Loaded, error) {
	l := newLoader()
	l.file(file, "")
	return l.finish()
}

// file is the path of the configuration file, if any, and the flag or variable with it.
func (src Sources) file() (path, namedBy string) {
	if src.Flags != nil {
		if f := src.Flags.Lookup(fileFlag); f != nil && f.Changed {
			return f.Value.String(), "--" + fileFlag
		}
	}
	for _, entry := range src.Environ {
		if path, found := strings.CutPrefix(entry, FileVariable+"="); found {
			return path, FileVariable
		}
	}
	return "", ""
}

// loader gathers values and faults, layer by layer.
type loader struct {
	config   *Config
	settings []setting
	origins  map[string]Origin
	listed   []entry // the list of cameras
	faults   Faults
}

func newLoader() *loader {
	c := Default()
	return &loader{config: &c, settings: table(&c), origins: map[string]Origin{}}
}

func (l *loader) finish() (Loaded, error) {
	l.list()
	l.faults = append(l.faults, conflicts(*l.config, l.origins, l.faults)...)
	l.faults = append(l.faults, listConflicts(*l.config, l.origins, l.listed)...)
	if len(l.faults) > 0 {
		return Loaded{}, l.faults
	}
	return Loaded{Config: *l.config, Origins: l.origins}, nil
}

// set stores a value, or the fault that it has.
func (l *loader) set(s setting, text string, from Origin) {
	if err := s.set(text); err != nil {
		l.fault(from, s.Key, err.Error())
		return
	}
	l.origins[s.Key] = from
}

// fault notes a problem. A problem with a setting starts with its key.
func (l *loader) fault(from Origin, key, problem string) {
	if key != "" {
		problem = key + " " + problem
	}
	l.faults = append(l.faults, Fault{Origin: from, Key: key, Problem: problem})
}

// environment reads ROBUSTNET_* variables, in the order of their names. Others may share
// the prefix: Kubernetes makes ROBUSTNET_EDGE_SERVICE_HOST and more for a service called
// robustnet-edge. Only what looks like a setting must be one.
func (l *loader) environment(environ []string) {
	known, sections := []string{FileVariable}, []string{}
	byName := map[string]setting{}
	for _, s := range l.settings {
		known = append(known, s.Env())
		sections = append(sections, environmentPrefix+strings.ToUpper(s.Section()))
		byName[s.Env()] = s
	}
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, environmentPrefix) || name == FileVariable {
			continue
		}
		from := Origin{Layer: LayerEnvironment, Where: name}
		if s, found := byName[name]; found {
			l.set(s, text, from)
			continue
		}
		inSection := slices.ContainsFunc(sections, func(s string) bool { return name == s || strings.HasPrefix(name, s+"_") })
		if near := Nearest(name, known); near != "" || inSection {
			l.fault(from, "", "no such setting"+didYouMean(near))
		}
	}
}

// flags reads the flags that were given.
func (l *loader) flags(flags *pflag.FlagSet) {
	for _, s := range l.settings {
		if f := flags.Lookup(s.Flag); f != nil && f.Changed {
			l.set(s, f.Value.String(), Origin{Layer: LayerFlag, Where: "--" + s.Flag})
		}
	}
}

func didYouMean(word string) string {
	if word == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", word)
}

// RegisterFlags adds --config and a flag for every setting to a set. The flags take any
// text: [Load] judges them, together with the other layers.
func RegisterFlags(flags *pflag.FlagSet) {
	flags.Var(&flagText{word: "file"}, fileFlag, "YAML file with settings")
	c := Default()
	for _, s := range table(&c) {
		f := flags.VarPF(&flagText{text: s.text(), word: s.kind()}, s.Flag, "", s.Help)
		if _, isSwitch := s.value.(field[bool]); isSwitch {
			f.NoOptDefVal = "true" // --stamp means --stamp=true
		}
	}
}

// flagText is a flag's value as it was written. It implements pflag.Value.
type flagText struct{ text, word string }

func (f *flagText) String() string     { return f.text }
func (f *flagText) Set(s string) error { f.text = s; return nil }
func (f *flagText) Type() string       { return f.word }
