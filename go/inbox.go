//go:build cgo

package karakp2p

// #include "karakp2p.h"
import "C"

import (
	"container/list"
	"sync"
	"sync/atomic"
)

const (
	defaultInbox = 1 // of topics without a Subscription, and of direct messages
	pollMin      = 64 << 10
	pollMax      = 256 << 10
)

// inbox is one numbered inbox, and at most one batch that was taken from it and not given out yet.
// Who finds it empty waits in line; one goroutine, there from the first wait on, watches the
// descriptor for all of them. While anybody waits the batch is empty.
type inbox struct {
	c      *core
	number int
	topic  string // of a Subscription's

	dropped atomic.Uint64
	invalid atomic.Uint64

	mu      sync.Mutex
	batch   []Message
	next    int       // of batch; what is before it has been given out
	waiting list.List // of *receiver
	over    bool      // closed or unsubscribed: batch is the last
	buf     []byte
	names   names
	direct  directQueue
	watch   *watched
	kick    chan struct{} // somebody waits
	left    chan struct{} // closed by retire
}

// receiver waits for one message.
type receiver struct {
	m    Message
	err  error
	done chan struct{}
}

func newInbox(c *core, number int, topic string) *inbox {
	return &inbox{
		c: c, number: number, topic: topic,
		kick: make(chan struct{}, 1), left: make(chan struct{}),
	}
}

// ended is what a reader is told at the end.
func (b *inbox) ended() error {
	if b.topic != "" && !b.c.isClosing() {
		return failf(codeClosed, "the subscription to %q has ended", b.topic)
	}
	return errClosedNode
}

// fill takes a batch, without waiting. With the lock held.
func (b *inbox) fill() {
	if b.over {
		return
	}
	if b.next == len(b.batch) {
		b.batch, b.next = b.batch[:0], 0
	}
	before := len(b.batch)
	for len(b.batch) == before {
		if b.buf == nil {
			b.buf = make([]byte, pollMin)
		}
		n, used, code := b.c.native.poll(b.number, b.buf)
		switch {
		case code == codeTooBig:
			b.buf = make([]byte, used)
			continue
		case code == codeClosed:
			b.over = true
			return
		case n == 0:
			return
		}
		b.take(b.buf[:used])
		if used > len(b.buf)/2 && len(b.buf) < pollMax {
			b.buf = make([]byte, 2*len(b.buf))
		} else if len(b.buf) > pollMax { // for one large message
			b.buf = nil
		}
	}
}

func (b *inbox) take(buf []byte) {
	for r := range records(buf) {
		switch {
		case r.isMessage():
			b.batch = append(b.batch, r.message(b.c, &b.names))
		case r.kind == C.KP2P_EV_DROPPED:
			b.dropped.Add(uint64(r.count))
			b.c.report(Event{Kind: EventDropped, Time: r.time(), Topic: b.topic, Count: int(r.count)})
		}
	}
}

// pop gives what is at hand. With the lock held.
func (b *inbox) pop() (Message, bool) {
	if b.next < len(b.batch) {
		m := b.batch[b.next]
		b.batch[b.next] = Message{}
		b.next++
		return m, true
	}
	return b.direct.pop()
}

// serve gives those who wait what is there, in their order. With the lock held.
func (b *inbox) serve() {
	for b.waiting.Len() > 0 {
		m, ok := b.pop()
		if !ok && !b.over {
			return
		}
		w := b.waiting.Remove(b.waiting.Front()).(*receiver)
		w.m = m
		if !ok {
			w.err = b.ended()
		}
		close(w.done)
	}
}

// tryReceive gives a message, or an error at the end, or neither and nil when there is nothing yet.
// With the lock held.
func (b *inbox) tryReceive() (m Message, ok bool, err error) {
	if b.waiting.Len() > 0 { // they were first
		return Message{}, false, nil
	}
	m, ok = b.pop()
	if !ok {
		b.fill()
		m, ok = b.pop()
	}
	if !ok && b.over {
		return Message{}, false, b.ended()
	}
	return m, ok, nil
}

// wait enters the line. With the lock held. nil: look again, the node has just closed.
func (b *inbox) wait() (*receiver, error) {
	if !b.c.isStarted() {
		return nil, failf(codeState, "recv: the node has not been started")
	}
	if b.watch == nil {
		if err := b.startWatch(); err != nil {
			return nil, err
		}
	}
	w := &receiver{done: make(chan struct{})}
	b.waiting.PushBack(w)
	select {
	case b.kick <- struct{}{}:
	default:
	}
	return w, nil
}

func (b *inbox) startWatch() error {
	fd, err := b.c.native.inboxFD(b.number)
	if err != nil {
		return err
	}
	watch, err := watchFD(fd)
	if err != nil {
		return err
	}
	if !b.c.spawn(func() { b.run(watch) }) {
		watch.close()
		return errClosedNode
	}
	b.watch = watch
	return nil
}

// run is the goroutine that watches for those who wait.
func (b *inbox) run(watch *watched) {
	defer watch.close()
	for {
		select {
		case <-b.kick:
		case <-b.c.over:
			return
		}
		over := false
		if !watch.until(func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			for b.waiting.Len() > 0 && !b.over {
				before := b.waiting.Len()
				b.fill()
				b.serve()
				if b.waiting.Len() == before {
					return false
				}
			}
			b.serve()
			over = b.over
			return true
		}) || over {
			return
		}
	}
}

// leave takes a receiver whose context is over out of the line. False: it has been served.
func (b *inbox) leave(w *receiver) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.waiting.Front(); e != nil; e = e.Next() {
		if e.Value == w {
			b.waiting.Remove(e)
			return true
		}
	}
	return false
}

// putDirect takes a direct message in.
func (b *inbox) putDirect(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.direct.push(m); n > 0 {
		b.dropped.Add(uint64(n))
		b.c.report(Event{Kind: EventDropped, Time: m.Time, Count: n})
	}
	b.serve()
}

// putBack returns what was taken and could not be given out, as the next to be taken.
func (b *inbox) putBack(ms []Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.batch[b.next:]
	b.batch = append(append(make([]Message, 0, len(ms)+len(rest)), ms...), rest...)
	b.next = 0
	b.serve()
}

// retire ends the inbox of a topic that was left, and empties it so that its number can be used again.
func (b *inbox) retire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batch, b.next = nil, 0
	for !b.over {
		before := len(b.batch)
		b.fill()
		if len(b.batch) == before {
			break
		}
		b.batch = b.batch[:0]
	}
	b.batch, b.over = nil, true
	close(b.left)
	b.serve()
	if b.watch != nil {
		b.watch.close()
	}
}

// finish takes all that is left before the library's inbox is freed: it can still be received.
func (b *inbox) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.over {
		b.fill()
	}
	b.serve()
	b.buf = nil
}
