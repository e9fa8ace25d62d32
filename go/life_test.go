//go:build cgo

package karakp2p

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestStartAndClose(t *testing.T) {
	leavesNothing(t, func() {
		n := started(t, func(c *Config) { c.Topic = []string{"news"} })
		if n.PeerID() == "" || !strings.HasSuffix(address(t, n), "/p2p/"+string(n.PeerID())) {
			t.Error(n.PeerID(), address(t, n))
		}
		want(t, n.Start(context.Background()), ErrState)
		must(t, n.Close())
		must(t, n.Close())
		want(t, n.Start(context.Background()), ErrClosed)
	})
}

func TestVersionNamesTheLibraries(t *testing.T) {
	for _, name := range []string{"libuv/", "openssl/3", "cares/", "gossipsub"} {
		if !strings.Contains(Version(), name) {
			t.Errorf("no %s in %s", name, Version())
		}
	}
}

func TestNoNodeLeavesAnythingBehind(t *testing.T) {
	cycles := 200
	if testing.Short() {
		cycles = 20
	}
	once := func() {
		n, err := New(testConfig())
		must(t, err)
		must(t, n.Start(context.Background()))
		s, err := n.Subscribe(context.Background(), "t")
		must(t, err)
		go s.Recv(context.Background())
		s.Messages()
		must(t, n.Close())
	}
	once()
	fds := descriptors(t)
	threads, err := os.ReadDir("/proc/self/task")
	must(t, err)
	leavesNothing(t, func() {
		for range cycles {
			once()
		}
	})
	// Go itself makes some threads, and never ends them
	after, err := os.ReadDir("/proc/self/task")
	must(t, err)
	if now := descriptors(t); now > fds+2 || len(after) > len(threads)+20 {
		t.Errorf("%d descriptors and %d threads before, %d and %d after", fds, len(threads), now, len(after))
	}
}

func TestAfterClose(t *testing.T) {
	ctx := ctxFor(t, 10*time.Second)
	n := started(t, func(c *Config) { c.Topic = []string{"news"} })
	s, err := n.Subscribe(ctx, "sport")
	must(t, err)
	sender := n.Sender()
	must(t, n.Close())
	calls := map[string]func() error{
		"publish":   func() error { return n.Publish(ctx, "news", nil) },
		"try":       func() error { return n.TryPublish("news", nil) },
		"batch":     func() error { _, err := n.PublishBatch(ctx, "news", [][]byte{{1}}); return err },
		"confirm":   func() error { _, err := n.PublishConfirm(ctx, "news", nil); return err },
		"sender":    func() error { return sender.Publish(ctx, "news", nil) },
		"send":      func() error { return n.Send(ctx, n.PeerID(), "/p/1", nil) },
		"recv":      func() error { _, err := n.Recv(ctx); return err },
		"recv sub":  func() error { _, err := s.Recv(ctx); return err },
		"batch rcv": func() error { _, err := n.RecvBatch(ctx, make([]Message, 3)); return err },
		"subscribe": func() error { _, err := n.Subscribe(ctx, "x"); return err },
		"leave":     func() error { return n.Unsubscribe(ctx, "news") },
		"ping":      func() error { _, err := n.Ping(ctx, n.PeerID()); return err },
		"connect":   func() error { _, err := n.Connect(ctx, "/ip4/127.0.0.1/tcp/1"); return err },
		"drop":      func() error { return n.Disconnect(ctx, n.PeerID()) },
		"find":      func() error { _, err := n.FindPeer(ctx, n.PeerID()); return err },
		"handle":    func() error { return n.Handle(ctx, "/p/1", func(Message) error { return nil }) },
		"protocol":  func() error { return n.AddProtocol(ctx, "/p/1") },
		"start":     func() error { return n.Start(ctx) },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, ErrClosed) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, s.Unsubscribe(ctx))
	for range n.All(ctx) {
		t.Error("a closed node has a message")
	}
	if _, open := <-n.Messages(); open {
		t.Error("a closed node has a message")
	}
	stats, err := n.Stats()
	must(t, err)
	topics, err := n.Topics()
	if err != nil || stats["memory_peak"] == 0 || n.PeerID() == "" {
		t.Error("the last snapshot is gone:", stats, topics, err)
	}
	must(t, n.Shutdown(ctx))
}

