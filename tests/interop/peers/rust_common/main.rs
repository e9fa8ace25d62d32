// One source for both rust-libp2p peers: 0.56 and 0.57 share every call used here, so the two crates differ by their
// Cargo.toml alone. README.md describes the line protocol.
use std::{
    collections::{HashMap, HashSet, VecDeque},
    error::Error,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, Write},
    time::{Duration, Instant},
};

use base64::Engine as _;
use futures::StreamExt;
use libp2p::{
    core::ConnectedPoint,
    gossipsub::{
        self, IdentTopic, MessageId, PeerScoreParams, PeerScoreThresholds, PublishError, TopicScoreParams,
    },
    identify, identity,
    kad::{self, store::MemoryStore},
    multiaddr::Protocol,
    noise, ping,
    swarm::{behaviour::toggle::Toggle, NetworkBehaviour, SwarmEvent},
    tcp, yamux, Multiaddr, PeerId, Swarm, SwarmBuilder,
};
use serde_json::{json, Value};
use tokio::{
    signal::unix::{signal, SignalKind},
    sync::mpsc,
    time::{sleep_until, Instant as TokioInstant},
};

/// A receiver acknowledges every this many messages, and after this much silence.
const ACK_EVERY: u64 = 64;
const ACK_SILENCE: Duration = Duration::from_millis(50);
/// A window run without a new acknowledgement for this long has lost messages and ends.
const WINDOW_STALL: Duration = Duration::from_secs(10);
/// A burst gives the connection tasks a turn after this many publishes.
const BURST_CHUNK: u64 = 32;
const RETRY_AFTER: Duration = Duration::from_millis(20);
const RETRIES: u32 = 500;
/// Commands held while a burst or window runs; beyond that stdin is not read.
const COMMANDS_MAX: usize = 256;

#[derive(NetworkBehaviour)]
struct Behaviour {
    gossipsub: gossipsub::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
    identify: Toggle<identify::Behaviour>,
    ping: Toggle<ping::Behaviour>,
}

type Event = SwarmEvent<BehaviourEvent>;

struct Options {
    listen: Vec<Multiaddr>,
    bootstrap: Vec<Multiaddr>,
    topic: String,
    identify: bool,
    sink: bool,
    seed: Option<u64>,
    idle: u64,
    max_message: usize,
    score: Option<String>,
}

/// Work that takes many turns of the loop; commands wait until it ends.
enum Job {
    Burst {
        left: u64,
        size: usize,
        published: u64,
        failed: u64,
        tries: u32,
    },
    Window {
        left: u64,
        size: usize,
        window: u64,
        base: u64,
        sent: u64,
        tries: u32,
        start: Instant,
        cpu: f64,
        progress: Instant,
    },
}

struct Peer {
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    ack_topic: IdentTopic,
    sink: bool,
    tail: String,
    started: Instant,
    counter: u64,
    received: u64,
    published: u64,
    bytes: u64,
    first_ns: u64,
    last_ns: u64,
    last_at: Instant,
    acked_out: u64,
    acked_in: u64,
    finds: HashMap<kad::QueryId, (PeerId, Option<Vec<Multiaddr>>)>,
    job: Option<Job>,
    job_at: TokioInstant,
    commands: VecDeque<Vec<u8>>,
}

fn emit(v: Value) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away means that nobody wants this process any more.
    if writeln!(out, "{v}").and_then(|_| out.flush()).is_err() {
        std::process::exit(0);
    }
}

fn emit_error(what: &str, why: impl std::fmt::Display) {
    emit(json!({"event": "error", "what": what, "why": why.to_string()}));
}

/// Message ids are arbitrary bytes on the wire; print text as it is and anything else as hex.
fn id_text(id: &MessageId) -> String {
    match std::str::from_utf8(&id.0) {
        Ok(s) if s.bytes().all(|b| (0x20..0x7f).contains(&b)) => s.to_owned(),
        _ => id.0.iter().map(|b| format!("{b:02x}")).collect(),
    }
}

fn content_id(data: &[u8]) -> String {
    let mut h = DefaultHasher::new();
    data.hash(&mut h);
    h.finish().to_string()
}

