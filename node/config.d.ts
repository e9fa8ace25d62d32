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
	/** If set, peers that no value of this key names or contains are refused. a peer id, an IP
	 * address, or a network like 10.0.0.0/8 or 2001:db8::/32. */
	allow?: string | readonly string[] | undefined;
	/** Peers never dialled nor accepted, also when allow has them. a peer id, an IP address, or a
	 * network like 10.0.0.0/8 or 2001:db8::/32. */
	deny?: string | readonly string[] | undefined;
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
	/** Memory of the messages that may wait so. 0..1GiB; default 1MiB. */
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
	/** Memory of the own messages that may wait for one peer. 1..4GiB; default 4MiB. */
	gossipsubSendOwnBytes?: number | string | undefined;
	/** Forwarded messages that may wait for one peer. 1..1000000; default 4096. */
	gossipsubSendForwardMessages?: number | undefined;
	/** Memory of the forwarded messages that may wait for one peer. 1..4GiB; default 4MiB. */
	gossipsubSendForwardBytes?: number | string | undefined;
	/** Peers are scored for nothing, for abuse alone (P4, P5, P7), or for everything.
	 * off|abuse|full; default abuse. */
	score?: 'off' | 'abuse' | 'full' | undefined;
	/** Below this score no gossip is told to a peer or taken from it. -1000000..0; default -10.
	 * */
	scoreGossipThreshold?: number | undefined;
	/** Below this, own messages go to a peer by the mesh alone. -1000000..0; default -50. */
	scorePublishThreshold?: number | undefined;
	/** Below this, nothing but its subscriptions is taken from a peer. -1000000..0; default -80.
	 * */
	scoreGraylistThreshold?: number | undefined;
	/** From this score on a peer may send us to others by PRUNE. 0..1000000; default 10. */
	scoreAcceptPxThreshold?: number | undefined;
	/** A mesh whose median score is below this takes in better peers once a minute. 0..1000000;
	 * default 1. */
	scoreOpportunisticGraftThreshold?: number | undefined;
	/** Most that all topics together can be worth; 0 = no limit. 0..1000000; default 100. */
	scoreTopicScoreCap?: number | undefined;
	/** P5: weight of score.app. -1000000..1000000; default 1. */
	scoreAppWeight?: number | undefined;
	/** P5: what a peer is worth by your own word. PEERID -1000000..1000000. */
	scoreApp?: string | readonly string[] | undefined;
	/** P6: weight of the peers over score.ip_threshold on one address, squared. -1000000..0;
	 * default -5. */
	scoreIpWeight?: number | undefined;
	/** P6: peers on one ip4 address, ip6 address or ip6 /64 that cost nothing. 0..100000; default
	 * 10. */
	scoreIpThreshold?: number | undefined;
	/** P6: private addresses count too; loopback never does. true|false; default false. */
	scoreIpPrivate?: boolean | undefined;
	/** P6: addresses that do not count. 192.0.2.0/24, 2001:db8::/32. */
	scoreIpExempt?: string | readonly string[] | undefined;
	/** P7: weight of broken promises and early GRAFTs over the threshold, squared. -1000000..0;
	 * default -1. */
	scoreBehaviourWeight?: number | undefined;
	/** P7: how many of them cost nothing. 0..1000000; default 10. */
	scoreBehaviourThreshold?: number | undefined;
	/** P7: what is left of them after score.decay_interval. 0..1; default 0.98. */
	scoreBehaviourDecay?: number | undefined;
	/** P7: of the ids asked for at once, one drawn by chance must come (go), or each (rust).
	 * batch|each; default batch. */
	scorePromises?: 'batch' | 'each' | undefined;
	/** Weight of messages dropped because a peer took them too slowly. -1000000..0; default 0. */
	scoreSlowWeight?: number | undefined;
	/** How many of them cost nothing. 0..1000000; default 0. */
	scoreSlowThreshold?: number | undefined;
	/** What is left of them after score.decay_interval. 0..1; default 0.2. */
	scoreSlowDecay?: number | undefined;
	/** How often counters decay. 1s..1h; default 1s. */
	scoreDecayInterval?: number | string | undefined;
	/** A counter below this is 0. 0..1; default 0.01. */
	scoreDecayToZero?: number | undefined;
	/** How long the score of a peer that left is kept, unless it is positive. 0..24h; default 1h.
	 * */
	scoreRetain?: number | string | undefined;
	/** Fields of score.topic.FIELD that differ for one topic. NAME FIELD=VALUE…. */
	scoreTopic?: string | readonly string[] | undefined;
	/** What a topic counts in a score. 0..1000000; default 1. */
	scoreTopicTopicWeight?: number | undefined;
	/** P1: weight of the time in the mesh. 0..1000000; default 0.01. */
	scoreTopicTimeInMeshWeight?: number | undefined;
	/** P1: the unit of that time. 1ms..24h; default 1s. */
	scoreTopicTimeInMeshQuantum?: number | string | undefined;
	/** P1: most units that count. 0..1000000; default 300. */
	scoreTopicTimeInMeshCap?: number | undefined;
	/** P2: weight of messages that a peer was the first to bring. 0..1000000; default 1. */
	scoreTopicFirstMessageDeliveriesWeight?: number | undefined;
	/** P2: what is left of them after score.decay_interval. 0..1; default 0.9. */
	scoreTopicFirstMessageDeliveriesDecay?: number | undefined;
	/** P2: most that count. 0..1000000; default 40. */
	scoreTopicFirstMessageDeliveriesCap?: number | undefined;
	/** P3: weight of messages that a mesh peer should have brought, squared; 0 = off.
	 * -1000000..0; default 0. */
	scoreTopicMeshMessageDeliveriesWeight?: number | undefined;
	/** P3: what is left of those it brought after score.decay_interval. 0..1; default 0.9. */
	scoreTopicMeshMessageDeliveriesDecay?: number | undefined;
	/** P3: most that count. 0..1000000; default 100. */
	scoreTopicMeshMessageDeliveriesCap?: number | undefined;
	/** P3: how many a mesh peer should have brought. 0..1000000; default 1. */
	scoreTopicMeshMessageDeliveriesThreshold?: number | undefined;
	/** P3: a copy that comes this long after the first still counts. 0..1m; default 10ms. */
	scoreTopicMeshMessageDeliveriesWindow?: number | string | undefined;
	/** P3: time in the mesh after which it begins. 1s..24h; default 30s. */
	scoreTopicMeshMessageDeliveriesActivation?: number | string | undefined;
	/** P3b: weight of what was missing when a peer left the mesh. -1000000..0; default 0. */
	scoreTopicMeshFailurePenaltyWeight?: number | undefined;
	/** P3b: what is left of it after score.decay_interval. 0..1; default 0.9. */
	scoreTopicMeshFailurePenaltyDecay?: number | undefined;
	/** P4: weight of invalid and rejected messages, squared. -1000000..0; default -1. */
	scoreTopicInvalidMessageDeliveriesWeight?: number | undefined;
	/** P4: what is left of them after score.decay_interval. 0..1; default 0.9. */
	scoreTopicInvalidMessageDeliveriesDecay?: number | undefined;
	/** Heartbeats between two opportunistic grafts. 1..3600; default 60. */
	gossipsubOpportunisticGraftTicks?: number | undefined;
	/** Peers grafted so at once. 0..128; default 2. */
	gossipsubOpportunisticGraftPeers?: number | undefined;
	/** Peers pruned from a full mesh are told of others that signed their addresses. true|false;
	 * default false. */
	gossipsubPx?: boolean | undefined;
	/** Peers told of so, and taken from one PRUNE, at most. 0..64; default 16. */
	gossipsubPxPeers?: number | undefined;
	/** A message without a verdict for this long is ignored. 10ms..1h; default 10s. */
	validateTimeout?: number | string | undefined;
	/** Messages that may wait for a verdict; more are ignored and counted. 1..1000000; default
	 * 8192. */
	validateMaxPending?: number | undefined;
	/** Messages of one peer that may wait for their signature check. 1..1000000; default 4096. */
	verifyMaxMessages?: number | undefined;
	/** Memory of one peer's messages that may wait so; then its stream is not read. 1..4GiB;
	 * default 4MiB. */
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
	/** Memory of the events that may wait in one inbox. 1..1024GiB; default 64MiB. */
	inboxMaxBytes?: number | string | undefined;
	/** Which event is dropped when an inbox is full; block = as drop_new, but direct messages are
	 * not read until it is down to 3/4. drop_old|drop_new|block; default drop_old. */
	inboxPolicy?: 'drop_old' | 'drop_new' | 'block' | undefined;
	/** Memory of what may wait in all inboxes together. 1..1024GiB; default 256MiB. */
	inboxTotalBytes?: number | string | undefined;
	/** Own messages that may wait to be sent. 1..100000000; default 65536. */
	outboxMaxMessages?: number | undefined;
	/** Memory of the own messages that may wait to be sent. 1..1024GiB; default 64MiB. */
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
