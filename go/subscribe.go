//go:build cgo

package karakp2p

import (
	"context"
	"fmt"
	"runtime"
)

// Subscription is a joined topic with an inbox of its own. Its Reader ends when the node is closed or
// the topic is left.
type Subscription struct {
	Reader
}

// SubscribeOption changes how a topic is joined.
type SubscribeOption func(*subscribeOptions)

type subscribeOptions struct{ validate, self bool }

// WithValidation has messages spread only after Message.Accept. No verdict within Config.ValidateTimeout is
// Ignore.
func WithValidation() SubscribeOption { return func(o *subscribeOptions) { o.validate = true } }

// WithOwnMessages has the node's own messages arrive too.
func WithOwnMessages() SubscribeOption { return func(o *subscribeOptions) { o.self = true } }

// Subscribe joins a topic and gives it an inbox of its own. Again for the same topic: new options, and
// another reader of the same inbox. ErrLimit: 1,022 topics have one.
func (n *Node) Subscribe(ctx context.Context, topic string, options ...SubscribeOption) (*Subscription, error) {
	defer runtime.KeepAlive(n)
	var o subscribeOptions
	for _, set := range options {
		if set != nil {
			set(&o)
		}
	}
	c := n.core()
	b, fresh, err := c.inboxFor(topic)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("validate=%d self=%d inbox=%d", digit(o.validate), digit(o.self), b.number)
	if _, err := c.request(ctx, "subscribe", opSubscribe, topic, text); err != nil {
		if fresh {
			c.release(b)
		}
		return nil, err
	}
	return &Subscription{Reader{in: b, node: n}}, nil
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// inboxFor gives the topic's inbox, or a fresh one.
func (c *core) inboxFor(topic string) (b *inbox, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.topics[topic]; b != nil {
		return b, false, nil
	}
	if c.inboxes == nil || c.last != nil {
		return nil, false, errClosedNode
	}
	for number := defaultInbox + 1; number < inboxCount; number++ {
		if c.inboxes[number] == nil {
			b := newInbox(c, number, topic)
			c.inboxes[number], c.topics[topic] = b, b
			return b, true, nil
		}
	}
	return nil, false, failf(codeLimit, "subscribe: all %d inboxes are in use", inboxCount-defaultInbox-1)
}

// release ends an inbox and makes its number free.
func (c *core) release(b *inbox) {
	b.retire()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.topics[b.topic] == b {
		delete(c.topics, b.topic)
		delete(c.inboxes, b.number)
	}
}

// Unsubscribe leaves a topic, however it was joined. What was not received of its Subscription is
// gone.
func (n *Node) Unsubscribe(ctx context.Context, topic string) error {
	defer runtime.KeepAlive(n)
	c := n.core()
	if _, err := c.request(ctx, "unsubscribe", opUnsubscribe, topic, ""); err != nil {
		return err
	}
	c.mu.Lock()
	b := c.topics[topic]
	c.mu.Unlock()
	if b != nil {
		c.release(b)
	}
	return nil
}

// Topic is the name of what is subscribed to.
func (s *Subscription) Topic() string {
	if s.in == nil {
		return ""
	}
	return s.in.topic
}

// Unsubscribe leaves the topic. What was not received yet is gone. Again, or after Close: nil.
func (s *Subscription) Unsubscribe(ctx context.Context) error {
	if err := s.check(ctx, "unsubscribe"); err != nil {
		return err
	}
	select {
	case <-s.in.left:
		return nil
	default:
	}
	err := s.node.Unsubscribe(ctx, s.in.topic)
	if isCode(err, codeClosed) {
		return nil
	}
	return err
}

// Handle calls handler for each message, on a goroutine of its own, until the topic is left or the node
// closed. What handler returns or panics with goes to Config.OnError, and delivery goes on.
func (s *Subscription) Handle(handler func(Message) error) error {
	if handler == nil || s.in == nil {
		return failf(codeInval, "handle: the handler is nil, or the subscription not made by Subscribe")
	}
	name := fmt.Sprintf("handler of topic %q", s.in.topic)
	go func() {
		for m := range s.All(context.Background()) {
			s.in.c.events.guard(name, func() error { return handler(m) })
		}
	}()
	return nil
}
