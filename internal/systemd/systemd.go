// Package systemd tells the service manager that started the program how it does, by the
// protocol of sd_notify(3).
package systemd

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// Service is the connection to systemd. It implements edge.Service. A message that cannot be
// sent is logged; it does not keep the program from its work.
type Service struct {
	log      zerolog.Logger
	patience time.Duration
}

// Find returns the connection to the systemd that waits for this process's messages (the
// environment's NOTIFY_SOCKET), nil if none does.
func Find(log zerolog.Logger) *Service {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	patience, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn().Err(err).Msg("systemd's watchdog cannot be fed")
	}
	return &Service{log: log, patience: patience}
}

// Ready says that the program serves, with a line about how.
func (s *Service) Ready(status string) { s.send(daemon.SdNotifyReady, statusLine(status)) }

// Reloading says that the configuration is being read again; Ready ends that. The time stamp
// is for the units of type notify-reload (systemd 253), and others ignore it.
func (s *Service) Reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		s.log.Warn().Err(err).Msg("systemd cannot be told when the reload began")
		return
	}
	s.send(daemon.SdNotifyReloading, fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

// Stopping says that the program ends.
func (s *Service) Stopping() { s.send(daemon.SdNotifyStopping) }

// Status is the line that systemctl status shows.
func (s *Service) Status(line string) { s.send(statusLine(line)) }

// Alive feeds the watchdog.
func (s *Service) Alive() { s.send(daemon.SdNotifyWatchdog) }

// Patience is the unit's WatchdogSec, 0 without one.
func (s *Service) Patience() time.Duration { return s.patience }

func statusLine(line string) string { return "STATUS=" + strings.ReplaceAll(line, "\n", " ") }

func (s *Service) send(fields ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(fields, "\n")); err != nil {
		s.log.Warn().Err(err).Str("message", fields[0]).Msg("systemd cannot be told")
	}
}
