//go:build cgo

package karakp2p

// #include "karakp2p.h"
import "C"

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// EventKind says what an Event reports.
type EventKind int

// What Config.OnEvent is told of.
const (
	EventPublishFailed EventKind = iota + 1 // Topic, ID, Err: a Publish that had been accepted was not sent
	EventPeerUp                             // Peer, Addr; when Config.Events names "peers"
	EventPeerDown                           // Peer, Addr, Err, Text: why; likewise
	EventListen                             // Addr
	EventDropped                            // Count messages of Topic's inbox (or of the node's) were dropped
	EventStats                              // Text: JSON; when Config.Events names "stats"
	EventOther                              // Text: of a kind that this package does not know
)

func (k EventKind) String() string {
	names := []string{"publish failed", "peer up", "peer down", "listen", "dropped", "stats", "other"}
	if k < 1 || int(k) > len(names) {
		return fmt.Sprintf("event %d", int(k))
	}
	return names[k-1]
}

// Event is something that happened to the node besides messages.
type Event struct {
	Kind  EventKind
	Time  time.Time
	Topic string
	ID    string
	Peer  PeerID
	Addr  string
	Text  string
	Count int
	Err   error
}

func eventOf(r *record) Event {
	e := Event{
		Time: r.time(), Topic: r.text(C.KP2P_F_TOPIC), ID: r.text(C.KP2P_F_ID),
		Peer: PeerID(r.text(C.KP2P_F_FROM)), Addr: r.text(C.KP2P_F_ADDR), Text: r.text(C.KP2P_F_TEXT),
		Count: int(r.count), Err: r.failure(),
	}
	switch r.kind {
	case C.KP2P_EV_PUBLISHED:
		e.Kind = EventPublishFailed
	case C.KP2P_EV_PEER_UP:
		e.Kind = EventPeerUp
	case C.KP2P_EV_PEER_DOWN:
		e.Kind = EventPeerDown
	case C.KP2P_EV_LISTEN:
		e.Kind = EventListen
	case C.KP2P_EV_DROPPED:
		e.Kind = EventDropped
	case C.KP2P_EV_STATS:
		e.Kind = EventStats
	default:
		e.Kind = EventOther
	}
	return e
}

// failure is the error that a record tells of, or nil.
func (r *record) failure() error {
	if r.code == 0 {
		return nil
	}
	text := r.text(C.KP2P_F_TEXT)
	if text == "" {
		text = strerror(r.code)
	}
	if topic := r.text(C.KP2P_F_TOPIC); topic != "" {
		text = fmt.Sprintf("publish to %q: %s", topic, text)
	}
	return &Error{Code: r.code, Text: text}
}

// reportsMax is how many events may wait for a slow OnEvent or logger.
const reportsMax = 1024

// reporter calls the functions of the configuration, one after the other on a goroutine of its own,
// so that they may call the node.
type reporter struct {
	onEvent func(Event)
	onError func(error)
	logger  *slog.Logger
	queue   chan func()
	dropped atomic.Uint64
}

func newReporter(config *Config) *reporter {
	r := &reporter{onEvent: config.OnEvent, onError: config.OnError, logger: config.Logger}
	if r.onEvent != nil || r.logger != nil {
		r.queue = make(chan func(), reportsMax)
	}
	return r
}

// start begins to report. It ends after the node, when all has been told.
func (r *reporter) start(c *core) {
	if r.queue == nil {
		return
	}
	go func() {
		for {
			select {
			case f := <-r.queue:
				f()
				continue
			default:
			}
			select {
			case f := <-r.queue:
				f()
			case <-c.done:
				if len(r.queue) == 0 {
					return
				}
			}
		}
	}()
}

func (r *reporter) enqueue(f func()) {
	select {
	case r.queue <- f:
	default:
		r.dropped.Add(1)
	}
}

func (r *reporter) put(e Event) {
	if r.onEvent != nil {
		r.enqueue(func() {
			r.guard("OnEvent", func() error { r.onEvent(e); return nil })
		})
	}
}

var logLevels = map[Code]slog.Level{
	C.KP2P_LOG_ERROR: slog.LevelError, C.KP2P_LOG_WARN: slog.LevelWarn,
	C.KP2P_LOG_INFO: slog.LevelInfo, C.KP2P_LOG_DEBUG: slog.LevelDebug,
}

func (r *reporter) log(rec *record) {
	if r.logger == nil {
		return
	}
	level, text, when := logLevels[rec.code], rec.text(C.KP2P_F_TEXT), rec.time()
	r.enqueue(func() {
		r.guard("Logger", func() error {
			ctx := context.Background()
			if !r.logger.Enabled(ctx, level) {
				return nil
			}
			return r.logger.Handler().Handle(ctx, slog.NewRecord(when, level, text, 0))
		})
	})
}

// guard calls a function of the user's. What it returns or panics with goes to OnError, or else to
// the log; the node goes on.
func (r *reporter) guard(name string, f func() error) {
	defer func() {
		if p := recover(); p != nil {
			err, ok := p.(error)
			if !ok {
				err = fmt.Errorf("%v", p)
			}
			r.fail(&HandlerError{Handler: name, Err: err, Stack: debug.Stack()})
		}
	}()
	if err := f(); err != nil {
		r.fail(&HandlerError{Handler: name, Err: err})
	}
}

func (r *reporter) fail(err *HandlerError) {
	if r.onError == nil {
		logger := r.logger
		if logger == nil {
			logger = slog.Default()
		}
		logger.Error(err.Error())
		return
	}
	defer func() {
		if p := recover(); p != nil {
			slog.Error("karakp2p: OnError panicked", "panic", p, "told", err)
		}
	}()
	r.onError(err)
}