/// (user, system) CPU time of this process in milliseconds.
fn cpu_ms() -> (f64, f64) {
    // SAFETY: getrusage fills the struct it is given; all-zero bytes are a valid rusage.
    let r = unsafe {
        let mut r: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut r);
        r
    };
    let ms = |t: libc::timeval| t.tv_sec as f64 * 1e3 + t.tv_usec as f64 / 1e3;
    (ms(r.ru_utime), ms(r.ru_stime))
}

fn cpu_total() -> f64 {
    let (u, s) = cpu_ms();
    u + s
}

fn keypair(seed: Option<u64>) -> Result<identity::Keypair, Box<dyn Error>> {
    Ok(match seed {
        None => identity::Keypair::generate_ed25519(),
        Some(n) => {
            let mut secret = [0u8; 32];
            secret.chunks_mut(8).for_each(|c| c.copy_from_slice(&n.to_le_bytes()));
            identity::Keypair::ed25519_from_bytes(&mut secret)?
        }
    })
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut o = Options {
        listen: vec![],
        bootstrap: vec![],
        topic: "karak".into(),
        identify: false,
        sink: false,
        seed: None,
        idle: 120,
        max_message: 65536,
        score: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || args.next().ok_or(format!("{flag} needs a value"));
        match flag.as_str() {
            "--listen" => o.listen.push(value()?.parse()?),
            "--bootstrap" => o.bootstrap.push(value()?.parse()?),
            "--topic" => o.topic = value()?,
            "--seed" => o.seed = Some(value()?.parse()?),
            "--idle-timeout" => o.idle = value()?.parse()?,
            "--max-message" => o.max_message = value()?.parse()?,
            "--score" => o.score = Some(value()?),
            "--identify" => o.identify = true,
            "--sink" => o.sink = true,
            "--json" => {}
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    if o.listen.is_empty() {
        o.listen.push("/ip4/127.0.0.1/tcp/0".parse()?);
    }
    Ok(o)
}

/// `default` is rust's own set; `counts` and `mesh` are those of go.
fn score_set(name: &str, topic: &str) -> Result<(PeerScoreParams, PeerScoreThresholds), String> {
    const SLOW: f64 = 0.999999;
    let none = TopicScoreParams {
        topic_weight: 0.5,
        time_in_mesh_weight: 1.0,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 5.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: 0.0,
        ..Default::default()
    };
    let topic_params = match name {
        "default" => return Ok(Default::default()),
        "counts" => TopicScoreParams {
            first_message_deliveries_weight: 1.0,
            first_message_deliveries_decay: SLOW,
            first_message_deliveries_cap: 1000.0,
            invalid_message_deliveries_weight: -1.0,
            invalid_message_deliveries_decay: SLOW,
            ..none
        },
        "mesh" => TopicScoreParams {
            mesh_message_deliveries_weight: -1.0,
            mesh_message_deliveries_decay: SLOW,
            mesh_message_deliveries_cap: 100.0,
            mesh_message_deliveries_threshold: 4.0,
            mesh_message_deliveries_window: Duration::from_secs(1),
            mesh_message_deliveries_activation: Duration::from_secs(2),
            mesh_failure_penalty_weight: -0.25,
            mesh_failure_penalty_decay: SLOW,
            ..none
        },
        _ => return Err(format!("no such set of score parameters: {name}")),
    };
    let params = PeerScoreParams {
        topics: HashMap::from([(IdentTopic::new(topic).hash(), topic_params)]),
        topic_score_cap: 0.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -2.0,
        behaviour_penalty_threshold: 1.0,
        behaviour_penalty_decay: SLOW,
        decay_to_zero: 0.01,
        slow_peer_weight: 0.0,
        ..Default::default()
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: -10000.0,
        publish_threshold: -10000.0,
        graylist_threshold: -10000.0,
        accept_px_threshold: 10000.0,
        opportunistic_graft_threshold: 0.0,
    };
    Ok((params, thresholds))
}

fn behaviour(key: &identity::Keypair, o: &Options) -> Result<Behaviour, Box<dyn Error + Send + Sync>> {
    let me = key.public().to_peer_id();
    let config = gossipsub::ConfigBuilder::default()
        .heartbeat_interval(Duration::from_secs(1))
        .mesh_n(6)
        .mesh_n_low(2)
        .mesh_n_high(12)
        .mesh_outbound_min(2)
        .flood_publish(true)
        .history_length(10)
        .history_gossip(3)
        .validation_mode(gossipsub::ValidationMode::Strict)
        .max_transmit_size(o.max_message)
        .message_id_fn(|m: &gossipsub::Message| MessageId::from(content_id(&m.data)))
        .build()?;
    let mut gossipsub = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Signed(key.clone()), config)?;
    if let Some(name) = &o.score {
        let (params, thresholds) = score_set(name, &o.topic)?;
        gossipsub.with_peer_score(params, thresholds)?;
    }
    let mut kad = kad::Behaviour::new(me, MemoryStore::new(me));
    if o.identify {
        kad.set_mode(Some(kad::Mode::Server));
    }
    let id = identify::Config::new("/karak-interop/1.0.0".into(), key.public());
    Ok(Behaviour {
        gossipsub,
        kad,
        identify: o.identify.then(|| identify::Behaviour::new(id)).into(),
        ping: o.identify.then(ping::Behaviour::default).into(),
    })
}

impl Peer {
    fn publish(&mut self, data: Vec<u8>) -> Result<MessageId, PublishError> {
        let id = self.swarm.behaviour_mut().gossipsub.publish(self.topic.clone(), data)?;
        self.published += 1;
        Ok(id)
    }

    /// The next distinct content of `size` bytes. After a full queue the same content counts as published before, so a
    /// retry of the same counter is marked.
    fn content(&self, size: usize, tries: u32) -> Option<Vec<u8>> {
        let mut data = format!("{} {} ", self.tail, self.counter).into_bytes();
        if tries > 0 {
            data.extend_from_slice(format!("retry {tries} ").as_bytes());
        }
        if data.len() > size {
            return None;
        }
        data.resize(size, b'x');
        Some(data)
    }

    /// Publishes what the running job may publish now, and says when it wants its next turn.
    fn work(&mut self) {
        let Some(mut job) = self.job.take() else { return };
        let now = Instant::now();
        // A window limits itself; a burst would otherwise only fill the queues, whose overflow publish does not report.
        let mut delay = Duration::from_millis(matches!(job, Job::Burst { .. }) as u64);
        for _ in 0..BURST_CHUNK {
            let (left, size, tries) = match &job {
                Job::Burst { left, size, tries, .. } => (*left, *size, *tries),
                Job::Window { left, size, window, base, sent, tries, .. } => {
                    if sent - (self.acked_in - base).min(*sent) >= *window {
                        // An acknowledgement wakes the job; this is only the look at the clock.
                        delay = Duration::from_millis(100);
                        break;
                    }
                    (*left, *size, *tries)
                }
            };
            if left == 0 {
                delay = Duration::from_millis(if matches!(job, Job::Burst { .. }) { 0 } else { 100 });
                break;
            }
            let result = match self.content(size, tries) {
                Some(data) => self.publish(data).map(|_| ()),
                None => Err(PublishError::MessageTooLarge),
            };
            let full = matches!(result, Err(PublishError::AllQueuesFull(_)));
            let again = full && tries < RETRIES;
            match &mut job {
                Job::Burst { tries, .. } | Job::Window { tries, .. } if again => *tries += 1,
                Job::Burst { left, published, failed, tries, .. } => {
                    *(if result.is_ok() { published } else { failed }) += 1;
                    *left -= 1;
                    *tries = 0;
                }
                Job::Window { left, sent, tries, .. } => {
                    *sent += result.is_ok() as u64;
                    *left -= 1;
                    *tries = 0;
                }
            }
            if again {
                delay = RETRY_AFTER;
                break;
            }
            self.counter += 1;
        }
        self.job_at = TokioInstant::now() + delay;
        match job {
            Job::Burst { left: 0, published, failed, .. } => {
                emit(json!({"event": "burst", "published": published, "failed": failed}));
            }
            Job::Window { left, base, sent, start, cpu, progress, .. }
                if (left == 0 && self.acked_in - base >= sent) || now - progress > WINDOW_STALL =>
            {
                emit(json!({"event": "window", "sent": sent, "acked": self.acked_in - base,
                            "seconds": start.elapsed().as_secs_f64(), "cpu_ms": cpu_total() - cpu}));
            }
            job => self.job = Some(job),
        }
    }

    /// False when the peer has to end.
    fn command(&mut self, line: Vec<u8>) -> bool {
        if line.first() != Some(&b'/') || line.starts_with(b"//") {
            let data = if line.is_empty() || line[0] != b'/' { line } else { line[1..].to_vec() };
            match self.publish(data) {
                Ok(id) => emit(json!({"event": "published", "id": id_text(&id)})),
                Err(e) => emit_error("publish", format!("{e:?}")),
            }
            return true;
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |i: usize| words.get(i).and_then(|w| w.parse::<u64>().ok());
        match (words[0], words.len()) {
            ("/quit", 1) => return false,
            ("/stats", 1) => self.stats(),
            ("/peers", 1) => self.peers(),
            ("/scores", 1) => self.scores(),
            ("/find", 2) => match words[1].parse::<PeerId>() {
                Ok(peer) => {
                    let q = self.swarm.behaviour_mut().kad.get_closest_peers(peer);
                    self.finds.insert(q, (peer, None));
                }
                Err(e) => emit_error("find", e),
            },
            ("/burst", 3) => match (number(1), number(2)) {
                (Some(n), Some(size)) => {
                    self.job = Some(Job::Burst { left: n, size: size as usize, published: 0, failed: 0, tries: 0 });
                    self.job_at = TokioInstant::now();
                }
                _ => emit_error("command", &text),
            },
            ("/window", 4) => match (number(1), number(2), number(3)) {
                (Some(n), Some(size), Some(window)) => {
                    if let Err(e) = self.swarm.behaviour_mut().gossipsub.subscribe(&self.ack_topic) {
                        emit_error("subscribe", e);
                    }
                    let now = Instant::now();
                    self.job = Some(Job::Window {
                        left: n,
                        size: size as usize,
                        window: window.max(1),
                        base: self.acked_in,
                        sent: 0,
                        tries: 0,
                        start: now,
                        cpu: cpu_total(),
                        progress: now,
                    });
                    self.job_at = TokioInstant::now();
                }
                _ => emit_error("command", &text),
            },
            _ => emit_error("command", &text),
        }
        true
    }

    fn stats(&self) {
        let (user, sys) = cpu_ms();
        emit(json!({"event": "stats", "received": self.received, "published": self.published, "bytes": self.bytes,
                    "first_ns": self.first_ns, "last_ns": self.last_ns, "cpu_user_ms": user, "cpu_sys_ms": sys}));
    }

    fn peers(&mut self) {
        let connected: Vec<String> = self.swarm.connected_peers().map(|p| p.to_string()).collect();
        let topic = self.topic.hash();
        let b = self.swarm.behaviour_mut();
        let mesh: Vec<String> = b.gossipsub.mesh_peers(&topic).map(|p| p.to_string()).collect();
        let table: Vec<String> = b
            .kad
            .kbuckets()
            .flat_map(|bucket| bucket.iter().map(|e| e.node.key.preimage().to_string()).collect::<Vec<_>>())
            .collect();
        emit(json!({"event": "peers", "connected": connected, "mesh": mesh, "table": table}));
    }

    /// rust tells the sum alone, and none of a peer that has left.
    fn scores(&self) {
        let connected: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        let gossipsub = &self.swarm.behaviour().gossipsub;
        let peers: serde_json::Map<String, Value> = connected
            .iter()
            .filter_map(|p| Some((p.to_string(), json!({"score": gossipsub.peer_score(p)?}))))
            .collect();
        emit(json!({"event": "scores", "peers": peers}));
    }

    /// Tells the sender how far we are; a value is sent once, because the same text again would be a duplicate.
    fn acknowledge(&mut self) {
        if self.acked_out == self.received {
            return;
        }
        let text = self.received.to_string();
        match self.swarm.behaviour_mut().gossipsub.publish(self.ack_topic.clone(), text) {
            // Nobody has subscribed to the acknowledgements yet: the next silence tries again.
            Err(PublishError::NoPeersSubscribedToTopic) => {}
            _ => self.acked_out = self.received,
        }
    }

    fn on_message(&mut self, via: PeerId, id: MessageId, m: gossipsub::Message) {
        if m.topic == self.ack_topic.hash() {
            let n = std::str::from_utf8(&m.data).ok().and_then(|t| t.parse::<u64>().ok()).unwrap_or(0);
            if n > self.acked_in {
                self.acked_in = n;
                if let Some(Job::Window { progress, .. }) = &mut self.job {
                    *progress = Instant::now();
                    self.job_at = TokioInstant::now();
                }
            }
            return;
        }
        self.last_at = Instant::now();
        self.last_ns = (self.last_at - self.started).as_nanos() as u64;
        if self.received == 0 {
            self.first_ns = self.last_ns;
        }
        self.received += 1;
        self.bytes += m.data.len() as u64;
        if self.sink {
            if self.received - self.acked_out >= ACK_EVERY {
                self.acknowledge();
            }
            return;
        }
        emit(json!({
            "event": "message", "topic": m.topic.as_str(), "from": m.source.map(|p| p.to_string()), "via": via.to_string(),
            "id": id_text(&id), "seqno": m.sequence_number.map(|n| n.to_string()), "size": m.data.len(),
            "data": base64::engine::general_purpose::STANDARD.encode(&m.data),
        }));
    }

    fn on_kad(&mut self, e: kad::Event) {
        let kad::Event::OutboundQueryProgressed { id, result: kad::QueryResult::GetClosestPeers(result), step, .. } = e
        else {
            return;
        };
        let Some((peer, addrs)) = self.finds.get_mut(&id) else { return };
        let peers = match result {
            Ok(ok) => ok.peers,
            Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
        };
        if let Some(p) = peers.into_iter().find(|p| p.peer_id == *peer) {
            *addrs = Some(p.addrs);
        }
        if !step.last {
            return;
        }
        match self.finds.remove(&id) {
            Some((peer, Some(mut addrs))) => {
                // A peer that came from the own table brings no addresses with it; the table has them.
                if addrs.is_empty() {
                    if let Some(bucket) = self.swarm.behaviour_mut().kad.kbucket(peer) {
                        let entry = bucket.iter().find(|e| e.node.key.preimage() == &peer);
                        addrs.extend(entry.iter().flat_map(|e| e.node.value.iter().cloned()));
                    }
                }
                let addrs: Vec<String> = addrs.iter().map(|a| a.to_string()).collect();
                emit(json!({"event": "found", "peer": peer.to_string(), "addrs": addrs}));
            }
            Some((peer, None)) => emit(json!({"event": "notfound", "peer": peer.to_string()})),
            None => {}
        }
    }

    fn on_swarm(&mut self, e: Event) {
        match e {
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            })) => self.on_message(propagation_source, message_id, message),
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::Subscribed {
                peer_id, topic, ..
            })) => {
                if topic == self.topic.hash() {
                    emit(json!({"event": "subscribed", "peer": peer_id.to_string(), "topic": topic.as_str()}));
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(gossipsub::Event::SlowPeer {
                peer_id,
                failed_messages,
            })) => {
                emit_error("slow_peer", format!("{peer_id}: {failed_messages:?}"));
            }
            SwarmEvent::Behaviour(BehaviourEvent::Kad(e)) => self.on_kad(e),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                for addr in info.listen_addrs {
                    self.swarm.behaviour_mut().kad.add_address(&peer_id, addr);
                }
            }
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, num_established, .. }
                if num_established.get() == 1 =>
            {
                let addr = match &endpoint {
                    ConnectedPoint::Dialer { address, .. } => address,
                    ConnectedPoint::Listener { send_back_addr, .. } => send_back_addr,
                };
                emit(json!({"event": "connected", "peer": peer_id.to_string(), "addr": addr.to_string()}));
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                let why = cause.map_or("closed by us".into(), |c| format!("{c:?}"));
                emit(json!({"event": "disconnected", "peer": peer_id.to_string(), "why": why}));
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => emit_error("dial", format!("{error:?}")),
            SwarmEvent::IncomingConnectionError { error, .. } => emit_error("accept", format!("{error:?}")),
            SwarmEvent::ListenerError { error, .. } => emit_error("listen", error),
            _ => {}
        }
    }
}

