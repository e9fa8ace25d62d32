//go:build cgo

package karakp2p

// #include "karakp2p.h"
import "C"

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// goodbye is the time that Close gives the node to send what is queued and take leave of its peers.
const goodbye = 2 * time.Second

// Node is a peer of the network. Make it with New. All methods may be called by any goroutine at any
// time; after Close they fail with ErrClosed. Its Reader receives the messages of all topics that have no
// Subscription, and direct messages without a handler.
type Node struct {
	Reader
	sender *Sender
}

var _ io.Closer = (*Node)(nil)

// core is what the goroutines of a node hold. It never refers to the Node, so that one which nobody
// holds any more can be collected.
type core struct {
	native    *native
	queue     *sendQueue
	events    *reporter
	defaultIn *inbox
	tokens    atomic.Int64

	started chan struct{} // closed by Start
	closing chan struct{} // closed by the first Close
	over    chan struct{} // closed when the library says that the node is closed
	done    chan struct{} // closed when nothing is left of it

	startOnce, closeOnce, overOnce sync.Once

	life     sync.Mutex
	finished bool           // no goroutine may be started any more
	work     sync.WaitGroup // the goroutines that use the library

	mu       sync.Mutex
	calls    map[int64]*call
	inboxes  map[int]*inbox    // those of subscriptions
	topics   map[string]*inbox // the same
	handlers map[string]*directHandler
	last     map[string]string // info of a node that is closed
}

// New makes a node with that configuration. It has no socket and no thread until Start.
func New(config Config) (*Node, error) {
	settings, err := config.settings()
	if err != nil {
		return nil, err
	}
	// topics are routed away from inbox 0, which is for answers: they are not the library's to join
	topics := config.Topic
	for _, t := range topics {
		if err := checkSettings([]setting{{"topic", t}}); err != nil {
			return nil, err
		}
	}
	native, err := newNative(settings)
	if err != nil {
		return nil, err
	}
	c := &core{
		native: native,
		events: newReporter(&config), started: make(chan struct{}), closing: make(chan struct{}),
		over: make(chan struct{}), done: make(chan struct{}), calls: make(map[int64]*call),
		inboxes: make(map[int]*inbox), topics: make(map[string]*inbox),
		handlers: make(map[string]*directHandler),
	}
	c.queue = newSendQueue(c)
	c.defaultIn = newInbox(c, defaultInbox, "")
	for _, t := range topics {
		if err := native.request(opSubscribe, t, fmt.Sprintf("inbox=%d", defaultInbox), 0); err != nil {
			native.free()
			return nil, err
		}
	}
	n := &Node{}
	n.in = c.defaultIn
	n.sender = &Sender{c: c, node: n}
	runtime.AddCleanup(n, func(c *core) { c.close(goodbye) }, c)
	return n, nil
}

// core of a node that New made; of another, one that is closed.
func (n *Node) core() *core {
	if n == nil || n.in == nil {
		return notMade
	}
	return n.in.c
}

// notMade stands for the core of a zero Node: everything fails with ErrClosed.
var notMade = func() *core {
	c := &core{native: &native{}, events: &reporter{}, started: make(chan struct{}), closing: make(chan struct{}),
		over: make(chan struct{}), done: make(chan struct{}), last: map[string]string{}}
	c.queue = newSendQueue(c)
	c.closeOnce.Do(func() {})
	close(c.closing)
	close(c.over)
	close(c.done)
	return c
}()

// Start binds the listen addresses, which Addresses tells then, and brings the node to life. A
// bootstrap peer that is down does not make it fail. After ErrAddrInUse and the like it can be started
// again; a second start is ErrState, one after Close ErrClosed. ctx is for Start alone: cancelling it
// later does not end the node.
func (n *Node) Start(ctx context.Context) error {
	if err := checkContext(ctx, "start"); err != nil {
		return err
	}
	c := n.core()
	if err := c.native.start(); err != nil {
		return err
	}
	fd, err := c.native.inboxFD(0)
	var watch *watched
	if err == nil {
		watch, err = watchFD(fd)
	}
	if err != nil { // out of descriptors: nothing would ever be answered
		c.native.close(0, true)
		c.closeOnce.Do(func() { close(c.closing); go c.finish() })
		return err
	}
	if !c.spawn(func() { c.drain(watch) }) {
		watch.close()
		return errClosedNode
	}
	c.events.start(c)
	c.startOnce.Do(func() { close(c.started) })
	return nil
}

