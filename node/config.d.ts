// The configuration keys as options. Made by tools/gen_config.py: do not edit.

import type { Key } from './index.js';

/** Options of a node: key `inbox.max_messages` is `inboxMaxMessages`. Times are in milliseconds, or text
 * with a unit (`'2m'`); sizes are in bytes, or text (`'64KiB'`); undefined is the default. */
export interface Config {
	/** Topic subscribed at start. More later by subscribe. 1..256 bytes. */
	topic?: string | readonly string[] | undefined;
	/** Address to listen on; port 0 lets the system choose. None: the node only dials.
	 * /ip4/A/tcp/P, /ip6/A/tcp/P. */
	listen?: string | readonly string[] | undefined;
	/** Peer to join the network by; dialled again for ever, with back-off, while it is down.
	 * /ip4|ip6|dns|dns4|dns6/…/tcp/P/p2p/ID, /dnsaddr/NAME. */
	bootstrap?: string | readonly string[] | undefined;
	/** Address told to other peers instead of the bound ones. /ip4|ip6|dns|dns4|dns6/…/tcp/P. */
	announce?: string | readonly string[] | undefined;
	/** Peer kept connected and sent every message, outside the mesh.
	 * /ip4|ip6|dns|dns4|dns6/…/tcp/P/p2p/ID. */
	direct?: string | readonly string[] | undefined;
	/** The node's key; without it a new one is made at every start. base64 of a PrivateKey
	 * protobuf, Ed25519. */
	identity?: string | Key | undefined;
	/** Agent version told by identify. 1..128 bytes; default karakp2p/VERSION. */
	agent?: string | undefined;
	/** Protocol version told by identify. 0..128 bytes; default ipfs/0.1.0. */
	protocolVersion?: string | undefined;
	/** A connection unused for this long is closed; 0 = never. 0..24h; default 2m. */
	idleTimeout?: number | string | undefined;
	/** Largest message, counted as the RPC that carries it. 1..16MiB; default 64KiB. */
	maxMessageSize?: number | string | undefined;
	/** How message ids are made; all nodes of a network must agree. karak|source_seqno|sha256;
	 * default karak. */
	messageId?: 'karak' | 'source_seqno' | 'sha256' | undefined;
	/** Whether messages are signed and must be. strict_sign|strict_no_sign|lax_sign|lax_no_sign;
	 * default strict_sign. */
	signature?: 'strict_sign' | 'strict_no_sign' | 'lax_sign' | 'lax_no_sign' | undefined;
	/** How long a message waits for the first subscriber; 0 = refused at once. 0..1h; default
	 * 10s. */
	publishHold?: number | string | undefined;
	/** Bytes of messages that may wait so. 0..1GiB; default 1MiB. */
	publishHoldBytes?: number | string | undefined;
	/** Time between two heartbeats. 10ms..1h; default 1s. */
	gossipsubHeartbeat?: number | string | undefined;
	/** Time from start to the first heartbeat. 0..1h; default 100ms. */
	gossipsubFirstHeartbeat?: number | string | undefined;
	/** Wanted size of a topic's mesh. 1..128; default 6. */
	gossipsubD?: number | undefined;
	/** A mesh smaller than this is filled up to d. 0..128; default 2. */
	gossipsubDLow?: number | undefined;
	/** A mesh larger than this is cut down to d. 1..256; default 12. */
	gossipsubDHigh?: number | undefined;
	/** Best peers always kept when a mesh is cut down. 0..128; default 4. */
	gossipsubDScore?: number | undefined;
	/** Mesh peers that we dialled, at least. 0..64; default 2. */
	gossipsubDOut?: number | undefined;
	/** Peers told of new messages by gossip, at least. 0..128; default 6. */
	gossipsubDLazy?: number | undefined;
	/** Share of the other peers told of new messages by gossip. 0..1; default 0.25. */
	gossipsubGossipFactor?: number | undefined;
	/** Heartbeats for which messages can be asked back. 1..128; default 10. */
	gossipsubHistoryLength?: number | undefined;
	/** Heartbeats for which messages are told of. 0..128; default 3. */
	gossipsubHistoryGossip?: number | undefined;
	/** How long a message id is remembered. 1s..1h; default 1m. */
	gossipsubSeenTtl?: number | string | undefined;
	/** How long peers of a topic published to, but not subscribed, are kept. 1s..1h; default 1m.
	 * */
	gossipsubFanoutTtl?: number | string | undefined;
	/** No new graft for this long after a prune. 1s..1h; default 1m. */
	gossipsubPruneBackoff?: number | string | undefined;
	/** The same after leaving a topic. 1s..1h; default 10s. */
	gossipsubUnsubscribeBackoff?: number | string | undefined;
	/** Own messages go to all subscribers known, not only to the mesh. true|false; default true.
	 * */
	gossipsubFloodPublish?: boolean | undefined;
	/** Message ids taken from one peer by IHAVE in one heartbeat. 1..100000; default 5000. */
	gossipsubMaxIhaveIds?: number | undefined;
	/** IHAVEs taken from one peer in one heartbeat. 1..1000; default 10. */
	gossipsubMaxIhaveMessages?: number | undefined;
	/** How often a peer may ask for the same message. 1..100; default 3. */
	gossipsubGossipRetransmission?: number | undefined;
	/** Messages from this size on are announced by IDONTWANT. 0..16MiB; default 1000. */
	gossipsubIdontwantSize?: number | string | undefined;
	/** Topics remembered of one peer besides ours. 1..100000; default 1024. */
	gossipsubTopicsPerPeer?: number | undefined;
	/** Own messages that may wait for one peer. 1..1000000; default 4096. */
	gossipsubSendOwnMessages?: number | undefined;
	/** Bytes of own messages that may wait for one peer. 1..4GiB; default 4MiB. */
	gossipsubSendOwnBytes?: number | string | undefined;
	/** Forwarded messages that may wait for one peer. 1..1000000; default 4096. */
	gossipsubSendForwardMessages?: number | undefined;
	/** Bytes of forwarded messages that may wait for one peer. 1..4GiB; default 4MiB. */
	gossipsubSendForwardBytes?: number | string | undefined;
	/** A message without a verdict for this long is ignored. 10ms..1h; default 10s. */
	validateTimeout?: number | string | undefined;
	/** Messages that may wait for a verdict; more are ignored and counted. 1..1000000; default
	 * 8192. */
	validateMaxPending?: number | undefined;
	/** Messages of one peer that may wait for their signature check. 1..1000000; default 4096. */
	verifyMaxMessages?: number | undefined;
	/** Bytes of one peer that may wait so; then its stream is not read. 1..4GiB; default 4MiB. */
	verifyMaxBytes?: number | string | undefined;
	/** Whether the DHT answers others, only asks, or is off. server|client|off; default server.
	 * */
	kadMode?: 'server' | 'client' | 'off' | undefined;
	/** Time between two refreshes of the routing table. 1s..24h; default 5m. */
	kadBootstrapInterval?: number | string | undefined;
	/** Open connections; above it they are trimmed. 1..65536; default 256. */
	maxConnections?: number | undefined;
	/** Trimming ends at this number; by default 7/8 of max_connections. 1..65536; default 224. */
	connectionsTrimTo?: number | undefined;
	/** Inbound connections in their handshake. 1..65536; default 256. */
	connectionsHalfOpen?: number | undefined;
	/** Connections to one peer. 1..64; default 4. */
	connectionsPerPeer?: number | undefined;
	/** For all addresses of a peer together, name lookups included. 10ms..10m; default 15s. */
	dialTimeout?: number | string | undefined;
	/** Transport dials under way at once. 1..4096; default 64. */
	dialMax?: number | undefined;
	/** From the transport's connection to an open one. 10ms..10m; default 10s. */
	handshakeTimeout?: number | string | undefined;
	/** Time between two pings of a connection. 100ms..24h; default 30s. */
	keepaliveInterval?: number | string | undefined;
	/** A connection that does not answer a ping for this long is closed. 10ms..1h; default 10s.
	 * */
	keepaliveTimeout?: number | string | undefined;
	/** Limit to which the receive window of a stream grows. 256KiB..1GiB; default 16MiB. */
	yamuxWindowMax?: number | string | undefined;
	/** Memory of the node, inboxes and outbox not counted. 8MiB..1024GiB; default 256MiB. */
	memoryMax?: number | string | undefined;
	/** Events that may wait in one inbox. 1..100000000; default 65536. */
	inboxMaxMessages?: number | undefined;
	/** Bytes of events that may wait in one inbox. 1..1024GiB; default 64MiB. */
	inboxMaxBytes?: number | string | undefined;
	/** Which event is dropped when an inbox is full. drop_old|drop_new; default drop_old. */
	inboxPolicy?: 'drop_old' | 'drop_new' | undefined;
	/** Bytes that may wait in all inboxes together. 1..1024GiB; default 256MiB. */
	inboxTotalBytes?: number | string | undefined;
	/** Own messages that may wait to be sent. 1..100000000; default 65536. */
	outboxMaxMessages?: number | undefined;
	/** Bytes of own messages that may wait to be sent. 1..1024GiB; default 64MiB. */
	outboxMaxBytes?: number | string | undefined;
	/** Requests under way at once. 1..1000000; default 4096. */
	requestsMax?: number | undefined;
	/** Threads that check signatures; 0 = one less than there are cores, 1 to 4. 0..64; default
	 * 0. */
	workers?: number | undefined;
	/** Optional events, as a comma list. peers|log|stats. */
	events?: string | readonly ('peers' | 'log' | 'stats')[] | undefined;
	/** Least severe level that is logged, where logs are asked for. off|error|warn|info|debug;
	 * default info. */
	logLevel?: 'off' | 'error' | 'warn' | 'info' | 'debug' | undefined;
	/** Time between two STATS events, if events names stats; 0 = none. 0..24h; default 10s. */
	statsInterval?: number | string | undefined;
}
