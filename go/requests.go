//go:build cgo

package karakp2p

// #include "karakp2p.h"
import "C"

import (
	"context"
	"runtime"
	"time"
)

// answer is what the package keeps of a COMPLETE or PUBLISHED event.
type answer struct {
	id    string
	peer  PeerID
	addr  string
	count int64
}

// call is something with a token whose final event is awaited.
type call struct {
	answers []answer
	err     error
	done    chan struct{}
}

// await begins something that is given a token, and waits for its final event. When ctx is over first
// it asks the library to end it, and nobody waits for that any more.
func (c *core) await(ctx context.Context, what string, begin func(token int64) error) ([]answer, error) {
	token := c.tokens.Add(1)
	w := &call{done: make(chan struct{})}
	c.mu.Lock()
	if c.calls == nil {
		c.mu.Unlock()
		return nil, errClosedNode
	}
	c.calls[token] = w
	c.mu.Unlock()
	if err := begin(token); err != nil {
		c.forget(token)
		return nil, err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		if c.forget(token) {
			c.native.cancel(token)
			return nil, contextError(ctx, what)
		}
		<-w.done
	}
	return w.answers, w.err
}

// forget tells whether the call was still waiting.
func (c *core) forget(token int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, waiting := c.calls[token]
	delete(c.calls, token)
	return waiting
}

func (c *core) complete(r *record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.calls[r.token]
	if w == nil {
		return
	}
	w.answers = append(w.answers, answer{
		id: r.text(C.KP2P_F_ID), peer: PeerID(r.text(C.KP2P_F_FROM)),
		addr: r.text(C.KP2P_F_ADDR), count: r.count,
	})
	if !r.more() {
		w.err = r.failure()
		delete(c.calls, r.token)
		close(w.done)
	}
}

// failCalls ends what the library has not: nothing, unless it could not even tell.
func (c *core) failCalls() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.calls {
		w.err = errClosedNode
		close(w.done)
	}
	c.calls = nil
}

func (c *core) needStart(what string) error {
	if c.isClosing() {
		return errClosedNode
	}
	if !c.isStarted() {
		return failf(codeState, "%s: the node has not been started", what)
	}
	return nil
}

// request is an operation of the library. Those that may come before Start are queued by it.
func (c *core) request(ctx context.Context, what string, op int, arg, data string) ([]answer, error) {
	if err := checkContext(ctx, what); err != nil {
		return nil, err
	}
	if !c.isStarted() {
		return nil, c.native.request(op, arg, data, 0)
	}
	return c.await(ctx, what, func(token int64) error {
		return c.native.request(op, arg, data, token)
	})
}

// Connect connects to a multiaddress or a peer id, and gives the peer's id. ErrUnreachable, ErrPeerID.
func (n *Node) Connect(ctx context.Context, addr string) (PeerID, error) {
	defer runtime.KeepAlive(n)
	answers, err := n.core().request(ctx, "connect", opConnect, addr, "")
	if err != nil || len(answers) == 0 {
		return "", err
	}
	return answers[len(answers)-1].peer, nil
}

// Disconnect closes all connections to a peer. ErrNotFound: there is none.
func (n *Node) Disconnect(ctx context.Context, peer PeerID) error {
	defer runtime.KeepAlive(n)
	_, err := n.core().request(ctx, "disconnect", opDisconnect, string(peer), "")
	return err
}

// Ping measures the round trip to a connected peer. ErrNotFound: it is not connected.
func (n *Node) Ping(ctx context.Context, peer PeerID) (time.Duration, error) {
	defer runtime.KeepAlive(n)
	answers, err := n.core().request(ctx, "ping", opPing, string(peer), "")
	if err != nil || len(answers) == 0 {
		return 0, err
	}
	return time.Duration(answers[len(answers)-1].count) * time.Microsecond, nil
}

// FindPeer looks a peer's addresses up in the DHT. ErrNotFound.
func (n *Node) FindPeer(ctx context.Context, peer PeerID) ([]string, error) {
	defer runtime.KeepAlive(n)
	answers, err := n.core().request(ctx, "find peer", opFindPeer, string(peer), "")
	if err != nil {
		return nil, err
	}
	var addrs []string
	for _, a := range answers {
		if a.addr != "" {
			addrs = append(addrs, a.addr)
		}
	}
	return addrs, nil
}
