//go:build cgo

package karakp2p

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// messagesCap is the capacity of the channel of Messages.
const messagesCap = 256

// Reader takes messages out of one inbox: that of a Node or of a Subscription. Several readers of one
// inbox compete, and each message goes to one of them.
type Reader struct {
	in   *inbox
	node *Node // of a Subscription, kept alive by it

	once sync.Once
	ch   chan Message
}

// Recv gives the next message. It ends with ctx, which loses no message, and with ErrClosed when the node
// was closed (or the topic left) and all has been read.
func (r *Reader) Recv(ctx context.Context) (Message, error) {
	defer runtime.KeepAlive(r)
	if err := r.check(ctx, "recv"); err != nil {
		return Message{}, err
	}
	b := r.in
	b.mu.Lock()
	m, ok, err := b.tryReceive()
	if ok || err != nil {
		b.mu.Unlock()
		return m, err
	}
	w, err := b.wait()
	b.mu.Unlock()
	if err != nil {
		return Message{}, err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		if b.leave(w) {
			return Message{}, contextError(ctx, "recv")
		}
		<-w.done
	}
	return w.m, w.err
}

// RecvBatch fills out with up to len(out) messages and tells how many. It waits as Recv, for the first
// only.
func (r *Reader) RecvBatch(ctx context.Context, out []Message) (int, error) {
	if len(out) == 0 {
		return 0, failf(codeInval, "recv batch: there is no room for a message")
	}
	m, err := r.Recv(ctx)
	if err != nil {
		return 0, err
	}
	out[0] = m
	b := r.in
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 1
	for n < len(out) {
		if b.next < len(b.batch) {
			k := copy(out[n:], b.batch[b.next:])
			clear(b.batch[b.next : b.next+k])
			b.next += k
			n += k
			continue
		}
		m, ok, _ := b.tryReceive()
		if !ok {
			break
		}
		out[n] = m
		n++
	}
	return n, nil
}

// All iterates over the messages. It ends without an error when the node is closed or the topic left;
// when ctx is over, that is the last thing it gives.
func (r *Reader) All(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			m, err := r.Recv(ctx)
			if isCode(err, codeClosed) {
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// Listen calls handler for each message, until it returns an error, which is returned, or ctx is over.
// Nil at the end, as for All. Its panics are not caught: they are the caller's.
func (r *Reader) Listen(ctx context.Context, handler func(Message) error) error {
	for m, err := range r.All(ctx) {
		if err == nil {
			err = handler(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Messages gives a channel of the messages, always the same one, which is closed when the node is closed
// or the topic left. It holds 256 messages; what does not fit any more at the end can be had by Recv. A
// node whose channel was asked for lives until Close.
func (r *Reader) Messages() <-chan Message {
	r.once.Do(func() {
		r.ch = make(chan Message, messagesCap)
		if r.in == nil { // not made by New or Subscribe
			close(r.ch)
			return
		}
		go r.pump()
	})
	return r.ch
}

func (r *Reader) pump() {
	defer close(r.ch)
	select {
	case <-r.in.c.started:
	case <-r.in.c.over:
	}
	batch := make([]Message, messagesCap)
	for {
		n, err := r.RecvBatch(context.Background(), batch)
		if err != nil {
			return
		}
		for i := range n {
			if !r.offer(batch[i]) {
				r.in.putBack(batch[i:n])
				return
			}
			batch[i] = Message{}
		}
	}
}

// offer waits for room in the channel, but not once the node is closed: there may be no reader.
func (r *Reader) offer(m Message) bool {
	select {
	case r.ch <- m:
		return true
	default:
	}
	select {
	case r.ch <- m:
		return true
	case <-r.in.c.over:
	case <-r.in.left:
	}
	return false
}

// Dropped tells how many messages were lost because nobody received them in time.
func (r *Reader) Dropped() uint64 {
	if r.in == nil {
		return 0
	}
	return r.in.dropped.Load()
}

func (r *Reader) check(ctx context.Context, what string) error {
	if r == nil || r.in == nil {
		return failf(codeInval, "%s: not made by New or Subscribe", what)
	}
	return checkContext(ctx, what)
}
