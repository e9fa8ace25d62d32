//go:build cgo

package karakp2p

// #include "karakp2p.h"
import "C"

import (
	"encoding/binary"
	"iter"
	"time"
	"unsafe"
)

// Message is one received message. Its payload is the receiver's own: nothing else refers to it.
type Message struct {
	Topic    string // empty for a direct message
	Payload  []byte
	Source   PeerID // the author; empty when the message is not signed
	Via      PeerID // the peer that forwarded it
	ID       string // message id, bytes; decimal text for the default kind
	Protocol string // of a direct message, else empty
	Seq      uint64 // the author's sequence number, when HasSeq
	HasSeq   bool
	Time     time.Time // of arrival

	token int64 // of a verdict that is due, else 0
	node  *core
}

// Accept lets a message of a topic with validation spread further. False without effect: the topic has no
// validation, a verdict was given already, or its time (Config.ValidateTimeout) has passed.
func (m Message) Accept() bool { return m.verdict(C.KP2P_VERDICT_ACCEPT) }

// Reject stops the message and counts it against the peer that sent it. False as for Accept.
func (m Message) Reject() bool { return m.verdict(C.KP2P_VERDICT_REJECT) }

// Ignore stops the message. False as for Accept.
func (m Message) Ignore() bool { return m.verdict(C.KP2P_VERDICT_IGNORE) }

func (m Message) verdict(v int) bool {
	return m.token != 0 && m.node.native.verdict(m.token, v)
}

// record is one packed event. Its fields lie in the poll buffer, and hold until the next poll.
type record struct {
	kind, flags int
	inbox       int
	code        Code
	token, seq  int64
	timeNS      int64
	count       int64
	field       [C.KP2P_FIELDS][]byte
}

const (
	recordHead = C.KP2P_PACKED_HEAD
	lensAt     = recordHead - 4*C.KP2P_FIELDS // of the head that this package knows
)

// records walks through what a poll wrote. The record is the same one each time.
func records(buf []byte) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		var r record
		for len(buf) > 0 {
			size := binary.LittleEndian.Uint32(buf)
			r.parse(buf[:size])
			if !yield(&r) {
				return
			}
			buf = buf[size:]
		}
	}
}

func (r *record) parse(b []byte) {
	le := binary.LittleEndian
	_ = b[recordHead-1]
	head := int(le.Uint16(b[4:]))
	r.kind = int(le.Uint16(b[6:]))
	r.flags = int(le.Uint16(b[8:]))
	r.inbox = int(le.Uint16(b[10:]))
	r.code = Code(int32(le.Uint32(b[12:])))
	r.token = int64(le.Uint64(b[16:]))
	r.seq = int64(le.Uint64(b[24:]))
	r.timeNS = int64(le.Uint64(b[32:]))
	r.count = int64(le.Uint64(b[40:]))
	at := head
	for i := range r.field {
		n := le.Uint32(b[lensAt+4*i:])
		if n == C.KP2P_PACKED_MISSING {
			r.field[i] = nil
			continue
		}
		r.field[i] = b[at : at+int(n)]
		at += int(n)
	}
}

func (r *record) text(field int) string { return string(r.field[field]) }

func (r *record) time() time.Time { return time.Unix(0, r.timeNS) }

func (r *record) more() bool { return r.flags&C.KP2P_FLAG_MORE != 0 }

func (r *record) isMessage() bool {
	return r.kind == C.KP2P_EV_MESSAGE || r.kind == C.KP2P_EV_VALIDATE
}

// names keeps the strings that come again and again: topics, peer ids, protocols.
type names struct {
	last [C.KP2P_FIELDS]string
	all  map[string]string
}

const namesMax = 4096

func (n *names) get(r *record, field int) string {
	b := r.field[field]
	if string(b) == n.last[field] {
		return n.last[field]
	}
	s, ok := n.all[string(b)]
	if !ok {
		if n.all == nil || len(n.all) >= namesMax {
			n.all = make(map[string]string)
		}
		s = string(b)
		n.all[s] = s
	}
	n.last[field] = s
	return s
}

// message copies a record out of the poll buffer: the payload and, behind it, the id, which has no
// other use for that memory, into one allocation.
func (r *record) message(c *core, n *names) Message {
	payload, id := r.field[C.KP2P_F_PAYLOAD], r.field[C.KP2P_F_ID]
	own := make([]byte, len(payload)+len(id))
	copy(own, payload)
	m := Message{
		Topic:    n.get(r, C.KP2P_F_TOPIC),
		Payload:  own[:len(payload):len(payload)],
		Source:   PeerID(n.get(r, C.KP2P_F_FROM)),
		Via:      PeerID(n.get(r, C.KP2P_F_VIA)),
		Protocol: n.get(r, C.KP2P_F_PROTOCOL),
		Seq:      uint64(r.seq),
		HasSeq:   r.flags&C.KP2P_FLAG_NO_SEQ == 0,
		Time:     r.time(),
		node:     c,
	}
	if len(id) > 0 {
		behind := own[len(payload):]
		copy(behind, id)
		m.ID = unsafe.String(&behind[0], len(behind))
	}
	if r.kind == C.KP2P_EV_VALIDATE {
		m.token = r.token
	}
	return m
}
