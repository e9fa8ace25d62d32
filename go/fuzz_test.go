//go:build cgo

package karakp2p

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzArguments gives every method that takes texts or bytes whatever comes: it must answer with an error
// of the package, or succeed.
func FuzzArguments(f *testing.F) {
	f.Add("topic", "/p/1", "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms", []byte("x"), int64(0))
	f.Add("", "", "", []byte(nil), int64(-1))
	f.Add("a\x00b", "\x00", "\xff\xfe", bytes.Repeat([]byte{0}, 70000), int64(1)<<62)
	f.Add(strings.Repeat("t", 257), strings.Repeat("/", 300), "/ip4/127.0.0.1/tcp/1/p2p/x", []byte{0xff}, int64(5))
	n, err := New(testConfig())
	must(f, err)
	must(f, n.Start(context.Background()))
	f.Cleanup(func() { n.Close() })
	f.Fuzz(func(t *testing.T, text, protocol, peer string, data []byte, number int64) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
		defer cancel()
		check := func(what string, err error) {
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Error() == "" || e.Code >= 0) {
				t.Errorf("%s: %v", what, err)
			}
		}
		check("publish", n.Publish(ctx, text, data))
		check("try", n.TryPublish(text, data))
		_, err := n.PublishBatch(ctx, text, [][]byte{data, nil, data})
		check("batch", err)
		_, err = n.PublishConfirm(ctx, text, data)
		check("confirm", err)
		check("send", n.Send(ctx, PeerID(peer), protocol, data))
		_, err = n.Connect(ctx, peer)
		check("connect", err)
		check("disconnect", n.Disconnect(ctx, PeerID(peer)))
		_, err = n.Ping(ctx, PeerID(peer))
		check("ping", err)
		_, err = n.FindPeer(ctx, PeerID(peer))
		check("find", err)
		s, err := n.Subscribe(ctx, text, nil, WithValidation())
		check("subscribe", err)
		if err == nil {
			check("leave", s.Unsubscribe(ctx))
			if !utf8.ValidString(text) {
				t.Errorf("%q is a topic", text)
			}
		}
		check("unsubscribe", n.Unsubscribe(ctx, text))
		check("protocol", n.AddProtocol(ctx, protocol))
		_, err = n.Mesh(text)
		check("mesh", err)
		_, err = ParseKey(text)
		check("key", err)
		_, err = ParsePeerID(peer)
		check("peer id", err)
		node, err := New(Config{
			Topic: []string{text}, Listen: []string{peer}, Bootstrap: []string{protocol}, Identity: Key{text: text},
			MaxMessageSize: number, Workers: int(number), IdleTimeout: time.Duration(number), KadMode: text,
			GossipsubGossipFactor: Ptr(float64(number)), Extra: map[string]string{text: protocol},
		})
		check("new", err)
		if err == nil {
			node.Close()
		}
		check("nil context", n.Publish(nil, text, data))
	})
}
