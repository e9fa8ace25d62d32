// The go-libp2p peer of the interop tests. README.md describes the line protocol.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

const (
	// A receiver acknowledges every ackEvery messages, and after ackSilence without any.
	ackEvery   = 64
	ackSilence = 50 * time.Millisecond
	// A window run without a new acknowledgement for this long has lost messages and ends.
	windowStall = 10 * time.Second
	// go-pubsub drops what exceeds its queue of 32 per peer without telling the publisher, so publishing waits while
	// this many RPCs are handed over but not yet written.
	sendQueue = 16
	// The inbound queue before signature checks is 32 by default and overflows silently too.
	validateQueue = 16384
	deliverQueue  = 65536
	findTimeout   = 30 * time.Second
	maxLine       = 64 << 20
	rawProtocol   = "/meshsub/1.1.0"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

type options struct {
	listen, bootstrap list
	topic             string
	seed              uint64
	seeded            bool
	sink              bool
	defaultQueues     bool
	score             string
	raw               bool
	maxMessage        int
}

type node struct {
	ctx     context.Context
	host    host.Host
	dht     *dht.IpfsDHT
	ps      *pubsub.PubSub
	topic   *pubsub.Topic
	ack     *pubsub.Topic
	tracer  *tracer
	raw     map[peer.ID]network.Stream
	sink    bool
	tail    string
	started time.Time
	counter uint64
	ackSub  bool

	subscribers atomic.Int64
	published   atomic.Uint64
	ackedIn     atomic.Uint64
	acked       chan struct{}

	mu              sync.Mutex
	received, bytes uint64
	first, last     time.Duration
}

var stdout = struct {
	sync.Mutex
	*bufio.Writer
}{Writer: bufio.NewWriter(os.Stdout)}

type object map[string]any

func emit(v object) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	stdout.Lock()
	defer stdout.Unlock()
	stdout.Write(append(line, '\n'))
	// A reader that has gone away means that nobody wants this process any more.
	if stdout.Flush() != nil {
		os.Exit(0)
	}
}

func emitError(what string, why any) {
	emit(object{"event": "error", "what": what, "why": fmt.Sprint(why)})
}

func fatal(what string, why any) {
	emitError(what, why)
	os.Exit(1)
}

// printable gives text as it is and other bytes as hex: message ids are arbitrary bytes on the wire.
func printable(id string) string {
	for i := 0; i < len(id); i++ {
		if id[i] < 0x20 || id[i] > 0x7e {
			return hex.EncodeToString([]byte(id))
		}
	}
	return id
}

func cpuMs() (user, sys float64) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, 0
	}
	ms := func(t syscall.Timeval) float64 { return float64(t.Sec)*1e3 + float64(t.Usec)/1e3 }
	return ms(r.Utime), ms(r.Stime)
}

func cpuTotal() float64 {
	u, s := cpuMs()
	return u + s
}

// tracer keeps what pubsub tells nobody else: the mesh, and how much is queued per peer.
type tracer struct {
	mu     sync.Mutex
	mesh   map[string]map[peer.ID]bool
	queued map[peer.ID]int
	scores map[peer.ID]*pubsub.PeerScoreSnapshot
}

func newTracer() *tracer {
	return &tracer{mesh: map[string]map[peer.ID]bool{}, queued: map[peer.ID]int{}}
}

func (t *tracer) Graft(p peer.ID, topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mesh[topic] == nil {
		t.mesh[topic] = map[peer.ID]bool{}
	}
	t.mesh[topic][p] = true
}

func (t *tracer) Prune(p peer.ID, topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.mesh[topic], p)
}

func (t *tracer) forget(p peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.mesh {
		delete(m, p)
	}
	delete(t.queued, p)
}

// inspect keeps the latest scores for /scores.
func (t *tracer) inspect(scores map[peer.ID]*pubsub.PeerScoreSnapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scores = scores
}

func (t *tracer) tellScores() {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := object{}
	for p, s := range t.scores {
		one := object{"score": s.Score, "app": s.AppSpecificScore, "ip": s.IPColocationFactor,
			"p7_counter": s.BehaviourPenalty, "mesh_time": 0.0, "invalid": 0.0, "first": 0.0}
		for _, topic := range s.Topics {
			one["mesh_time"] = topic.TimeInMesh.Seconds()
			one["invalid"] = topic.InvalidMessageDeliveries
			one["first"] = topic.FirstMessageDeliveries
		}
		all[p.String()] = one
	}
	emit(object{"event": "scores", "peers": all})
}

