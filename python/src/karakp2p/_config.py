"""The configuration keys as keyword arguments. Made by tools/gen_config.py: do not edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class Config(TypedDict, total=False):
    """Keyword arguments of Node besides its named ones: key `inbox.max_messages` is
    `inbox_max_messages`. Times are in seconds, or text with a unit ("250ms"); sizes are in bytes,
    or text ("64KiB"); None is the default."""

    announce: str | Sequence[str] | None
    """Address told to other peers instead of the bound ones. /ip4|ip6|dns|dns4|dns6/…/tcp/P."""
    direct: str | Sequence[str] | None
    """Peer kept connected and sent every message, outside the mesh.
    /ip4|ip6|dns|dns4|dns6/…/tcp/P/p2p/ID."""
    allow: str | Sequence[str] | None
    """If set, peers that no value of this key names or contains are refused. a peer id, an IP
    address, or a network like 10.0.0.0/8 or 2001:db8::/32."""
    deny: str | Sequence[str] | None
    """Peers never dialled nor accepted, also when allow has them. a peer id, an IP address, or a
    network like 10.0.0.0/8 or 2001:db8::/32."""
    agent: str | None
    """Agent version told by identify. 1..128 bytes; default karakp2p/VERSION."""
    protocol_version: str | None
    """Protocol version told by identify. 0..128 bytes; default ipfs/0.1.0."""
    max_message_size: int | str | None
    """Largest message, counted as the RPC that carries it. 1..16MiB; default 64KiB."""
    message_id: str | None
    """How message ids are made; all nodes of a network must agree. karak|source_seqno|sha256;
    default karak."""
    signature: str | None
    """Whether messages are signed and must be. strict_sign|strict_no_sign|lax_sign|lax_no_sign;
    default strict_sign."""
    publish_hold: float | str | None
    """How long a message waits for the first subscriber; 0 = refused at once. 0..1h; default
    10s."""
    publish_hold_bytes: int | str | None
    """Memory of the messages that may wait so. 0..1GiB; default 1MiB."""
    gossipsub_heartbeat: float | str | None
    """Time between two heartbeats. 10ms..1h; default 1s."""
    gossipsub_first_heartbeat: float | str | None
    """Time from start to the first heartbeat. 0..1h; default 100ms."""
    gossipsub_d: int | None
    """Wanted size of a topic's mesh. 1..128; default 6."""
    gossipsub_d_low: int | None
    """A mesh smaller than this is filled up to d. 0..128; default 2."""
    gossipsub_d_high: int | None
    """A mesh larger than this is cut down to d. 1..256; default 12."""
    gossipsub_d_score: int | None
    """Best peers always kept when a mesh is cut down. 0..128; default 4."""
    gossipsub_d_out: int | None
    """Mesh peers that we dialled, at least. 0..64; default 2."""
    gossipsub_d_lazy: int | None
    """Peers told of new messages by gossip, at least. 0..128; default 6."""
    gossipsub_gossip_factor: float | None
    """Share of the other peers told of new messages by gossip. 0..1; default 0.25."""
    gossipsub_history_length: int | None
    """Heartbeats for which messages can be asked back. 1..128; default 10."""
    gossipsub_history_gossip: int | None
    """Heartbeats for which messages are told of. 0..128; default 3."""
    gossipsub_seen_ttl: float | str | None
    """How long a message id is remembered. 1s..1h; default 1m."""
    gossipsub_fanout_ttl: float | str | None
    """How long peers of a topic published to, but not subscribed, are kept. 1s..1h; default 1m."""
    gossipsub_prune_backoff: float | str | None
    """No new graft for this long after a prune. 1s..1h; default 1m."""
    gossipsub_unsubscribe_backoff: float | str | None
    """The same after leaving a topic. 1s..1h; default 10s."""
    gossipsub_flood_publish: bool | None
    """Own messages go to all subscribers known, not only to the mesh. true|false; default true."""
    gossipsub_max_ihave_ids: int | None
    """Message ids taken from one peer by IHAVE in one heartbeat. 1..100000; default 5000."""
    gossipsub_max_ihave_messages: int | None
    """IHAVEs taken from one peer in one heartbeat. 1..1000; default 10."""
    gossipsub_gossip_retransmission: int | None
    """How often a peer may ask for the same message. 1..100; default 3."""
    gossipsub_idontwant_size: int | str | None
    """Messages from this size on are announced by IDONTWANT. 0..16MiB; default 1000."""
    gossipsub_topics_per_peer: int | None
    """Topics remembered of one peer besides ours. 1..100000; default 1024."""
    gossipsub_send_own_messages: int | None
    """Own messages that may wait for one peer. 1..1000000; default 4096."""
    gossipsub_send_own_bytes: int | str | None
    """Memory of the own messages that may wait for one peer. 1..4GiB; default 4MiB."""
    gossipsub_send_forward_messages: int | None
    """Forwarded messages that may wait for one peer. 1..1000000; default 4096."""
    gossipsub_send_forward_bytes: int | str | None
    """Memory of the forwarded messages that may wait for one peer. 1..4GiB; default 4MiB."""
    score: str | None
    """Peers are scored for nothing, for abuse alone (P4, P5, P7), or for everything.
    off|abuse|full; default abuse."""
    score_gossip_threshold: float | None
    """Below this score no gossip is told to a peer or taken from it. -1000000..0; default -10."""
    score_publish_threshold: float | None
    """Below this, own messages go to a peer by the mesh alone. -1000000..0; default -50."""
    score_graylist_threshold: float | None
    """Below this, nothing but its subscriptions is taken from a peer. -1000000..0; default -80."""
    score_accept_px_threshold: float | None
    """From this score on a peer may send us to others by PRUNE. 0..1000000; default 10."""
    score_opportunistic_graft_threshold: float | None
    """A mesh whose median score is below this takes in better peers once a minute. 0..1000000;
    default 1."""
    score_topic_score_cap: float | None
    """Most that all topics together can be worth; 0 = no limit. 0..1000000; default 100."""
    score_app_weight: float | None
    """P5: weight of score.app. -1000000..1000000; default 1."""
    score_app: str | Sequence[str] | None
    """P5: what a peer is worth by your own word. PEERID -1000000..1000000."""
    score_ip_weight: float | None
    """P6: weight of the peers over score.ip_threshold on one address, squared. -1000000..0; default
    -5."""
    score_ip_threshold: int | None
    """P6: peers on one ip4 address, ip6 address or ip6 /64 that cost nothing. 0..100000; default
    10."""
    score_ip_private: bool | None
    """P6: private addresses count too; loopback never does. true|false; default false."""
    score_ip_exempt: str | Sequence[str] | None
    """P6: addresses that do not count. 192.0.2.0/24, 2001:db8::/32."""
    score_behaviour_weight: float | None
    """P7: weight of broken promises and early GRAFTs over the threshold, squared. -1000000..0;
    default -1."""
    score_behaviour_threshold: float | None
    """P7: how many of them cost nothing. 0..1000000; default 10."""
    score_behaviour_decay: float | None
    """P7: what is left of them after score.decay_interval. 0..1; default 0.98."""
    score_promises: str | None
    """P7: of the ids asked for at once, one drawn by chance must come (go), or each (rust).
    batch|each; default batch."""
    score_slow_weight: float | None
    """Weight of messages dropped because a peer took them too slowly. -1000000..0; default 0."""
    score_slow_threshold: float | None
    """How many of them cost nothing. 0..1000000; default 0."""
    score_slow_decay: float | None
    """What is left of them after score.decay_interval. 0..1; default 0.2."""
    score_decay_interval: float | str | None
    """How often counters decay. 1s..1h; default 1s."""
    score_decay_to_zero: float | None
    """A counter below this is 0. 0..1; default 0.01."""
    score_retain: float | str | None
    """How long the score of a peer that left is kept, unless it is positive. 0..24h; default 1h."""
    score_topic: str | Sequence[str] | None
    """Fields of score.topic.FIELD that differ for one topic. NAME FIELD=VALUE…."""
    score_topic_topic_weight: float | None
    """What a topic counts in a score. 0..1000000; default 1."""
    score_topic_time_in_mesh_weight: float | None
    """P1: weight of the time in the mesh. 0..1000000; default 0.01."""
    score_topic_time_in_mesh_quantum: float | str | None
    """P1: the unit of that time. 1ms..24h; default 1s."""
    score_topic_time_in_mesh_cap: float | None
    """P1: most units that count. 0..1000000; default 300."""
    score_topic_first_message_deliveries_weight: float | None
    """P2: weight of messages that a peer was the first to bring. 0..1000000; default 1."""
    score_topic_first_message_deliveries_decay: float | None
    """P2: what is left of them after score.decay_interval. 0..1; default 0.9."""
    score_topic_first_message_deliveries_cap: float | None
    """P2: most that count. 0..1000000; default 40."""
    score_topic_mesh_message_deliveries_weight: float | None
    """P3: weight of messages that a mesh peer should have brought, squared; 0 = off. -1000000..0;
    default 0."""
    score_topic_mesh_message_deliveries_decay: float | None
    """P3: what is left of those it brought after score.decay_interval. 0..1; default 0.9."""
    score_topic_mesh_message_deliveries_cap: float | None
    """P3: most that count. 0..1000000; default 100."""
    score_topic_mesh_message_deliveries_threshold: float | None
    """P3: how many a mesh peer should have brought. 0..1000000; default 1."""
    score_topic_mesh_message_deliveries_window: float | str | None
    """P3: a copy that comes this long after the first still counts. 0..1m; default 10ms."""
    score_topic_mesh_message_deliveries_activation: float | str | None
    """P3: time in the mesh after which it begins. 1s..24h; default 30s."""
    score_topic_mesh_failure_penalty_weight: float | None
    """P3b: weight of what was missing when a peer left the mesh. -1000000..0; default 0."""
    score_topic_mesh_failure_penalty_decay: float | None
    """P3b: what is left of it after score.decay_interval. 0..1; default 0.9."""
    score_topic_invalid_message_deliveries_weight: float | None
    """P4: weight of invalid and rejected messages, squared. -1000000..0; default -1."""
    score_topic_invalid_message_deliveries_decay: float | None
    """P4: what is left of them after score.decay_interval. 0..1; default 0.9."""
    gossipsub_opportunistic_graft_ticks: int | None
    """Heartbeats between two opportunistic grafts. 1..3600; default 60."""
    gossipsub_opportunistic_graft_peers: int | None
    """Peers grafted so at once. 0..128; default 2."""
    gossipsub_px: bool | None
    """Peers pruned from a full mesh are told of others that signed their addresses. true|false;
    default false."""
    gossipsub_px_peers: int | None
    """Peers told of so, and taken from one PRUNE, at most. 0..64; default 16."""
    validate_timeout: float | str | None
    """A message without a verdict for this long is ignored. 10ms..1h; default 10s."""
    validate_max_pending: int | None
    """Messages that may wait for a verdict; more are ignored and counted. 1..1000000; default
    8192."""
    verify_max_messages: int | None
    """Messages of one peer that may wait for their signature check. 1..1000000; default 4096."""
    verify_max_bytes: int | str | None
    """Memory of one peer's messages that may wait so; then its stream is not read. 1..4GiB; default
    4MiB."""
    kad_mode: str | None
    """Whether the DHT answers others, only asks, or is off. server|client|off; default server."""
    kad_bootstrap_interval: float | str | None
    """Time between two refreshes of the routing table. 1s..24h; default 5m."""
    max_connections: int | None
    """Open connections; above it they are trimmed. 1..65536; default 256."""
    connections_trim_to: int | None
    """Trimming ends at this number; by default 7/8 of max_connections. 1..65536; default 224."""
    connections_half_open: int | None
    """Inbound connections in their handshake. 1..65536; default 256."""
    connections_per_peer: int | None
    """Connections to one peer. 1..64; default 4."""
    dial_timeout: float | str | None
    """For all addresses of a peer together, name lookups included. 10ms..10m; default 15s."""
    dial_max: int | None
    """Transport dials under way at once. 1..4096; default 64."""
    handshake_timeout: float | str | None
    """From the transport's connection to an open one. 10ms..10m; default 10s."""
    keepalive_interval: float | str | None
    """Time between two pings of a connection. 100ms..24h; default 30s."""
    keepalive_timeout: float | str | None
    """A connection that does not answer a ping for this long is closed. 10ms..1h; default 10s."""
    yamux_window_max: int | str | None
    """Limit to which the receive window of a stream grows. 256KiB..1GiB; default 16MiB."""
    memory_max: int | str | None
    """Memory of the node, inboxes and outbox not counted. 8MiB..1024GiB; default 256MiB."""
    inbox_max_messages: int | None
    """Events that may wait in one inbox. 1..100000000; default 65536."""
    inbox_max_bytes: int | str | None
    """Memory of the events that may wait in one inbox. 1..1024GiB; default 64MiB."""
    inbox_policy: str | None
    """Which event is dropped when an inbox is full; block = as drop_new, but direct messages are
    not read until it is down to 3/4. drop_old|drop_new|block; default drop_old."""
    inbox_total_bytes: int | str | None
    """Memory of what may wait in all inboxes together. 1..1024GiB; default 256MiB."""
    outbox_max_messages: int | None
    """Own messages that may wait to be sent. 1..100000000; default 65536."""
    outbox_max_bytes: int | str | None
    """Memory of the own messages that may wait to be sent. 1..1024GiB; default 64MiB."""
    requests_max: int | None
    """Requests under way at once. 1..1000000; default 4096."""
    workers: int | None
    """Threads that check signatures; 0 = one less than there are cores, 1 to 4. 0..64; default
    0."""
    events: str | Sequence[str] | None
    """Optional events, as a comma list. peers|log|stats."""
    log_level: str | None
    """Least severe level that is logged, where logs are asked for. off|error|warn|info|debug;
    default info."""
    stats_interval: float | str | None
    """Time between two STATS events, if events names stats; 0 = none. 0..24h; default 10s."""