/// Waits until every listener has a real port. A wildcard reports one address per interface, so a moment longer than the
/// first of each.
async fn listen(swarm: &mut Swarm<Behaviour>, addrs: &[Multiaddr]) -> Result<Vec<Multiaddr>, Box<dyn Error>> {
    let mut waiting = HashSet::new();
    for a in addrs {
        waiting.insert(swarm.listen_on(a.clone())?);
    }
    let mut bound = vec![];
    let mut deadline = TokioInstant::now() + Duration::from_secs(10);
    loop {
        tokio::select! {
            e = swarm.select_next_some() => match e {
                SwarmEvent::NewListenAddr { listener_id, address } => {
                    bound.push(address);
                    waiting.remove(&listener_id);
                    if waiting.is_empty() {
                        deadline = TokioInstant::now() + Duration::from_millis(50);
                    }
                }
                SwarmEvent::ListenerClosed { reason: Err(e), .. } => return Err(e.into()),
                _ => {}
            },
            _ = sleep_until(deadline) => {
                return if waiting.is_empty() { Ok(bound) } else { Err("no address bound within 10 s".into()) };
            }
        }
    }
}

/// stdin is read by a thread of its own: tokio's stdin cannot be cancelled and would hold the exit up.
fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (tx, rx) = mpsc::channel(COMMANDS_MAX);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut line = vec![];
        while matches!(input.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if tx.blocking_send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    rx
}