func TestZeroValuesFailWithoutHarm(t *testing.T) {
	ctx := ctxFor(t, time.Second)
	var n Node
	var s Subscription
	var sender Sender
	var m Message
	want(t, n.Start(ctx), ErrClosed)
	want(t, n.Publish(ctx, "t", nil), ErrClosed)
	want(t, sender.TryPublish("t", nil), ErrClosed)
	if _, err := n.Recv(ctx); err == nil {
		t.Error("a zero node received")
	}
	if _, err := s.Recv(ctx); err == nil {
		t.Error("a zero subscription received")
	}
	want(t, s.Unsubscribe(ctx), ErrInval)
	want(t, s.Handle(nil), ErrInval)
	if _, open := <-n.Messages(); open || n.Dropped() != 0 || s.Topic() != "" {
		t.Error("a zero node has messages")
	}
	if _, err := n.Mesh("t"); err == nil {
		t.Error("a zero node has a mesh")
	}
	if _, err := n.Stats(); err == nil || n.PeerID() != "" || m.Accept() {
		t.Error("a zero value answers")
	}
	must(t, n.Close())
	_, err := TopicOf[int](nil, "t", nil).Subscribe(ctx)
	want(t, err, ErrInval)
}

func TestBeforeStart(t *testing.T) {
	ctx := ctxFor(t, 20*time.Second)
	other := started(t, func(c *Config) { c.Topic = []string{"early"} })
	n := newNode(t, func(c *Config) {
		c.OutboxMaxMessages = 2
		c.Bootstrap = []string{address(t, other)}
	})
	s, err := n.Subscribe(ctx, "early", WithOwnMessages())
	must(t, err)
	_, err = s.Recv(ctx)
	want(t, err, ErrState)
	_, err = n.Ping(ctx, "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms")
	want(t, err, ErrState)
	_, err = n.PublishConfirm(ctx, "early", nil)
	want(t, err, ErrState)
	must(t, n.Publish(ctx, "early", []byte("1")))
	must(t, n.Publish(ctx, "early", []byte("2")))
	want(t, n.TryPublish("early", []byte("3")), ErrQueueFull)
	want(t, n.Publish(ctx, "early", []byte("3")), ErrState)
	must(t, n.Start(ctx))
	for _, wanted := range []string{"1", "2"} {
		m, err := s.Recv(ctx)
		must(t, err)
		if string(m.Payload) != wanted {
			t.Errorf("got %q", m.Payload)
		}
	}
}

func TestCloseBeforeStart(t *testing.T) {
	leavesNothing(t, func() {
		n := newNode(t, nil)
		n.Messages()
		must(t, n.Close())
		want(t, n.Start(context.Background()), ErrClosed)
	})
}

func TestStartErrors(t *testing.T) {
	n := started(t, nil)
	taken := strings.Split(address(t, n), "/p2p/")[0]
	other := newNode(t, func(c *Config) { c.Listen = []string{taken} })
	err := other.Start(context.Background())
	want(t, err, ErrAddrInUse)
	want(t, err, syscall.EADDRINUSE)
	if !strings.Contains(err.Error(), taken) {
		t.Error(err)
	}
	must(t, n.Close())
	must(t, other.Start(context.Background())) // it may be tried again
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	want(t, newNode(t, nil).Start(cancelled), context.Canceled)
}

func TestErrors(t *testing.T) {
	var netErr net.Error
	timeout := error(&Error{Code: codeTimedOut, Text: "x"})
	if !errors.As(timeout, &netErr) || !netErr.Timeout() || !errors.Is(timeout, context.DeadlineExceeded) {
		t.Error(timeout)
	}
	if !errors.Is(&Error{Code: codeAcces}, fs.ErrPermission) || errors.Is(ErrAgain, ErrClosed) ||
		!errors.Is(ErrQueueFull, ErrAgain) {
		t.Error("errors.Is")
	}
	for code, name := range codeNames {
		e := &Error{Code: code}
		if e.Name() != name || strings.Contains(e.Error(), "unknown") || e.Error() == "karakp2p: " {
			t.Error(code, e.Name(), e)
		}
	}
	if got := Code(-99).String(); got != "E99" {
		t.Error(got)
	}
}

