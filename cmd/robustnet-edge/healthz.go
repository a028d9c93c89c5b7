package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
)

// answerTime is how long a daemon may take to say whether it is ready. It does not wait for
// anything to say so.
const answerTime = 3 * time.Second

// newHealthz makes the command that a container's health check runs.
func newHealthz() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthz",
		Short: "Ask the running daemon whether fresh frames go through the network",
		Long: `Healthz asks the daemon that listens on http.address of these settings, by /readyz, whether
fresh frames go through the network. It prints the answer in one line. The exit code is 1
when they do not, or when there is no answer within three seconds.`,
		Example: `  robustnet-edge healthz
  robustnet-edge healthz --http 127.0.0.1:8081`,
		Args: cli.Positional(cobra.NoArgs),
	}
	addSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := load(cmd)
		if err != nil {
			return err
		}
		if err := askReady(cmd.Context(), loaded.Config.HTTP.Address, answerTime); err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "ready")
		return err
	}
	return cmd
}

// askReady asks the daemon that listens on an address; its refusal is the error.
func askReady(ctx context.Context, address string, patience time.Duration) error {
	host, err := askableHost(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	page := "http://" + host + "/readyz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, // and no proxy: this is the machine itself
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	answer, err := client.Do(request)
	if err != nil {
		return noAnswer(ctx, host, patience, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err != nil {
		return noAnswer(ctx, host, patience, err)
	}
	said, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	switch {
	case answer.StatusCode == http.StatusOK && said == "ready":
		return nil
	case answer.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("not ready: %s", said)
	}
	return fmt.Errorf("%s is not the daemon's: it answers %s, %.100q", page, answer.Status, said)
}

func noAnswer(ctx context.Context, host string, patience time.Duration, err error) error {
	if ctx.Err() == context.DeadlineExceeded {
		return fmt.Errorf("the daemon on %s does not answer within %s", host, patience)
	}
	var cause *url.Error
	if errors.As(err, &cause) {
		err = cause.Err // the address is told already
	}
	return fmt.Errorf("no daemon answers on %s: %w", host, err)
}

// askableHost turns the address on which a daemon listens into one at which it can be asked.
func askableHost(address string) (string, error) {
	if address == "" {
		return "", errors.New("http.address is off, so the daemon cannot be asked; give it an address, such as 127.0.0.1:8080")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("http.address is %s: %w", address, err)
	}
	if strings.Trim(port, "0") == "" {
		return "", fmt.Errorf("http.address is %s, of which only the daemon's log knows the port; give it a port of your choice", address)
	}
	// Listening on all addresses, the daemon listens on the loopback, too.
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}