func (t *tracer) SendRPC(_ *pubsub.RPC, p peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queued[p]++
}

func (t *tracer) SendRPCCompleted(_ *pubsub.RPC, p peer.ID, _ time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queued[p] = max(t.queued[p]-1, 0)
}

func (t *tracer) DropRPC(rpc *pubsub.RPC, p peer.ID) {
	if n := len(rpc.GetPublish()); n > 0 {
		go emitError("slow_peer", fmt.Sprintf("%s: dropped %d messages", p, n))
	}
}

func (t *tracer) RejectMessage(msg *pubsub.Message, reason string) {
	go emitError("reject", fmt.Sprintf("%s: %s", msg.ReceivedFrom, reason))
}

func (t *tracer) UndeliverableMessage(*pubsub.Message) {
	go emitError("deliver", "the subscription queue is full")
}

func (t *tracer) OnNewOutboundStream(peer.ID, protocol.ID) {}
func (t *tracer) OnClosedOutboundStream(p peer.ID)         { t.forget(p) }
func (t *tracer) Join(string)                              {}
func (t *tracer) Leave(string)                             {}
func (t *tracer) ValidateMessage(*pubsub.Message)          {}
func (t *tracer) DeliverMessage(*pubsub.Message)           {}
func (t *tracer) DuplicateMessage(*pubsub.Message)         {}
func (t *tracer) ThrottlePeer(peer.ID)                     {}
func (t *tracer) RecvRPC(*pubsub.RPC)                      {}

func (t *tracer) members(topic string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := []string{}
	for p := range t.mesh[topic] {
		ids = append(ids, p.String())
	}
	return ids
}

func (t *tracer) full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.queued {
		if n >= sendQueue {
			return true
		}
	}
	return false
}

func parse() options {
	var o options
	f := flag.NewFlagSet("peer", flag.ContinueOnError)
	f.SetOutput(os.Stderr)
	f.Var(&o.listen, "listen", "multiaddr to listen on, repeatable")
	f.Var(&o.bootstrap, "bootstrap", "multiaddr of a peer to dial at start, repeatable")
	f.StringVar(&o.topic, "topic", "karak", "topic")
	f.BoolVar(&o.sink, "sink", false, "count messages and acknowledge them instead of printing")
	f.BoolVar(&o.defaultQueues, "default-queues", false, "leave pubsub's inbound queue at its small default")
	f.Func("score", "set of parameters to score peers by: counts or filecoin", func(s string) error {
		o.score = s
		if scoreSets[s] == nil {
			return errors.New("there is no such set")
		}
		return nil
	})
	f.BoolVar(&o.raw, "raw", false, "no pubsub: what is said to others is up to /raw")
	f.IntVar(&o.maxMessage, "max-message", 0, "largest message in bytes, 0 = go-pubsub's default")
	f.Bool("identify", true, "accepted for uniformity: go-libp2p always has identify and ping")
	f.Bool("json", true, "accepted for uniformity")
	f.Func("idle-timeout", "accepted for uniformity: go-libp2p has none", func(string) error { return nil })
	f.Func("seed", "number that fixes the ed25519 identity", func(s string) (err error) {
		o.seed, err = strconv.ParseUint(s, 10, 64)
		o.seeded = true
		return err
	})
	if err := f.Parse(os.Args[1:]); err != nil {
		fatal("start", err)
	}
	if f.NArg() > 0 {
		fatal("start", "unknown argument "+f.Arg(0))
	}
	if len(o.listen) == 0 {
		o.listen = list{"/ip4/127.0.0.1/tcp/0"}
	}
	return o
}

func identity(o options) (crypto.PrivKey, error) {
	if !o.seeded {
		key, _, err := crypto.GenerateEd25519Key(nil)
		return key, err
	}
	word := binary.LittleEndian.AppendUint64(nil, o.seed)
	key := ed25519.NewKeyFromSeed(bytes.Repeat(word, ed25519.SeedSize/len(word)))
	return crypto.UnmarshalEd25519PrivateKey(key)
}

