package config

import "cmp"

// Description is what there is to say of a setting.
type Description struct {
	Key, Flag, Variable string
	Kind                string // a word for its value
	Help                string
	Allowed             string // completes "want …"
	Default             string
}

// Describe returns all settings, those of a section together.
func Describe() []Description {
	c := Default()
	var all []Description
	for _, s := range table(&c) {
		all = append(all, Description{
			Key: s.Key, Flag: s.Flag, Variable: s.Env(), Kind: s.kind(),
			Help: s.Help, Allowed: s.allowed(), Default: cmp.Or(s.text(), "nothing"),
		})
	}
	return all
}
