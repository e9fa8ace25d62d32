// The benchmarks of the Go package.
//
//	bench_peer --listen MA --bootstrap MA --topic T --sink    a gossip peer, as bench/peer.c
//	bench_peer boundary [N]                                   messages a second out of a full inbox
//	bench_peer endtoend [N]                                   from one process to another, 1 KiB
//
// As a peer it takes /window N SIZE W, /stats, /topics and /quit on standard input. A sink counts, and
// acknowledges on "<topic>-ack" every 64 messages and after 50 ms of silence.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	karakp2p "github.com/karakp2p/karakp2p/go"
)

const (
	ackEvery = 64
	silence  = 50 * time.Millisecond
	stall    = 10 * time.Second
	batch    = 256
)

var background = context.Background()

func main() {
	log.SetFlags(0)
	args := os.Args[1:]
	switch {
	case len(args) > 0 && args[0] == "boundary":
		boundary(count(args, 60000))
	case len(args) > 0 && args[0] == "endtoend":
		endToEnd(count(args, 30000))
	default:
		runPeer(args)
	}
}

func count(args []string, n int) int {
	if len(args) > 1 {
		n, _ = strconv.Atoi(args[1])
	}
	return n
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func start(config karakp2p.Config) *karakp2p.Node {
	node, err := karakp2p.New(config)
	check(err)
	check(node.Start(background))
	return node
}

func say(v any) {
	line, err := json.Marshal(v)
	check(err)
	os.Stdout.Write(append(line, '\n'))
}

func usage() (user, system float64) {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	ms := func(t syscall.Timeval) float64 { return float64(t.Nano()) / 1e6 }
	return ms(u.Utime), ms(u.Stime)
}

// --- the peer ---------------------------------------------------------------------------------------

type peer struct {
	node       *karakp2p.Node
	topic, ack string
	sink       bool

	received, bytes, acked   atomic.Int64 // acked: by the far sink
	first, last              atomic.Int64 // nanoseconds
	changed                  chan struct{}
	counter                  int
	acknowledged, lastSeenAt int64
}

func runPeer(args []string) {
	p := &peer{topic: "bench", changed: make(chan struct{}, 1)}
	config := karakp2p.Config{Extra: map[string]string{}}
	for i := 0; i < len(args); i++ {
		name, value := strings.TrimPrefix(args[i], "--"), ""
		if name != "sink" {
			if i++; i == len(args) {
				log.Fatalf("--%s needs a value", name)
			}
			value = args[i]
		}
		switch name {
		case "sink":
			p.sink = true
		case "topic":
			p.topic = value
		case "listen":
			config.Listen = append(config.Listen, value)
		case "bootstrap":
			config.Bootstrap = append(config.Bootstrap, value)
		default:
			config.Extra[name] = value
		}
	}
	p.ack = p.topic + "-ack"
	config.Topic = []string{p.topic, p.ack}
	config.OnEvent = func(e karakp2p.Event) {
		if e.Kind == karakp2p.EventPublishFailed {
			log.Print(e.Err)
		}
	}
	p.node = start(config)
	addrs, err := p.node.Addresses()
	check(err)
	say(map[string]any{"event": "listening", "peer": p.node.PeerID(), "addrs": addrs[:min(1, len(addrs))]})
	go p.receive()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() && p.line(lines.Text()) {
	}
	check(p.node.Close())
	say(map[string]any{"event": "closed"})
}

func (p *peer) receive() {
	messages := make([]karakp2p.Message, batch)
	for {
		ctx, cancel := background, context.CancelFunc(func() {})
		if p.sink && p.received.Load() != p.acknowledged { // to notice the silence
			ctx, cancel = context.WithTimeout(background, silence)
		}
		n, err := p.node.RecvBatch(ctx, messages)
		over := ctx.Err() != nil
		cancel()
		if err != nil && !over {
			return
		}
		for _, m := range messages[:n] {
			p.message(m)
		}
		if over && n == 0 {
			p.acknowledge()
		}
	}
}

func (p *peer) message(m karakp2p.Message) {
	if m.Topic != p.topic {
		if n, err := strconv.ParseInt(string(m.Payload), 10, 64); err == nil && n > p.acked.Load() {
			p.acked.Store(n)
			select {
			case p.changed <- struct{}{}:
			default:
			}
		}
		return
	}
	now := time.Now().UnixNano()
	p.first.CompareAndSwap(0, now)
	p.last.Store(now)
	p.bytes.Add(int64(len(m.Payload)))
	if got := p.received.Add(1); p.sink && got-p.acknowledged >= ackEvery {
		p.acknowledge()
	}
}

func (p *peer) acknowledge() {
	p.acknowledged = p.received.Load()
	check(p.node.Publish(background, p.ack, strconv.AppendInt(nil, p.acknowledged, 10)))
}

// line is one command. False: the end.
func (p *peer) line(line string) bool {
	var n, size, window int64
	switch {
	case strings.HasPrefix(line, "/window"):
		if _, err := fmt.Sscanf(line, "/window %d %d %d", &n, &size, &window); err == nil {
			p.window(n, int(size), window)
		}
	case line == "/stats":
		user, system := usage()
		say(map[string]any{
			"event": "stats", "received": p.received.Load(), "bytes": p.bytes.Load(),
			"first_ns": p.first.Load(), "last_ns": p.last.Load(), "cpu_user_ms": user, "cpu_sys_ms": system,
		})
	case line == "/topics":
		topics, err := p.node.Topics()
		check(err)
		say(map[string]any{"event": "topics", "topics": topics})
	case line == "/quit":
		return false
	}
	return true
}

// window keeps up to w messages of that size unacknowledged, until n are acknowledged.
func (p *peer) window(n int64, size int, w int64) {
	base, sent := p.acked.Load(), int64(0)
	user, system := usage()
	begun := time.Now()
	stalled := time.NewTimer(stall)
	defer stalled.Stop()
	for running := true; running; {
		acked := p.acked.Load() - base
		for ; sent < n && sent-acked < w; sent++ {
			check(p.node.Publish(background, p.topic, p.payload(size)))
		}
		if acked >= n {
			break
		}
		select {
		case <-p.changed:
			stalled.Reset(stall)
		case <-stalled.C:
			running = false
		}
	}
	took := time.Since(begun)
	userNow, systemNow := usage()
	say(map[string]any{
		"event": "window", "sent": sent, "acked": p.acked.Load() - base, "seconds": took.Seconds(),
		"cpu_ms": userNow + systemNow - user - system,
	})
}

func (p *peer) payload(size int) []byte {
	data := fmt.Appendf(make([]byte, 0, max(size, 32)), "%d %d ", os.Getpid(), p.counter)
	p.counter++
	if len(data) < size {
		data = append(data, bytes.Repeat([]byte{'x'}, size-len(data))...)
	}
	return data[:size]
}

// --- the boundary -----------------------------------------------------------------------------------

// boundary fills an inbox from another process and then takes everything out of it, in the ways that
// the package has. What is timed is only the taking. The best of three counts: others share the machine.
func boundary(n int) {
	for _, way := range []string{"recv", "batch", "channel"} {
		var best result
		for range 3 {
			if r := drain(way, n); r.PerSecond > best.PerSecond {
				best = r
			}
		}
		say(best)
	}
}

const unsigned = "strict_no_sign" // how the inbox is filled is not what is measured

type result struct {
	Bench     string `json:"bench"`
	Way       string `json:"way"`
	Size      int    `json:"size"`
	Messages  int    `json:"messages"`
	PerSecond int    `json:"per_second"`
	CPU       int    `json:"cpu_ns"`      // for one message
	Memory    int    `json:"alloc_bytes"` // likewise
}

func drain(way string, n int) result {
	sink := start(karakp2p.Config{
		Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Topic: []string{"bench"}, KadMode: "off", Signature: unsigned,
		InboxMaxMessages: 2 * n, InboxMaxBytes: 1 << 30, InboxTotalBytes: 1 << 30,
	})
	defer sink.Close()
	addrs, err := sink.Addresses()
	check(err)
	source := exec.Command(os.Args[0], "--bootstrap", addrs[0], "--signature", unsigned)
	in, err := source.StdinPipe()
	check(err)
	check(source.Start())
	defer func() { source.Process.Kill(); source.Wait() }()
	until(func() bool { // the other subscribes, so it will know that we do
		topics, err := sink.Topics()
		check(err)
		return len(topics) > 0 && topics[0].Subscribers > 0
	})
	others := delivered(sink)
	fmt.Fprintf(in, "/window %d 200 %d\n", n, n)
	got, since := 0, time.Now()
	until(func() bool { // on a busy machine some may be dropped on the way: then it is not n
		if now := delivered(sink) - others; now != got {
			got, since = now, time.Now()
		}
		return got >= n || got > 0 && time.Since(since) > 3*time.Second
	})
	runtime.GC()
	return take(sink, way, got)
}

// delivered is how many events the node's inboxes have been given.
func delivered(node *karakp2p.Node) int {
	stats, err := node.Stats()
	check(err)
	return int(stats["inbox_offered"])
}

func until(done func() bool) {
	for begun := time.Now(); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 2*time.Minute {
			log.Fatal("it takes too long")
		}
	}
}

