//go:build cgo

// Package karakp2p is peer-to-peer messaging: GossipSub publish-subscribe and a Kademlia DHT over
// libp2p (TCP, Noise, Yamux), by the C library KarakP2P.
//
// A [Node] is one peer of the network. It joins topics, gives out the messages of others by [Node.Recv],
// [Node.All] or [Node.Messages], and sends by [Node.Publish]. A [Subscription] is a topic with an inbox of
// its own, a [Topic] one whose messages are values of a Go type.
//
// # Waiting
//
// Everything that waits takes a context and ends with it; no message is lost by that. No goroutine
// waits inside of C: the package watches descriptors of the library with Go's own poller, and crosses
// the boundary once for a batch of messages.
//
// # Back-pressure
//
// The send queue is bounded (Config.OutboxMaxMessages, OutboxMaxBytes). Publish waits for room, in
// the order of calls; TryPublish fails with [ErrQueueFull]. Messages that nobody receives wait in a
// bounded inbox (InboxMaxMessages, InboxMaxBytes); what does not fit is dropped and counted, see
// [Node.Dropped].
//
// # Errors
//
// A failure of the library is an [*Error] with the code, its name and a text that says what is wrong.
// errors.Is finds the package's Err values, and context.DeadlineExceeded, context.Canceled, net.ErrClosed,
// fs.ErrPermission and syscall.EADDRINUSE where they apply.
//
// # Building
//
// The package compiles the library itself and needs a C compiler, pkg-config and the development
// files of libuv, OpenSSL 3, c-ares and libsodium. Tag kp2p_nosodium does without libsodium, tag
// kp2p_dynamic links an installed libkarakp2p instead.
package karakp2p