func TestConfigCoversEveryKeyOnce(t *testing.T) {
	n := newNode(t, nil)
	keys, err := n.Settings()
	must(t, err)
	names := make(map[string]string)
	typ := reflect.TypeFor[Config]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		key := f.Tag.Get("kp2p")
		if key == "" {
			continue
		}
		var name strings.Builder
		for _, word := range regexp.MustCompile(`[._]`).Split(key, -1) {
			name.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
		if _, known := keys[key]; !known || names[name.String()] != "" || f.Name != name.String() {
			t.Errorf("field %s, key %s, wanted name %s", f.Name, key, name.String())
		}
		names[name.String()] = key
		delete(keys, key)
	}
	if len(keys) > 0 {
		t.Errorf("keys without a field: %v", keys)
	}
}

func TestConfigValues(t *testing.T) {
	key, err := GenerateKey()
	must(t, err)
	n := newNode(t, func(c *Config) {
		c.Identity = key
		c.IdleTimeout = 90 * time.Second
		c.PublishHold = -1
		c.MaxMessageSize = 100000
		c.InboxMaxMessages = 17
		c.GossipsubGossipFactor = Ptr(0.5)
		c.GossipsubFloodPublish = Ptr(false)
		c.Events = []string{"peers", "stats"}
		c.Logger = slog.New(slog.DiscardHandler)
		c.Extra = map[string]string{"agent": "me/1"}
	})
	s, err := n.Settings()
	must(t, err)
	for k, wanted := range map[string]string{
		"idle_timeout": "90s", "publish.hold": "0", "max_message_size": "100000", "agent": "me/1",
		"inbox.max_messages": "17", "gossipsub.gossip_factor": "0.5", "gossipsub.flood_publish": "false",
		"events": "peers,log,stats",
	} {
		if s[k] != wanted {
			t.Errorf("%s is %q, wanted %q", k, s[k], wanted)
		}
	}
	if n.PeerID() != key.PeerID() {
		t.Error(n.PeerID(), key)
	}
	for _, bad := range []Config{
		{Topic: []string{""}}, {Topic: []string{"a\x00b"}}, {Listen: []string{"x"}}, {Identity: Key{text: "x"}},
		{InboxPolicy: "drop\x00old"}, {Extra: map[string]string{"no such key": "1"}}, {Workers: 1000},
		{GossipsubD: 6, GossipsubDLow: 7}, {IdleTimeout: 1000 * time.Hour}, {Events: []string{"pears"}},
	} {
		_, err := New(bad)
		want(t, err, ErrInval)
	}
}

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	key, err := KeyFile(path)
	must(t, err)
	again, err := KeyFile(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if key != again || info.Mode().Perm() != 0o600 || key.PeerID() == "" {
		t.Error(key, again, info.Mode())
	}
	for _, shown := range []string{fmt.Sprint(key), fmt.Sprintf("%v %+v %#v %s", key, key, key, &key)} {
		if strings.Contains(shown, key.Text()) {
			t.Error("printing shows the key")
		}
	}
	_, err = ParseKey("nonsense")
	want(t, err, ErrInval)
	id, err := ParsePeerID(string(key.PeerID()))
	if err != nil || id != key.PeerID() {
		t.Error(id, err)
	}
	_, err = ParsePeerID("nonsense")
	want(t, err, ErrInval)
	_, err = KeyFile(t.TempDir())
	if err == nil {
		t.Error("a folder is no key file")
	}
}

func TestShutdown(t *testing.T) {
	a, b := pair(t, nil, "news")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	// the goodbye is said all the same: what is queued still arrives
	must(t, a.Publish(context.Background(), "news", []byte("last words")))
	want(t, a.Shutdown(cancelled), context.Canceled)
	m, err := b.Recv(ctxFor(t, 10*time.Second))
	if err != nil || string(m.Payload) != "last words" {
		t.Fatal(m, err)
	}
	must(t, a.Close())
	until(t, "the end of the connection", func() bool {
		peers, err := b.Peers()
		must(t, err)
		return len(peers) == 0
	})
	must(t, b.Shutdown(ctxFor(t, 10*time.Second)))
	want(t, b.Shutdown(nil), ErrInval)
}

