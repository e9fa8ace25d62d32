package main

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// karakID is the message id of a Karak network: SipHash-1-3 under the zero key over the 8-byte little-endian length
// followed by the data, as decimal text.
func karakID(data []byte) string {
	h := newSip()
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(data)))
	h.block(binary.LittleEndian.Uint64(length[:]))
	rest := data
	for ; len(rest) >= 8; rest = rest[8:] {
		h.block(binary.LittleEndian.Uint64(rest))
	}
	var last [8]byte
	copy(last[:], rest)
	// The top byte counts everything hashed, the length prefix included.
	last[7] = byte(len(data) + 8)
	h.block(binary.LittleEndian.Uint64(last[:]))
	return strconv.FormatUint(h.finish(), 10)
}

type sip struct{ v0, v1, v2, v3 uint64 }

func newSip() *sip {
	// The four words spell "somepseudorandomlygeneratedbytes".
	return &sip{0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573}
}

func (s *sip) round() {
	s.v0 += s.v1
	s.v2 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v1
	s.v0 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 = bits.RotateLeft64(s.v2, 32)
}

func (s *sip) block(m uint64) {
	s.v3 ^= m
	s.round()
	s.v0 ^= m
}

func (s *sip) finish() uint64 {
	s.v2 ^= 0xff
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}