async fn run(o: Options) -> Result<(), Box<dyn Error>> {
    let key = keypair(o.seed)?;
    let me = key.public().to_peer_id();
    let mut swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
        .with_dns()?
        .with_behaviour(|key| behaviour(key, &o))?
        .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(o.idle)))
        .build();
    let topic = IdentTopic::new(o.topic.clone());
    swarm.behaviour_mut().gossipsub.subscribe(&topic)?;
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;

    let bound = listen(&mut swarm, &o.listen).await?;
    let addrs: Vec<String> = bound.into_iter().map(|a| a.with(Protocol::P2p(me)).to_string()).collect();
    emit(json!({"event": "listening", "peer": me.to_string(), "addrs": addrs}));
    for addr in &o.bootstrap {
        if let Err(e) = swarm.dial(addr.clone()) {
            emit_error("dial", format!("{addr}: {e}"));
        }
    }

    let text = me.to_string();
    let now = Instant::now();
    let mut peer = Peer {
        swarm,
        topic,
        ack_topic: IdentTopic::new(format!("{}-ack", o.topic)),
        sink: o.sink,
        tail: text[text.len() - 6..].to_owned(),
        started: now,
        counter: 0,
        received: 0,
        published: 0,
        bytes: 0,
        first_ns: 0,
        last_ns: 0,
        last_at: now,
        acked_out: 0,
        acked_in: 0,
        finds: HashMap::new(),
        job: None,
        job_at: TokioInstant::now(),
        commands: VecDeque::new(),
    };
    let mut stdin = read_stdin();
    let mut stdin_open = true;
    loop {
        while peer.job.is_none() {
            let Some(line) = peer.commands.pop_front() else { break };
            if !peer.command(line) {
                return quit(peer).await;
            }
        }
        let silent = TokioInstant::from_std(peer.last_at) + ACK_SILENCE;
        let silent = silent.max(TokioInstant::now() + Duration::from_millis(1));
        tokio::select! {
            e = peer.swarm.select_next_some() => peer.on_swarm(e),
            line = stdin.recv(), if stdin_open && peer.commands.len() < COMMANDS_MAX => match line {
                Some(line) => peer.commands.push_back(line),
                None => stdin_open = false,
            },
            _ = sleep_until(peer.job_at), if peer.job.is_some() => peer.work(),
            _ = sleep_until(silent), if peer.sink && peer.acked_out != peer.received => {
                peer.acknowledge();
                // Not acknowledged means nobody listens yet: wait one more silence instead of spinning.
                peer.last_at = Instant::now();
            }
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
        }
    }
}

/// Leaves the topic and lets what is queued go out before the process ends.
async fn quit(mut peer: Peer) -> Result<(), Box<dyn Error>> {
    peer.swarm.behaviour_mut().gossipsub.unsubscribe(&peer.topic);
    let end = TokioInstant::now() + Duration::from_millis(300);
    loop {
        tokio::select! {
            e = peer.swarm.select_next_some() => peer.on_swarm(e),
            _ = sleep_until(end) => break,
        }
    }
    emit(json!({"event": "closed"}));
    Ok(())
}

fn main() {
    // The ids of this peer are the reference for all others: a std that changes its hasher must be noticed here.
    assert_eq!(content_id(b"hello"), "9754003402134539932");
    let result = options().and_then(|o| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(run(o))
    });
    if let Err(e) = result {
        emit_error("start", e);
        std::process::exit(1);
    }
    std::process::exit(0);
}
