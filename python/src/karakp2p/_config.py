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
    """Bytes of messages that may wait so. 0..1GiB; default 1MiB."""
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
    """Bytes of own messages that may wait for one peer. 1..4GiB; default 4MiB."""
    gossipsub_send_forward_messages: int | None
    """Forwarded messages that may wait for one peer. 1..1000000; default 4096."""
    gossipsub_send_forward_bytes: int | str | None
    """Bytes of forwarded messages that may wait for one peer. 1..4GiB; default 4MiB."""
    validate_timeout: float | str | None
    """A message without a verdict for this long is ignored. 10ms..1h; default 10s."""
    validate_max_pending: int | None
    """Messages that may wait for a verdict; more are ignored and counted. 1..1000000; default
    8192."""
    verify_max_messages: int | None
    """Messages of one peer that may wait for their signature check. 1..1000000; default 4096."""
    verify_max_bytes: int | str | None
    """Bytes of one peer that may wait so; then its stream is not read. 1..4GiB; default 4MiB."""
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
    """Bytes of events that may wait in one inbox. 1..1024GiB; default 64MiB."""
    inbox_policy: str | None
    """Which event is dropped when an inbox is full. drop_old|drop_new; default drop_old."""
    inbox_total_bytes: int | str | None
    """Bytes that may wait in all inboxes together. 1..1024GiB; default 256MiB."""
    outbox_max_messages: int | None
    """Own messages that may wait to be sent. 1..100000000; default 65536."""
    outbox_max_bytes: int | str | None
    """Bytes of own messages that may wait to be sent. 1..1024GiB; default 64MiB."""
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