func TestCloseWakesEveryWait(t *testing.T) {
	n := started(t, func(c *Config) {
		c.OutboxMaxMessages = 1
		c.PublishHold = -1
	})
	s, err := n.Subscribe(context.Background(), "t")
	must(t, err)
	ctx := ctxFor(t, 20*time.Second)
	errs := make(chan error, 20)
	for range 5 {
		go func() { _, err := n.Recv(ctx); errs <- err }()
		go func() { _, err := s.RecvBatch(ctx, make([]Message, 2)); errs <- err }()
		go func() { errs <- n.Listen(ctx, func(Message) error { return nil }) }()
		go func() {
			_, err := n.Connect(ctx, "/ip4/192.0.2.1/tcp/4001")
			errs <- err
		}()
	}
	time.Sleep(50 * time.Millisecond) // most of them wait now; any order is right
	must(t, n.Close())
	for range 20 {
		if err := <-errs; err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrCanceled) &&
			!errors.Is(err, ErrUnreachable) {
			t.Error(err)
		}
	}
}

// TestCloseRaces closes nodes while everything else runs: 10,000 of them, or a tenth.
func TestCloseRaces(t *testing.T) {
	rounds := 10000
	if testing.Short() {
		rounds = 1000
	}
	leavesNothing(t, func() {
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range rounds / 4 {
					closeRace(t, worker*rounds+i)
				}
			}()
		}
		wg.Wait()
	})
}

func closeRace(t *testing.T, seed int) {
	n, err := New(Config{KadMode: "off", Workers: 1, OutboxMaxMessages: 2})
	if err != nil {
		t.Error(err)
		return
	}
	ctx := context.Background()
	if seed%8 != 0 {
		if err := n.Start(ctx); err != nil {
			t.Error(err)
		}
	}
	var wg sync.WaitGroup
	run := func(what string, f func() error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := f(); err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrState) &&
				!errors.Is(err, ErrCanceled) {
				t.Errorf("%s: %v", what, err)
			}
		}()
	}
	run("recv", func() error { _, err := n.Recv(ctx); return err })
	run("publish", func() error {
		for i := range 4 {
			if err := n.Publish(ctx, "t", numbered(i)); err != nil {
				return err
			}
		}
		return nil
	})
	run("stats", func() error { _, err := n.Stats(); return err })
	run("subscribe", func() error {
		s, err := n.Subscribe(ctx, "s")
		if err == nil {
			_, err = s.Recv(ctx)
		}
		return err
	})
	for range seed % 3 {
		runtime.Gosched()
	}
	run("close", n.Close)
	if seed%2 == 0 {
		run("shutdown", func() error { return n.Shutdown(ctx) })
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestCloseInsideOfHandlers(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	done := make(chan error, 2)
	leavesNothing(t, func() {
		var a, b *Node
		var once sync.Once
		a, b = pair(t, func(c *Config) {
			c.OnEvent = func(e Event) {
				if e.Kind == EventPublishFailed {
					once.Do(func() { done <- a.Close() })
				}
			}
			c.PublishHold = -1
		}, "news")
		must(t, b.Handle(ctx, "/end/1", func(Message) error { done <- b.Close(); return nil }))
		must(t, a.Send(ctx, b.PeerID(), "/end/1", nil))
		must(t, <-done)
		must(t, a.Publish(ctx, "nobody's", nil))
		must(t, <-done)
	})
}

func TestDroppedNodeIsClosed(t *testing.T) {
	other := started(t, func(c *Config) { c.Topic = []string{"news"} })
	leavesNothing(t, func() {
		func() {
			n, err := New(func() Config {
				c := testConfig()
				c.Bootstrap = []string{address(t, other)}
				return c
			}())
			must(t, err)
			must(t, n.Start(context.Background()))
			until(t, "the connection", func() bool { peers, _ := n.Peers(); return len(peers) == 1 })
		}()
		until(t, "the collected node's goodbye", func() bool {
			runtime.GC()
			peers, err := other.Peers()
			must(t, err)
			return len(peers) == 0
		})
	})
}

func TestASubscriptionKeepsItsNode(t *testing.T) {
	ctx := ctxFor(t, 20*time.Second)
	other := started(t, func(c *Config) { c.Topic = []string{"news"} })
	s := func() *Subscription { // the node itself is not held any more
		config := testConfig()
		config.Bootstrap = []string{address(t, other)}
		n, err := New(config)
		must(t, err)
		must(t, n.Start(ctx))
		s, err := n.Subscribe(ctx, "news", WithOwnMessages())
		must(t, err)
		return s
	}()
	for i := range 5 {
		runtime.GC()
		must(t, s.node.Publish(ctx, "news", numbered(i)))
		m, err := s.Recv(ctx)
		if err != nil || !bytes.Equal(m.Payload, numbered(i)) {
			t.Fatal(m, err)
		}
	}
	must(t, s.node.Close())
}