func newPubSub(ctx context.Context, h host.Host, o options, t *tracer) (*pubsub.PubSub, error) {
	params := pubsub.DefaultGossipSubParams()
	params.D, params.Dlo, params.Dhi = 6, 2, 12
	// rust accepts 2 here; go demands Dout < Dlo.
	params.Dout = 1
	params.HistoryLength, params.HistoryGossip = 10, 3
	params.HeartbeatInterval = time.Second
	opts := []pubsub.Option{
		pubsub.WithGossipSubParams(params),
		pubsub.WithFloodPublish(true),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictSign),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { return karakID(m.GetData()) }),
		pubsub.WithSeenMessagesTTL(time.Minute),
		pubsub.WithRawTracer(t),
	}
	if !o.defaultQueues {
		opts = append(opts, pubsub.WithValidateQueueSize(validateQueue))
	}
	if o.maxMessage > 0 {
		opts = append(opts, pubsub.WithMaxMessageSize(o.maxMessage))
	}
	if o.score != "" {
		opts = append(opts, pubsub.WithPeerScore(scoreSets[o.score](o.topic)),
			pubsub.WithPeerScoreInspect(t.inspect, 100*time.Millisecond))
	}
	return pubsub.NewGossipSub(ctx, h, opts...)
}

type scoreSet func(topic string) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds)

var scoreSets = map[string]scoreSet{
	"counts": func(topic string) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
		return slowSet(topic, pubsub.TopicScoreParams{
			FirstMessageDeliveriesWeight:   1,
			FirstMessageDeliveriesDecay:    slowDecay,
			FirstMessageDeliveriesCap:      1000,
			InvalidMessageDeliveriesWeight: -1,
		})
	},
	"mesh": func(topic string) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
		return slowSet(topic, pubsub.TopicScoreParams{
			MeshMessageDeliveriesWeight:     -1,
			MeshMessageDeliveriesDecay:      slowDecay,
			MeshMessageDeliveriesCap:        100,
			MeshMessageDeliveriesThreshold:  4,
			MeshMessageDeliveriesWindow:     time.Second,
			MeshMessageDeliveriesActivation: 2 * time.Second,
			MeshFailurePenaltyWeight:        -0.25,
			MeshFailurePenaltyDecay:         slowDecay,
		})
	},
	"filecoin": filecoinSet,
}

const slowDecay = 0.999999

// slowSet: these terms of the topic, P1 and P7, and hardly any decay, so that a count can be compared after a while. Nobody
// is shut out.
func slowSet(topic string, t pubsub.TopicScoreParams) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	t.TopicWeight = 0.5
	t.TimeInMeshWeight, t.TimeInMeshQuantum, t.TimeInMeshCap = 1, time.Second, 5
	t.InvalidMessageDeliveriesDecay = slowDecay
	return &pubsub.PeerScoreParams{
			Topics:                    map[string]*pubsub.TopicScoreParams{topic: &t},
			AppSpecificScore:          func(peer.ID) float64 { return 0 },
			BehaviourPenaltyWeight:    -2,
			BehaviourPenaltyThreshold: 1,
			BehaviourPenaltyDecay:     slowDecay,
			DecayInterval:             time.Second,
			DecayToZero:               0.01,
			RetainScore:               time.Hour,
		}, &pubsub.PeerScoreThresholds{
			GossipThreshold: -10000, PublishThreshold: -10000, GraylistThreshold: -10000,
			AcceptPXThreshold: 10000, OpportunisticGraftThreshold: 0,
		}
}

// filecoinSet is what Filecoin's nodes publish for their blocks topic; tests/gs_sim/day_test.cc has the same.
func filecoinSet(topic string) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	hour := pubsub.ScoreParameterDecay(time.Hour)
	return &pubsub.PeerScoreParams{
			Topics: map[string]*pubsub.TopicScoreParams{topic: {
				TopicWeight:                    0.1,
				TimeInMeshWeight:               0.00027,
				TimeInMeshQuantum:              time.Second,
				TimeInMeshCap:                  1,
				FirstMessageDeliveriesWeight:   5,
				FirstMessageDeliveriesDecay:    hour,
				FirstMessageDeliveriesCap:      100,
				InvalidMessageDeliveriesWeight: -1000,
				InvalidMessageDeliveriesDecay:  hour,
			}},
			AppSpecificScore:            func(peer.ID) float64 { return 0 },
			AppSpecificWeight:           1,
			IPColocationFactorWeight:    -100,
			IPColocationFactorThreshold: 5,
			BehaviourPenaltyWeight:      -10,
			BehaviourPenaltyThreshold:   6,
			BehaviourPenaltyDecay:       hour,
			DecayInterval:               time.Second,
			DecayToZero:                 0.01,
			RetainScore:                 6 * time.Hour,
		}, &pubsub.PeerScoreThresholds{
			GossipThreshold: -500, PublishThreshold: -1000, GraylistThreshold: -2500,
			AcceptPXThreshold: 1000, OpportunisticGraftThreshold: 3.5,
		}
}