func (c *core) isStarted() bool {
	select {
	case <-c.started:
		return true
	default:
		return false
	}
}

func (c *core) isClosing() bool {
	select {
	case <-c.closing:
		return true
	case <-c.over:
		return true
	default:
		return false
	}
}

// spawn starts a goroutine that Close waits for. False: too late, it has not been started.
func (c *core) spawn(f func()) bool {
	c.life.Lock()
	defer c.life.Unlock()
	if c.finished {
		return false
	}
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		f()
	}()
	return true
}

// Close says goodbye and ends the node: it accepts no more publishes, sends what is queued, tells the
// peers, and waits until nothing is left of the node, which takes 2 seconds at most. What was received
// before can still be received. Again, or on a node that was not started: nil.
//
// Functions of yours that are called for this node (handlers, OnEvent) may call it; it does not wait for them.
func (n *Node) Close() error {
	c := n.core()
	c.close(goodbye)
	<-c.done
	return nil
}

// Shutdown is Close with the time that ctx gives: all of it is the goodbye's budget, without a
// deadline as long as it takes. When ctx is over before the node is closed, Shutdown returns its error; the
// goodbye goes on meanwhile, for 2 seconds at most, also when ctx was over from the start.
func (n *Node) Shutdown(ctx context.Context) error {
	if ctx == nil {
		return failf(codeInval, "shutdown: the context is nil")
	}
	c := n.core()
	budget := time.Duration(-1)
	if deadline, ok := ctx.Deadline(); ok {
		budget = max(0, time.Until(deadline))
	}
	if ctx.Err() != nil {
		budget = goodbye
	}
	c.close(budget)
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	c.close(goodbye)
	select {
	case <-c.done:
		return nil
	default:
		return contextError(ctx, "shutdown")
	}
}

// close begins the end, or shortens its budget.
func (c *core) close(drain time.Duration) {
	c.native.close(drain, false)
	c.closeOnce.Do(func() {
		close(c.closing)
		go c.finish()
	})
}

// finish waits for the end, saves what can be asked for afterwards, and frees everything.
func (c *core) finish() {
	// 0: it never ran. Otherwise inbox 0 tells, so that no thread waits inside of C for the goodbye.
	if c.native.close(-1, false) == codeAgain {
		<-c.over
	}
	c.native.close(-1, true)
	c.overOnce.Do(func() { close(c.over) })
	c.life.Lock()
	c.finished = true
	c.life.Unlock()
	c.work.Wait()

	c.queue.finish()
	c.failCalls()
	last := make(map[string]string)
	for _, what := range infoKinds {
		last[what], _ = c.native.info(what)
	}
	c.mu.Lock()
	c.last = last
	boxes := []*inbox{c.defaultIn}
	for _, b := range c.inboxes {
		boxes = append(boxes, b)
	}
	c.mu.Unlock()
	for _, b := range boxes {
		b.finish()
	}
	c.native.free()
	close(c.done)
}

// --- inbox 0 ---

// drain takes everything out of inbox 0 until the node is closed: answers, reports, direct messages.
func (c *core) drain(watch *watched) {
	defer watch.close()
	defer c.overOnce.Do(func() { close(c.over) })
	buf := make([]byte, pollMin)
	var names names
	for {
		var used int
		var code Code
		watch.until(func() bool {
			var n int
			n, used, code = c.native.poll(0, buf)
			return n > 0 || code != 0
		})
		switch code {
		case 0:
			for r := range records(buf[:used]) {
				c.dispatch(r, &names)
			}
		case codeTooBig:
			buf = make([]byte, used)
		default: // closed, also when somebody else closed it
			c.closeOnce.Do(func() {
				close(c.closing)
				go c.finish()
			})
			return
		}
	}
}

func (c *core) dispatch(r *record, names *names) {
	switch {
	case r.isMessage():
		m := r.message(c, names)
		c.mu.Lock()
		h := c.handlers[m.Protocol]
		c.mu.Unlock()
		if h != nil {
			h.put(m)
		} else {
			c.defaultIn.putDirect(m)
		}
	case r.token != 0 && (r.kind == C.KP2P_EV_COMPLETE || r.kind == C.KP2P_EV_PUBLISHED):
		c.complete(r)
	case r.kind == C.KP2P_EV_LOG:
		c.events.log(r)
	default:
		c.report(eventOf(r))
	}
}

func (c *core) report(e Event) { c.events.put(e) }
