package shell_test

import (
	"os/exec"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/shell"
)

func TestQuote(t *testing.T) {
	for argument, want := range map[string]string{
		"camvid=/data/cam-vid_2:day": "camvid=/data/cam-vid_2:day",
		"":                           "''",
		"my runs/isw":                "'my runs/isw'",
		"it's":                       `'it'\''s'`,
		"$HOME":                      "'$HOME'",
		"a'b c":                      `'a'\''b c'`,
		"~/runs":                     "'~/runs'",
		"Straße":                     "'Straße'",
		"a\nb":                       "'a\nb'",
		"`id`;*":                     "'`id`;*'",
	} {
		quoted := shell.Quote(argument)
		if quoted != want {
			t.Errorf("%q is quoted as %s, want %s", argument, quoted, want)
		}
		if read, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quoted).Output(); err != nil || string(read) != argument {
			t.Errorf("the shell reads %s as %q, %v", quoted, read, err)
		}
	}
}