func start(ctx context.Context, o options) (*node, *pubsub.Subscription, error) {
	key, err := identity(o)
	if err != nil {
		return nil, nil, err
	}
	h, err := libp2p.New(
		libp2p.Identity(key),
		libp2p.ListenAddrStrings(o.listen...),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		// The default limits allow few connections from one address, and all our test peers share 127.0.0.1.
		libp2p.ResourceManager(&network.NullResourceManager{}),
	)
	if err != nil {
		return nil, nil, err
	}
	n := &node{ctx: ctx, host: h, tracer: newTracer(), sink: o.sink, started: time.Now(), acked: make(chan struct{}, 1)}
	id := h.ID().String()
	n.tail = id[len(id)-6:]
	if err := n.watchConnections(); err != nil {
		return nil, nil, err
	}
	if n.dht, err = dht.New(ctx, h, dht.Mode(dht.ModeServer), dht.ProtocolPrefix("/ipfs"), dht.BootstrapPeers(),
		dht.RoutingTablePeerDiversityFilter(nil)); err != nil {
		return nil, nil, err
	}
	if o.raw {
		n.raw = map[peer.ID]network.Stream{}
		h.SetStreamHandler(rawProtocol, func(s network.Stream) { io.Copy(io.Discard, s) })
		return n, nil, nil
	}
	if n.ps, err = newPubSub(ctx, h, o, n.tracer); err != nil {
		return nil, nil, err
	}
	if n.topic, err = n.ps.Join(o.topic); err != nil {
		return nil, nil, err
	}
	if n.ack, err = n.ps.Join(o.topic + "-ack"); err != nil {
		return nil, nil, err
	}
	sub, err := n.topic.Subscribe(pubsub.WithBufferSize(deliverQueue))
	return n, sub, err
}

func (n *node) watchConnections() error {
	sub, err := n.host.EventBus().Subscribe(new(event.EvtPeerConnectednessChanged))
	if err != nil {
		return err
	}
	go func() {
		for e := range sub.Out() {
			c := e.(event.EvtPeerConnectednessChanged)
			switch c.Connectedness {
			case network.Connected:
				addr := ""
				if conns := n.host.Network().ConnsToPeer(c.Peer); len(conns) > 0 {
					addr = conns[0].RemoteMultiaddr().String()
				}
				emit(object{"event": "connected", "peer": c.Peer.String(), "addr": addr})
			case network.NotConnected:
				n.tracer.forget(c.Peer)
				emit(object{"event": "disconnected", "peer": c.Peer.String()})
			}
		}
	}()
	return nil
}

func (n *node) watchTopic() {
	h, err := n.topic.EventHandler()
	if err != nil {
		fatal("subscribe", err)
	}
	for {
		e, err := h.NextPeerEvent(n.ctx)
		if err != nil {
			return
		}
		if e.Type == pubsub.PeerLeave {
			n.subscribers.Add(-1)
		} else {
			n.subscribers.Add(1)
			emit(object{"event": "subscribed", "peer": e.Peer.String(), "topic": n.topic.String()})
		}
	}
}

func (n *node) dial(addr string) {
	info, err := peer.AddrInfoFromString(addr)
	if err == nil {
		err = n.host.Connect(n.ctx, *info)
	}
	if err != nil {
		emitError("dial", fmt.Sprintf("%s: %v", addr, err))
	}
}

func (n *node) readMessages(sub *pubsub.Subscription) {
	acks := make(chan uint64, deliverQueue)
	if n.sink {
		go n.acknowledge(acks)
	}
	for {
		m, err := sub.Next(n.ctx)
		if err != nil {
			return
		}
		if m.ReceivedFrom == n.host.ID() {
			continue
		}
		n.mu.Lock()
		n.last = time.Since(n.started)
		if n.received == 0 {
			n.first = n.last
		}
		n.received++
		n.bytes += uint64(len(m.Data))
		count := n.received
		n.mu.Unlock()
		if n.sink {
			acks <- count
			continue
		}
		emit(describe(m))
	}
}

func describe(m *pubsub.Message) object {
	var seqno any
	if s := m.GetSeqno(); len(s) == 8 {
		seqno = strconv.FormatUint(binary.BigEndian.Uint64(s), 10)
	}
	return object{
		"event": "message", "topic": m.GetTopic(), "from": m.GetFrom().String(), "via": m.ReceivedFrom.String(),
		"id": printable(m.ID), "seqno": seqno, "size": len(m.Data), "data": base64.StdEncoding.EncodeToString(m.Data),
	}
}

