//go:build cgo

package karakp2p

import (
	"container/list"
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Published is the fate of a confirmed publish.
type Published struct {
	ID    string // message id
	Peers int    // how many peers it was queued for
}

// Sender is a way to publish, to be given to what shall do nothing else with the node. All senders of a
// node share its one bounded queue.
type Sender struct {
	c    *core
	node *Node // kept alive
}

// Sender gives the node's.
func (n *Node) Sender() *Sender {
	if n.sender == nil {
		return &Sender{c: notMade}
	}
	return n.sender
}

func (s *Sender) core() *core {
	if s == nil || s.c == nil {
		return notMade
	}
	return s.c
}

// Publish queues a message for everyone who subscribes to the topic, and waits for room in the queue until
// ctx is over. Those who wait are served in order. It returns once the message is accepted; when nobody
// subscribes it is held for a while (Config.PublishHold), and OnEvent is told of what is not sent. ErrTooBig,
// ErrInval, ErrClosed.
func (s *Sender) Publish(ctx context.Context, topic string, payload []byte) error {
	defer runtime.KeepAlive(s)
	if err := checkContext(ctx, "publish"); err != nil {
		return err
	}
	return s.core().publish(ctx, topic, payload, 0)
}

// TryPublish is Publish without waiting: ErrQueueFull when there is no room.
func (s *Sender) TryPublish(topic string, payload []byte) error {
	defer runtime.KeepAlive(s)
	c := s.core()
	if c.queue.busy() { // those who wait were first
		return failf(codeAgain, "the send queue is full, and others wait for room")
	}
	return c.native.publish(topic, payload, 0, 0)
}

// PublishBatch publishes all payloads to one topic, crossing into the library once for as many as there
// is room for. It tells how many were accepted: all of them, unless there is an error.
func (s *Sender) PublishBatch(ctx context.Context, topic string, payloads [][]byte) (int, error) {
	defer runtime.KeepAlive(s)
	if err := checkContext(ctx, "publish"); err != nil {
		return 0, err
	}
	c := s.core()
	total := 0
	for total < len(payloads) {
		buf, lens := joined(payloads[total:])
		for len(lens) > 0 {
			err := c.queue.do(ctx, func() error {
				n, err := c.native.publishBatch(topic, buf, lens)
				for _, size := range lens[:n] {
					buf = buf[size:]
				}
				lens = lens[n:]
				total += n
				return err
			})
			if err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

// batchBytes bounds the copy that a batch makes.
const batchBytes = 1 << 20

// joined copies the first payloads into one buffer: at least one, and not many more than batchBytes.
func joined(payloads [][]byte) (buf []byte, lens []uint32) {
	size, n := 0, 0
	for n < len(payloads) && (n == 0 || size+len(payloads[n]) <= batchBytes) {
		size += len(payloads[n])
		n++
	}
	buf, lens = make([]byte, 0, size), make([]uint32, n)
	for i, p := range payloads[:n] {
		buf = append(buf, p...)
		lens[i] = uint32(len(p))
	}
	return buf, lens
}

// PublishConfirm is Publish that waits until the message is on its way, and tells its id and how many
// peers it was queued for. ErrDuplicate, ErrNoPeers, ErrExpired: it was not sent.
func (s *Sender) PublishConfirm(ctx context.Context, topic string, payload []byte) (Published, error) {
	defer runtime.KeepAlive(s)
	if err := checkContext(ctx, "publish"); err != nil {
		return Published{}, err
	}
	c := s.core()
	if err := c.needStart("publish with confirmation"); err != nil {
		return Published{}, err
	}
	answers, err := c.await(ctx, "publish", func(token int64) error {
		return c.publish(ctx, topic, payload, token)
	})
	if err != nil {
		return Published{}, err
	}
	last := answers[len(answers)-1]
	return Published{ID: last.id, Peers: int(last.count)}, nil
}

// Publish is the node's Sender's.
func (n *Node) Publish(ctx context.Context, topic string, payload []byte) error {
	return n.Sender().Publish(ctx, topic, payload)
}

// TryPublish is the node's Sender's.
func (n *Node) TryPublish(topic string, payload []byte) error {
	return n.Sender().TryPublish(topic, payload)
}

// PublishBatch is the node's Sender's.
func (n *Node) PublishBatch(ctx context.Context, topic string, payloads [][]byte) (int, error) {
	return n.Sender().PublishBatch(ctx, topic, payloads)
}

// PublishConfirm is the node's Sender's.
func (n *Node) PublishConfirm(ctx context.Context, topic string, payload []byte) (Published, error) {
	return n.Sender().PublishConfirm(ctx, topic, payload)
}

// Send gives a direct message to one connected peer, on a stream of that protocol; there it arrives if
// the peer handles it (Handle, AddProtocol). It waits until the message is written. ErrNotFound: not connected.
func (n *Node) Send(ctx context.Context, peer PeerID, protocol string, payload []byte) error {
	defer runtime.KeepAlive(n)
	if err := checkContext(ctx, "send"); err != nil {
		return err
	}
	c := n.core()
	_, err := c.await(ctx, "send", func(token int64) error {
		return c.queue.do(ctx, func() error {
			return c.native.send(string(peer), protocol, payload, token)
		})
	})
	return err
}

func (c *core) publish(ctx context.Context, topic string, payload []byte, token int64) error {
	if !c.queue.busy() {
		err := c.native.publish(topic, payload, token, 0)
		if !isCode(err, codeAgain) {
			return err
		}
		if !c.isStarted() { // it can not become less full: let the library say so
			return c.native.publish(topic, payload, token, 1)
		}
	}
	return c.queue.do(ctx, func() error { return c.native.publish(topic, payload, token, 0) })
}

// --- waiting for room ---

// sendQueue is the line of those who wait for room in the library's send queue. One goroutine, there
// from the first wait on, watches the descriptor and tries for the head of the line, and for nobody else.
type sendQueue struct {
	c       *core
	waiters atomic.Int32 // len(waiting), to look without the lock

	mu      sync.Mutex
	waiting list.List // of *sending
	watch   *watched
	over    bool
	kick    chan struct{}
}

type sending struct {
	try  func() error
	err  error
	done chan struct{}
}

func newSendQueue(c *core) *sendQueue {
	return &sendQueue{c: c, kick: make(chan struct{}, 1)}
}

func (q *sendQueue) busy() bool { return q.waiters.Load() > 0 }

// do calls try until it is not refused for want of room: at once when nobody waits, then in turn.
func (q *sendQueue) do(ctx context.Context, try func() error) error {
	if !q.busy() {
		if err := try(); !isCode(err, codeAgain) {
			return err
		}
	}
	s := &sending{try: try, done: make(chan struct{})}
	if err := q.enter(s); err != nil {
		return err
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		if q.leave(s) {
			return contextError(ctx, "publish: the send queue is full")
		}
		<-s.done
	}
	return s.err
}

func (q *sendQueue) enter(s *sending) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.c.isStarted() {
		return failf(codeState, "the node has not been started: the send queue can not become less full")
	}
	if q.over {
		return errClosedNode
	}
	if q.watch == nil {
		if err := q.startWatch(); err != nil {
			return err
		}
	}
	q.waiting.PushBack(s)
	q.waiters.Add(1)
	select {
	case q.kick <- struct{}{}:
	default:
	}
	return nil
}

func (q *sendQueue) startWatch() error {
	fd, err := q.c.native.senderFD()
	if err != nil {
		return err
	}
	watch, err := watchFD(fd)
	if err != nil {
		return err
	}
	if !q.c.spawn(func() { q.run(watch) }) {
		watch.close()
		return errClosedNode
	}
	q.watch = watch
	return nil
}

func (q *sendQueue) run(watch *watched) {
	defer watch.close()
	for {
		select {
		case <-q.kick:
		case <-q.c.over:
			return
		}
		watch.until(func() bool {
			q.mu.Lock()
			defer q.mu.Unlock()
			for q.waiting.Len() > 0 {
				s := q.waiting.Front().Value.(*sending)
				if s.err = s.try(); isCode(s.err, codeAgain) {
					return false
				}
				q.remove(q.waiting.Front())
				close(s.done)
			}
			return true
		})
	}
}

func (q *sendQueue) remove(e *list.Element) {
	q.waiting.Remove(e)
	q.waiters.Add(-1)
}

// leave takes one whose context is over out of the line. False: it has had its turn.
func (q *sendQueue) leave(s *sending) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := q.waiting.Front(); e != nil; e = e.Next() {
		if e.Value == s {
			q.remove(e)
			return true
		}
	}
	return false
}

// finish ends the line: the node is closed.
func (q *sendQueue) finish() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	for q.waiting.Len() > 0 {
		s := q.waiting.Front().Value.(*sending)
		s.err = errClosedNode
		q.remove(q.waiting.Front())
		close(s.done)
	}
}
