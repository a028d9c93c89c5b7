package cli

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func page(t *testing.T) string {
	t.Helper()
	cook := &cobra.Command{
		Use: "cook MEAL", Short: "Cook a meal", RunE: func(*cobra.Command, []string) error { return nil },
		Long: "Cook does as it says.\n\n  first \\ line\n  .second line\n\n'Then' it ends - always.", Example: "  kitchen cook 'a soup'",
	}
	cook.Flags().Int("heat", 3, "how hot")
	cook.Flags().String("salt", "", "how much of `grams`")
	var out strings.Builder
	program := Program{Name: "kitchen", Short: "Cook", Long: "Kitchen cooks.", Exits: "  0  eaten\n", Version: "v1 (tests)", Commands: []*cobra.Command{cook}}
	if code := program.Run(context.Background(), []string{"manual"}, &out, io.Discard); code != OK {
		t.Fatalf("exit code %d", code)
	}
	return out.String()
}

func TestManual(t *testing.T) {
	got := page(t)
	for _, want := range []string{
		`.TH "KITCHEN" "1" "" "kitchen v1" "User Commands"`,
		"kitchen \\- cook\n",
		".SS \"kitchen cook MEAL [flags]\"\nCook does as it says.\n",
		".nf\nfirst \\e line\n\\&.second line\n.fi\n",
		"\\(aqThen\\(aq it ends \\- always.\n",
		".B \"\\-\\-heat int\"\nhow hot (default 3)\n",
		".B \"\\-\\-salt grams\"\nhow much of grams\n",
		".SH \"EXIT STATUS\"\n.TP\n.B \"0\"\neaten\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks\n%s\nit is\n%s", want, got)
		}
	}
	if strings.Contains(got, "completion") || strings.Contains(got, "manual") {
		t.Errorf("the page has commands that it should not:\n%s", got)
	}
}

// TestManualReads has the page read by those programs that are there.
func TestManualReads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kitchen.1")
	if err := os.WriteFile(file, []byte(page(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	readers := 0
	for _, reader := range [][]string{{"mandoc", "-T", "lint", "-W", "error", file}, {"groff", "-k", "-man", "-ww", "-z", file}} {
		if _, err := exec.LookPath(reader[0]); err != nil {
			continue
		}
		readers++
		if out, err := exec.CommandContext(t.Context(), reader[0], reader[1:]...).CombinedOutput(); err != nil || len(out) > 0 && reader[0] == "groff" {
			t.Errorf("%v: %v\n%s", reader, err, out)
		}
	}
	if readers == 0 {
		t.Skip("neither mandoc nor groff is installed")
	}
}