// acknowledge publishes the receive counter. A value goes out once: the same text again would be a duplicate.
func (n *node) acknowledge(counts <-chan uint64) {
	var count, sent uint64
	silence := time.NewTimer(ackSilence)
	for {
		due := false
		select {
		case count = <-counts:
			due = count-sent >= ackEvery
			silence.Reset(ackSilence)
		case <-silence.C:
			due = count != sent
			silence.Reset(ackSilence)
		}
		// Nobody listens to acknowledgements yet: the next silence tries again.
		if !due || len(n.ack.ListPeers()) == 0 {
			continue
		}
		if err := n.ack.Publish(n.ctx, []byte(strconv.FormatUint(count, 10))); err != nil {
			emitError("ack", err)
		}
		sent = count
	}
}

func (n *node) readAcks() error {
	if n.ackSub {
		return nil
	}
	sub, err := n.ack.Subscribe()
	if err != nil {
		return err
	}
	n.ackSub = true
	go func() {
		for {
			m, err := sub.Next(n.ctx)
			if err != nil {
				return
			}
			if v, err := strconv.ParseUint(string(m.Data), 10, 64); err == nil && v > n.ackedIn.Load() {
				n.ackedIn.Store(v)
				select {
				case n.acked <- struct{}{}:
				default:
				}
			}
		}
	}()
	return nil
}

func (n *node) publish(data []byte) error {
	if n.subscribers.Load() == 0 {
		// go would accept it and send it to nobody.
		return errors.New("no peers subscribed to the topic")
	}
	for n.tracer.full() {
		time.Sleep(200 * time.Microsecond)
	}
	if err := n.topic.Publish(n.ctx, data); err != nil {
		return err
	}
	n.published.Add(1)
	return nil
}

// content is the next distinct message of size bytes.
func (n *node) content(size int) ([]byte, error) {
	head := fmt.Sprintf("%s %d ", n.tail, n.counter)
	n.counter++
	if len(head) > size {
		return nil, fmt.Errorf("%d bytes are too few to be distinct", size)
	}
	return append([]byte(head), bytes.Repeat([]byte{'x'}, size-len(head))...), nil
}

func (n *node) publishNext(size int) error {
	data, err := n.content(size)
	if err != nil {
		return err
	}
	return n.publish(data)
}

func (n *node) burst(count, size int) {
	published, failed := 0, 0
	for range count {
		if n.publishNext(size) == nil {
			published++
		} else {
			failed++
		}
	}
	emit(object{"event": "burst", "published": published, "failed": failed})
}

func (n *node) window(count, size, window int) {
	if err := n.readAcks(); err != nil {
		emitError("window", err)
		return
	}
	base, sent := n.ackedIn.Load(), uint64(0)
	begin, cpu := time.Now(), cpuTotal()
	stalled := false
	wait := func() {
		select {
		case <-n.acked:
		case <-time.After(windowStall):
			stalled = true
		}
	}
	for i := 0; i < count && !stalled; i++ {
		for sent-min(n.ackedIn.Load()-base, sent) >= uint64(window) && !stalled {
			wait()
		}
		if !stalled && n.publishNext(size) == nil {
			sent++
		}
	}
	for n.ackedIn.Load()-base < sent && !stalled {
		wait()
	}
	emit(object{"event": "window", "sent": sent, "acked": n.ackedIn.Load() - base,
		"seconds": time.Since(begin).Seconds(), "cpu_ms": cpuTotal() - cpu})
}

// find asks the network even for a connected peer, as FindPeer would not.
func (n *node) find(id peer.ID) {
	ctx, cancel := context.WithTimeout(n.ctx, findTimeout)
	defer cancel()
	peers, _ := n.dht.GetClosestPeers(ctx, string(id))
	for _, p := range peers {
		if p != id {
			continue
		}
		addrs := []string{}
		for _, a := range n.host.Peerstore().Addrs(id) {
			addrs = append(addrs, a.String())
		}
		emit(object{"event": "found", "peer": id.String(), "addrs": addrs})
		return
	}
	emit(object{"event": "notfound", "peer": id.String()})
}

func (n *node) stats() {
	user, sys := cpuMs()
	n.mu.Lock()
	defer n.mu.Unlock()
	emit(object{"event": "stats", "received": n.received, "published": n.published.Load(), "bytes": n.bytes,
		"first_ns": n.first.Nanoseconds(), "last_ns": n.last.Nanoseconds(), "cpu_user_ms": user, "cpu_sys_ms": sys})
}