func take(node *karakp2p.Node, way string, n int) result {
	messages := make([]karakp2p.Message, batch)
	before := allocations()
	user, system := usage()
	begun := time.Now()
	bytes := 0
	for got := 0; got < n; {
		switch way {
		case "recv":
			m, err := node.Recv(background)
			check(err)
			bytes += len(m.Payload)
			got++
		case "batch":
			k, err := node.RecvBatch(background, messages)
			check(err)
			for i := range messages[:k] {
				bytes += len(messages[i].Payload)
			}
			got += k
		case "channel":
			bytes += len((<-node.Messages()).Payload)
			got++
		}
	}
	took := time.Since(begun)
	userNow, systemNow := usage()
	if bytes != 200*n {
		log.Fatalf("%d bytes of %d", bytes, 200*n)
	}
	return result{
		Bench: "boundary", Way: way, Size: 200, Messages: n, PerSecond: int(float64(n) / took.Seconds()),
		CPU:    int((userNow + systemNow - user - system) * 1e6 / float64(n)),
		Memory: int(allocations()-before) / n,
	}
}

// allocations is how many bytes Go has allocated so far.
func allocations() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// --- end to end -------------------------------------------------------------------------------------

func endToEnd(n int) {
	sink := child("--sink")
	source := child("--bootstrap", sink.address)
	until(func() bool { return source.subscribed() && sink.subscribed() })
	source.ask("/window 500 1024 1024", "window")
	run := source.ask(fmt.Sprintf("/window %d 1024 1024", n), "window")
	say(map[string]any{
		"bench": "endtoend", "size": 1024, "messages": n,
		"per_second": int(run["acked"].(float64) / run["seconds"].(float64)),
	})
	source.ask("/quit", "closed")
	sink.ask("/quit", "closed")
}