# keyword argument: (key, kind)
KEYS: dict[str, tuple[str, str]] = {
    "topic": ("topic", "topic"),
    "listen": ("listen", "maddr"),
    "bootstrap": ("bootstrap", "maddr"),
    "announce": ("announce", "maddr"),
    "direct": ("direct", "maddr"),
    "allow": ("allow", "access"),
    "deny": ("deny", "access"),
    "identity": ("identity", "identity"),
    "agent": ("agent", "text"),
    "protocol_version": ("protocol_version", "text"),
    "idle_timeout": ("idle_timeout", "duration"),
    "max_message_size": ("max_message_size", "size"),
    "message_id": ("message_id", "choice"),
    "signature": ("signature", "choice"),
    "publish_hold": ("publish.hold", "duration"),
    "publish_hold_bytes": ("publish.hold_bytes", "size"),
    "gossipsub_heartbeat": ("gossipsub.heartbeat", "duration"),
    "gossipsub_first_heartbeat": ("gossipsub.first_heartbeat", "duration"),
    "gossipsub_d": ("gossipsub.d", "count"),
    "gossipsub_d_low": ("gossipsub.d_low", "count"),
    "gossipsub_d_high": ("gossipsub.d_high", "count"),
    "gossipsub_d_score": ("gossipsub.d_score", "count"),
    "gossipsub_d_out": ("gossipsub.d_out", "count"),
    "gossipsub_d_lazy": ("gossipsub.d_lazy", "count"),
    "gossipsub_gossip_factor": ("gossipsub.gossip_factor", "number"),
    "gossipsub_history_length": ("gossipsub.history_length", "count"),
    "gossipsub_history_gossip": ("gossipsub.history_gossip", "count"),
    "gossipsub_seen_ttl": ("gossipsub.seen_ttl", "duration"),
    "gossipsub_fanout_ttl": ("gossipsub.fanout_ttl", "duration"),
    "gossipsub_prune_backoff": ("gossipsub.prune_backoff", "duration"),
    "gossipsub_unsubscribe_backoff": ("gossipsub.unsubscribe_backoff", "duration"),
    "gossipsub_flood_publish": ("gossipsub.flood_publish", "switch"),
    "gossipsub_max_ihave_ids": ("gossipsub.max_ihave_ids", "count"),
    "gossipsub_max_ihave_messages": ("gossipsub.max_ihave_messages", "count"),
    "gossipsub_gossip_retransmission": ("gossipsub.gossip_retransmission", "count"),
    "gossipsub_idontwant_size": ("gossipsub.idontwant_size", "size"),
    "gossipsub_topics_per_peer": ("gossipsub.topics_per_peer", "count"),
    "gossipsub_send_own_messages": ("gossipsub.send_own_messages", "count"),
    "gossipsub_send_own_bytes": ("gossipsub.send_own_bytes", "size"),
    "gossipsub_send_forward_messages": ("gossipsub.send_forward_messages", "count"),
    "gossipsub_send_forward_bytes": ("gossipsub.send_forward_bytes", "size"),
    "score": ("score", "choice"),
    "score_gossip_threshold": ("score.gossip_threshold", "number"),
    "score_publish_threshold": ("score.publish_threshold", "number"),
    "score_graylist_threshold": ("score.graylist_threshold", "number"),
    "score_accept_px_threshold": ("score.accept_px_threshold", "number"),
    "score_opportunistic_graft_threshold": ("score.opportunistic_graft_threshold", "number"),
    "score_topic_score_cap": ("score.topic_score_cap", "number"),
    "score_app_weight": ("score.app_weight", "number"),
    "score_app": ("score.app", "score"),
    "score_ip_weight": ("score.ip_weight", "number"),
    "score_ip_threshold": ("score.ip_threshold", "count"),
    "score_ip_private": ("score.ip_private", "switch"),
    "score_ip_exempt": ("score.ip_exempt", "score"),
    "score_behaviour_weight": ("score.behaviour_weight", "number"),
    "score_behaviour_threshold": ("score.behaviour_threshold", "number"),
    "score_behaviour_decay": ("score.behaviour_decay", "number"),
    "score_promises": ("score.promises", "choice"),
    "score_slow_weight": ("score.slow_weight", "number"),
    "score_slow_threshold": ("score.slow_threshold", "number"),
    "score_slow_decay": ("score.slow_decay", "number"),
    "score_decay_interval": ("score.decay_interval", "duration"),
    "score_decay_to_zero": ("score.decay_to_zero", "number"),
    "score_retain": ("score.retain", "duration"),
    "score_topic": ("score.topic", "score"),
    "score_topic_topic_weight": ("score.topic.topic_weight", "number"),
    "score_topic_time_in_mesh_weight": ("score.topic.time_in_mesh_weight", "number"),
    "score_topic_time_in_mesh_quantum": ("score.topic.time_in_mesh_quantum", "duration"),
    "score_topic_time_in_mesh_cap": ("score.topic.time_in_mesh_cap", "number"),
    "score_topic_first_message_deliveries_weight": ("score.topic.first_message_deliveries_weight", "number"),
    "score_topic_first_message_deliveries_decay": ("score.topic.first_message_deliveries_decay", "number"),
    "score_topic_first_message_deliveries_cap": ("score.topic.first_message_deliveries_cap", "number"),
    "score_topic_mesh_message_deliveries_weight": ("score.topic.mesh_message_deliveries_weight", "number"),
    "score_topic_mesh_message_deliveries_decay": ("score.topic.mesh_message_deliveries_decay", "number"),
    "score_topic_mesh_message_deliveries_cap": ("score.topic.mesh_message_deliveries_cap", "number"),
    "score_topic_mesh_message_deliveries_threshold": ("score.topic.mesh_message_deliveries_threshold", "number"),
    "score_topic_mesh_message_deliveries_window": ("score.topic.mesh_message_deliveries_window", "duration"),
    "score_topic_mesh_message_deliveries_activation": ("score.topic.mesh_message_deliveries_activation", "duration"),
    "score_topic_mesh_failure_penalty_weight": ("score.topic.mesh_failure_penalty_weight", "number"),
    "score_topic_mesh_failure_penalty_decay": ("score.topic.mesh_failure_penalty_decay", "number"),
    "score_topic_invalid_message_deliveries_weight": ("score.topic.invalid_message_deliveries_weight", "number"),
    "score_topic_invalid_message_deliveries_decay": ("score.topic.invalid_message_deliveries_decay", "number"),
    "gossipsub_opportunistic_graft_ticks": ("gossipsub.opportunistic_graft_ticks", "count"),
    "gossipsub_opportunistic_graft_peers": ("gossipsub.opportunistic_graft_peers", "count"),
    "gossipsub_px": ("gossipsub.px", "switch"),
    "gossipsub_px_peers": ("gossipsub.px_peers", "count"),
    "validate_timeout": ("validate.timeout", "duration"),
    "validate_max_pending": ("validate.max_pending", "count"),
    "verify_max_messages": ("verify.max_messages", "count"),
    "verify_max_bytes": ("verify.max_bytes", "size"),
    "kad_mode": ("kad.mode", "choice"),
    "kad_bootstrap_interval": ("kad.bootstrap_interval", "duration"),
    "max_connections": ("max_connections", "count"),
    "connections_trim_to": ("connections.trim_to", "count"),
    "connections_half_open": ("connections.half_open", "count"),
    "connections_per_peer": ("connections.per_peer", "count"),
    "dial_timeout": ("dial.timeout", "duration"),
    "dial_max": ("dial.max", "count"),
    "handshake_timeout": ("handshake.timeout", "duration"),
    "keepalive_interval": ("keepalive.interval", "duration"),
    "keepalive_timeout": ("keepalive.timeout", "duration"),
    "yamux_window_max": ("yamux.window_max", "size"),
    "memory_max": ("memory.max", "size"),
    "inbox_max_messages": ("inbox.max_messages", "count"),
    "inbox_max_bytes": ("inbox.max_bytes", "size"),
    "inbox_policy": ("inbox.policy", "choice"),
    "inbox_total_bytes": ("inbox.total_bytes", "size"),
    "outbox_max_messages": ("outbox.max_messages", "count"),
    "outbox_max_bytes": ("outbox.max_bytes", "size"),
    "requests_max": ("requests.max", "count"),
    "workers": ("workers", "count"),
    "events": ("events", "set"),
    "log_level": ("log.level", "choice"),
    "stats_interval": ("stats.interval", "duration"),
}