func texts(ids []peer.ID) []string {
	out := []string{}
	for _, p := range ids {
		out = append(out, p.String())
	}
	return out
}

func (n *node) peers() {
	emit(object{"event": "peers", "connected": texts(n.host.Network().Peers()), "mesh": n.tracer.members(n.topic.String()),
		"table": texts(n.dht.RoutingTable().ListPeers())})
}

// numbers reads exactly count numbers after the command word.
func numbers(words []string, count int) ([]int, bool) {
	if len(words) != count+1 {
		return nil, false
	}
	out := make([]int, count)
	for i := range out {
		v, err := strconv.ParseUint(words[i+1], 10, 31)
		if err != nil {
			return nil, false
		}
		out[i] = int(v)
	}
	return out, true
}

// sayRaw writes bytes on our own pubsub stream to a peer.
func (n *node) sayRaw(to, text string) bool {
	id, err := peer.Decode(to)
	bytes, err2 := hex.DecodeString(text)
	if err != nil || err2 != nil || n.raw == nil {
		return false
	}
	if n.raw[id] == nil {
		if n.raw[id], err = n.host.NewStream(n.ctx, id, rawProtocol); err != nil {
			delete(n.raw, id)
			emitError("raw", err)
			return true
		}
	}
	if _, err = n.raw[id].Write(bytes); err != nil {
		emitError("raw", err)
		return true
	}
	emit(object{"event": "said", "peer": to})
	return true
}

// command reports false for /quit.
func (n *node) command(line []byte) bool {
	if len(line) == 0 || line[0] != '/' || bytes.HasPrefix(line, []byte("//")) {
		data := bytes.TrimPrefix(line, []byte("/"))
		if err := n.publish(data); err != nil {
			emitError("publish", err)
		} else {
			emit(object{"event": "published", "id": karakID(data)})
		}
		return true
	}
	words := strings.Fields(string(line))
	ok := false
	var v []int
	switch words[0] {
	case "/quit":
		return false
	case "/stats":
		ok = true
		n.stats()
	case "/peers":
		ok = true
		n.peers()
	case "/scores":
		ok = true
		n.tracer.tellScores()
	case "/raw":
		ok = len(words) == 3 && n.sayRaw(words[1], words[2])
	case "/find":
		if len(words) == 2 {
			id, err := peer.Decode(words[1])
			if ok = err == nil; ok {
				go n.find(id)
			}
		}
	case "/burst":
		if v, ok = numbers(words, 2); ok {
			n.burst(v[0], v[1])
		}
	case "/window":
		if v, ok = numbers(words, 3); ok {
			n.window(v[0], v[1], max(v[2], 1))
		}
	}
	if !ok {
		emitError("command", string(line))
	}
	return true
}

func (n *node) readCommands() {
	in := bufio.NewReaderSize(os.Stdin, 1<<16)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > maxLine {
			fatal("stdin", "line too long")
		}
		if err != nil && len(line) == 0 {
			return
		}
		if !n.command(bytes.TrimSuffix(line, []byte("\n"))) {
			n.quit()
		}
	}
}

// quit leaves the topic and lets what is queued go out before the process ends.
func (n *node) quit() {
	time.Sleep(200 * time.Millisecond)
	n.dht.Close()
	n.host.Close()
	emit(object{"event": "closed"})
	os.Exit(0)
}

func (n *node) addrs() ([]string, error) {
	bound, err := n.host.Network().InterfaceListenAddresses()
	if err != nil {
		return nil, err
	}
	self, err := multiaddr.NewComponent("p2p", n.host.ID().String())
	if err != nil {
		return nil, err
	}
	out := []string{}
	for _, a := range bound {
		out = append(out, a.Encapsulate(self.Multiaddr()).String())
	}
	return out, nil
}

func main() {
	o := parse()
	if karakID([]byte("hello")) != "9754003402134539932" || karakID(nil) != "13646096770106105413" {
		panic("the message id function is wrong")
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	n, sub, err := start(context.Background(), o)
	if err != nil {
		fatal("start", err)
	}
	addrs, err := n.addrs()
	if err != nil {
		fatal("listen", err)
	}
	emit(object{"event": "listening", "peer": n.host.ID().String(), "addrs": addrs})
	if !o.raw {
		go n.watchTopic()
		go n.readMessages(sub)
	}
	for _, addr := range o.bootstrap {
		go n.dial(addr)
	}
	go n.readCommands()
	<-stop
}