type process struct {
	in      *bufio.Writer
	out     *bufio.Scanner
	address string
}

func child(args ...string) *process {
	cmd := exec.Command(os.Args[0], append(args, "--listen", "/ip4/127.0.0.1/tcp/0")...)
	in, err := cmd.StdinPipe()
	check(err)
	out, err := cmd.StdoutPipe()
	check(err)
	cmd.Stderr = os.Stderr
	check(cmd.Start())
	p := &process{in: bufio.NewWriter(in), out: bufio.NewScanner(out)}
	p.address = p.wait("listening")["addrs"].([]any)[0].(string)
	return p
}

func (p *process) wait(event string) map[string]any {
	for p.out.Scan() {
		var v map[string]any
		check(json.Unmarshal(p.out.Bytes(), &v))
		if v["event"] == event {
			return v
		}
	}
	log.Fatalf("it ended before %q", event)
	return nil
}

func (p *process) ask(line, event string) map[string]any {
	fmt.Fprintln(p.in, line)
	check(p.in.Flush())
	return p.wait(event)
}

// subscribed: it knows a subscriber of each of its topics.
func (p *process) subscribed() bool {
	for _, t := range p.ask("/topics", "topics")["topics"].([]any) {
		if t.(map[string]any)["subscribers"].(float64) == 0 {
			return false
		}
	}
	return true
}
