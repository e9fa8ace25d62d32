//go:build cgo

package karakp2p

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// directQueue bounds direct messages that wait: they have no inbox of their own in the library.
type directQueue struct {
	messages []Message
	bytes    int
}

const (
	directMessagesMax = 65536
	directBytesMax    = 64 << 20
)

// push drops the oldest when there are too many, and tells how many.
func (q *directQueue) push(m Message) (dropped int) {
	q.messages = append(q.messages, m)
	q.bytes += len(m.Payload)
	for len(q.messages) > directMessagesMax || q.bytes > directBytesMax {
		q.pop()
		dropped++
	}
	return dropped
}

func (q *directQueue) pop() (Message, bool) {
	if len(q.messages) == 0 {
		return Message{}, false
	}
	m := q.messages[0]
	q.messages[0] = Message{}
	q.messages = q.messages[1:]
	q.bytes -= len(m.Payload)
	return m, true
}

// directHandler calls a function of the user's for the direct messages of one protocol.
type directHandler struct {
	c    *core
	name string
	call func(Message) error

	mu    sync.Mutex
	queue directQueue
	more  chan struct{}
}

// AddProtocol accepts direct messages of that protocol (an id such as "/chat/1"). They come out of the
// node's Recv, with Protocol set.
func (n *Node) AddProtocol(ctx context.Context, protocol string) error {
	defer runtime.KeepAlive(n)
	_, err := n.core().request(ctx, "add protocol", opAddProtocol, protocol, "")
	return err
}

// Handle accepts direct messages of that protocol and calls handler for each, on one goroutine, until the
// node is closed. What handler returns or panics with goes to Config.OnError. ErrState: it has one.
func (n *Node) Handle(ctx context.Context, protocol string, handler func(Message) error) error {
	if handler == nil {
		return failf(codeInval, "handle: the handler is nil")
	}
	c := n.core()
	h := &directHandler{
		c: c, name: fmt.Sprintf("handler of %q", protocol), call: handler, more: make(chan struct{}, 1),
	}
	c.mu.Lock()
	_, taken := c.handlers[protocol]
	if !taken && c.handlers != nil {
		c.handlers[protocol] = h
	}
	c.mu.Unlock()
	if taken {
		return failf(codeState, "handle: %q has a handler", protocol)
	}
	if err := n.AddProtocol(ctx, protocol); err != nil {
		c.mu.Lock()
		delete(c.handlers, protocol)
		c.mu.Unlock()
		return err
	}
	go h.run()
	return nil
}

func (h *directHandler) put(m Message) {
	h.mu.Lock()
	dropped := h.queue.push(m)
	h.mu.Unlock()
	if dropped > 0 {
		h.c.defaultIn.dropped.Add(uint64(dropped))
		h.c.report(Event{Kind: EventDropped, Time: m.Time, Count: dropped})
	}
	select {
	case h.more <- struct{}{}:
	default:
	}
}

func (h *directHandler) run() {
	for over := false; ; {
		h.mu.Lock()
		m, ok := h.queue.pop()
		h.mu.Unlock()
		switch {
		case ok:
			h.c.events.guard(h.name, func() error { return h.call(m) })
		case over:
			return
		default:
			select {
			case <-h.more:
			case <-h.c.over: // nothing comes any more: what is there is the last
				over = true
			}
		}
	}
}
