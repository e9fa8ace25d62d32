//go:build cgo

package karakp2p

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestPublishAndReceive(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	a, b := pair(t, nil, "news")
	fate, err := a.PublishConfirm(ctx, "news", []byte("hello"))
	must(t, err)
	m, err := b.Recv(ctx)
	must(t, err)
	if m.Topic != "news" || string(m.Payload) != "hello" || m.Source != a.PeerID() || m.Via != a.PeerID() ||
		m.ID != fate.ID || m.ID == "" || fate.Peers != 1 || !m.HasSeq || m.Protocol != "" ||
		time.Since(m.Time) > time.Minute {
		t.Errorf("%+v, %+v", m, fate)
	}
	_, err = a.PublishConfirm(ctx, "news", []byte("hello"))
	want(t, err, ErrDuplicate)
	if !strings.Contains(err.Error(), "news") {
		t.Error(err)
	}
	if m.Accept() || m.Reject() || m.Ignore() {
		t.Error("a verdict on a message without validation")
	}
	mesh, err := a.Mesh("news")
	must(t, err)
	if len(mesh) != 1 || mesh[0] != b.PeerID() {
		t.Error(mesh)
	}
}

func TestPayloadsAreTheCallersOwn(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	a, b := pair(t, nil, "news")
	for i := range 300 {
		must(t, a.Publish(ctx, "news", numbered(i)))
	}
	var all []Message
	for i := range 300 {
		m, err := b.Recv(ctx)
		must(t, err)
		if cap(m.Payload) != len(m.Payload) {
			t.Fatal("an append would write over what is not the payload")
		}
		for j := range m.Payload { // mine to change
			m.Payload[j] ^= 0xff
		}
		_ = append(m.Payload, "behind it"...)
		if i%50 == 0 {
			runtime.GC()
		}
		all = append(all, m)
	}
	ids := make(map[string]bool)
	for i, m := range all {
		for j := range m.Payload {
			m.Payload[j] ^= 0xff
		}
		if !bytes.Equal(m.Payload, numbered(i)) {
			t.Fatalf("%d: %q", i, m.Payload)
		}
		ids[m.ID] = true
	}
	if len(ids) != 300 {
		t.Error(len(ids), "ids")
	}
}

func TestEveryPayloadOfTheTable(t *testing.T) {
	var all struct {
		Keys  [][2]string
		Cases []struct {
			Name           string
			Topic, Payload tableBytes
			Result         string
			Words          []tableBytes
			Keys           [][2]string
		}
	}
	table(t, "payloads.json", &all)
	ctx := ctxFor(t, 60*time.Second)
	var topics []string
	for _, c := range all.Cases {
		if c.Result == "ok" {
			topics = append(topics, string(c.Topic))
		}
	}
	a, b := pair(t, func(c *Config) {
		c.Listen, c.KadMode, c.Workers = nil, "", 0
		c.Extra = make(map[string]string)
		for _, pair := range all.Keys {
			c.Extra[pair[0]] = pair[1]
		}
	}, topics...)
	for _, c := range all.Cases {
		if len(c.Keys) > 0 {
			t.Fatal("a case with keys of its own")
		}
		err := a.Publish(ctx, string(c.Topic), []byte(c.Payload))
		if c.Result != "ok" {
			checkFailure(t, c.Name, err, c.Result, c.Words, "")
			continue
		}
		must(t, err)
		m, err := b.Recv(ctx)
		must(t, err)
		if m.Topic != string(c.Topic) || string(m.Payload) != string(c.Payload) || m.Payload == nil {
			t.Errorf("%s: %q in %q", c.Name, m.Payload, m.Topic)
		}
	}
}

func checkFailure(t *testing.T, name string, err error, code string, words []tableBytes, taken string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Name() != code || e.Text == "" || e.Text == strerror(e.Code) {
		t.Errorf("%s: %v, wanted %s and a text", name, err, code)
		return
	}
	for _, w := range words {
		if word := strings.ReplaceAll(string(w), "{taken}", taken); !strings.Contains(e.Text, word) {
			t.Errorf("%s: no %q in %q", name, word, e.Text)
		}
	}
}

func TestSubscriptionsHaveInboxesOfTheirOwn(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	a, b := pair(t, nil, "one", "two", "three")
	two, err := b.Subscribe(ctx, "two")
	must(t, err)
	again, err := b.Subscribe(ctx, "two", WithOwnMessages())
	must(t, err)
	for _, topic := range []string{"one", "two", "three"} {
		must(t, a.Publish(ctx, topic, []byte("to "+topic)))
	}
	must(t, b.Publish(ctx, "two", []byte("own")))
	for range 2 {
		m, err := again.Recv(ctx)
		if err != nil || m.Topic != "two" {
			t.Fatal(m, err)
		}
	}
	for _, topic := range []string{"one", "three"} {
		m, err := b.Recv(ctx)
		if err != nil || m.Topic != topic {
			t.Fatal(m, err)
		}
	}
	done := make(chan error, 1)
	go func() { _, err := two.Recv(ctx); done <- err }()
	must(t, two.Unsubscribe(ctx))
	want(t, <-done, ErrClosed)
	must(t, again.Unsubscribe(ctx))
	for range two.All(ctx) {
		t.Error("a message of a topic that was left")
	}
	topics, err := b.Topics()
	if err != nil || len(topics) != 2 {
		t.Error(topics, err)
	}
	for i := range 3000 { // numbers are used again
		s, err := b.Subscribe(ctx, fmt.Sprint("t", i))
		must(t, err)
		must(t, s.Unsubscribe(ctx))
	}
	must(t, b.Unsubscribe(ctx, "one"))
}

func TestAllInboxesInUse(t *testing.T) {
	ctx := ctxFor(t, 60*time.Second)
	n := newNode(t, nil)
	for i := range inboxCount - 2 {
		if _, err := n.Subscribe(ctx, fmt.Sprint("t", i)); err != nil {
			t.Fatal(i, err)
		}
	}
	_, err := n.Subscribe(ctx, "one too many")
	want(t, err, ErrLimit)
}

func TestWaysToReceive(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	a, b := pair(t, nil, "news")
	const each = 100
	send := func() {
		for range each {
			must(t, a.Publish(ctx, "news", fmt.Append(nil, rand.Uint64())))
		}
	}
	send()
	batch := make([]Message, 30)
	for got := 0; got < each; {
		n, err := b.RecvBatch(ctx, batch)
		must(t, err)
		got += n
	}
	_, err := b.RecvBatch(ctx, nil)
	want(t, err, ErrInval)
	send()
	got := 0
	for _, err := range b.All(ctx) {
		must(t, err)
		if got++; got == each {
			break
		}
	}
	send()
	got = 0
	stop := errors.New("enough")
	want(t, b.Listen(ctx, func(Message) error {
		if got++; got == each {
			return stop
		}
		return nil
	}), stop)
	send()
	ch := b.Messages()
	for range each {
		<-ch
	}
	if ch != b.Messages() {
		t.Error("two channels")
	}
	must(t, b.Close())
	if _, open := <-ch; open {
		t.Error("one message too many")
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	for _, err := range a.All(short) {
		want(t, err, context.DeadlineExceeded)
	}
}

func TestWhatIsLeftAtCloseCanBeReceived(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	a, b := pair(t, nil, "news")
	const all = 1000
	ch := b.Messages()
	for i := range all {
		must(t, a.Publish(ctx, "news", numbered(i)))
	}
	until(t, "all messages", func() bool {
		s, err := b.Stats()
		must(t, err)
		return s["inbox_offered"] >= all
	})
	must(t, b.Close())
	next := 0
	check := func(m Message) {
		if !bytes.Equal(m.Payload, numbered(next)) {
			t.Fatalf("%q, wanted %d", m.Payload, next)
		}
		next++
	}
	for m := range ch {
		check(m)
	}
	for m := range b.All(ctx) {
		check(m)
	}
	if next != all {
		t.Errorf("%d of %d", next, all)
	}
}

func TestACancelledReceiveLosesNothing(t *testing.T) {
	ctx := ctxFor(t, 120*time.Second)
	a, b := pair(t, nil, "news")
	all := 20000
	if testing.Short() {
		all = 2000
	}
	go func() {
		for i := range all {
			if a.Publish(ctx, "news", numbered(i)) != nil {
				return
			}
			if i%64 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	cancelled := 0
	for next := 0; next < all; {
		short, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(200))*time.Microsecond)
		m, err := b.Recv(short)
		cancel()
		if err != nil {
			want(t, err, context.DeadlineExceeded)
			cancelled++
			must(t, ctx.Err())
			continue
		}
		if !bytes.Equal(m.Payload, numbered(next)) {
			t.Fatalf("%q, wanted %d, after %d cancelled", m.Payload, next, cancelled)
		}
		next++
	}
	if cancelled == 0 {
		t.Error("none was cancelled: the test shows nothing")
	}
}

func TestReadersCompete(t *testing.T) {
	ctx := ctxFor(t, 60*time.Second)
	a, b := pair(t, nil, "news")
	const all = 5000
	seen := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for m := range b.All(ctx) {
				mu.Lock()
				seen[string(m.Payload)]++
				mu.Unlock()
			}
		}()
	}
	for i := range all {
		must(t, a.Publish(ctx, "news", numbered(i)))
	}
	until(t, "all messages", func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) == all })
	must(t, b.Close())
	wg.Wait()
	for text, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", text, n)
		}
	}
}

func TestDroppedMessagesAreCountedAndReported(t *testing.T) {
	ctx := ctxFor(t, 60*time.Second)
	events := make(chan Event, 100)
	a, b := pair(t, func(c *Config) {
		c.InboxMaxMessages = 50
		c.OnEvent = func(e Event) { events <- e }
	}, "news")
	for i := range 500 {
		must(t, a.Publish(ctx, "news", numbered(i)))
	}
	until(t, "all messages", func() bool {
		s, err := b.Stats()
		must(t, err)
		return s["inbox_offered"] >= 500
	})
	got := 0
	for range 50 {
		_, err := b.Recv(ctx)
		must(t, err)
		got++
	}
	if uint64(got)+b.Dropped() != 500 {
		t.Errorf("%d received and %d dropped of 500", got, b.Dropped())
	}
	for e := range events {
		if e.Kind == EventDropped {
			if e.Count != int(b.Dropped()) {
				t.Error(e)
			}
			break
		}
	}
}

func TestPublishersAreServedInOrder(t *testing.T) {
	ctx := ctxFor(t, 60*time.Second)
	const publishers, each = 20, 50
	a, b := pair(t, func(c *Config) { c.OutboxMaxMessages = 4 }, "news")
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				if err := a.Publish(ctx, "news", fmt.Appendf(nil, "%d %d", p, i)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	var done [publishers]int
	for got := range publishers * each {
		m, err := b.Recv(ctx)
		must(t, err)
		var p, i int
		fmt.Sscan(string(m.Payload), &p, &i)
		if done[p] != i {
			t.Fatalf("message %d of %d came as the %d.", i, p, done[p])
		}
		done[p]++
		// nobody starves: at half time everybody has had some of the room
		if got == publishers*each/2 {
			for p, n := range done {
				if n < each/10 {
					t.Errorf("publisher %d was served %d times of %d", p, n, each)
				}
			}
		}
	}
	wg.Wait()
}

// TestTheLineIsKept has a pipe in the place of the library's descriptor, and a full queue of its own.
func TestTheLineIsKept(t *testing.T) {
	n := started(t, nil)
	var pipe [2]int
	must(t, syscall.Pipe2(pipe[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC))
	defer syscall.Close(pipe[0])
	defer syscall.Close(pipe[1])
	q := n.core().queue
	watch, err := watchFD(pipe[0])
	must(t, err)
	q.watch = watch
	n.core().spawn(func() { q.run(watch) })
	defer watch.close()

	var mu sync.Mutex
	full, order := true, []int{}
	gone, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 20 {
		ctx := context.Background()
		if i == 0 || i == 7 {
			ctx = gone
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := q.do(ctx, func() error {
				mu.Lock()
				defer mu.Unlock()
				if full {
					return &Error{Code: codeAgain}
				}
				order = append(order, i)
				return nil
			})
			if (err != nil) != (ctx == gone) {
				t.Error(i, err)
			}
		}()
		until(t, "the line to grow", func() bool { return q.waiters.Load() == int32(i+1) })
	}
	cancel()
	until(t, "two to leave", func() bool { return q.waiters.Load() == 18 })
	want(t, n.TryPublish("t", nil), ErrQueueFull) // nobody overtakes
	mu.Lock()
	full = false
	mu.Unlock()
	_, err = syscall.Write(pipe[1], []byte("x"))
	must(t, err)
	wg.Wait()
	if !slices.IsSorted(order) || len(order) != 18 {
		t.Error(order)
	}
}

func TestPublishDeadline(t *testing.T) {
	ctx := ctxFor(t, 20*time.Second)
	n := started(t, func(c *Config) { c.OutboxMaxMessages = 1 })
	// held for a subscriber, its fate is in flight and takes the only room that there is for fates
	fate := make(chan error, 1)
	go func() { _, err := n.PublishConfirm(ctx, "nobody", nil); fate <- err }()
	until(t, "a full queue", func() bool {
		start := time.Now()
		_, err := n.PublishConfirm(ctxFor(t, 30*time.Millisecond), "nobody", fmt.Append(nil, rand.Uint64()))
		want(t, err, context.DeadlineExceeded)
		want(t, err, ErrTimedOut)
		if took := time.Since(start); took > 5*time.Second {
			t.Error(took)
		}
		return strings.Contains(err.Error(), "queue is full")
	})
	must(t, n.Close())
	if err := <-fate; !errors.Is(err, ErrClosed) && !errors.Is(err, ErrExpired) {
		t.Error(err)
	}
}

func TestPublishBatch(t *testing.T) {
	ctx := ctxFor(t, 60*time.Second)
	a, b := pair(t, func(c *Config) { c.OutboxMaxMessages = 10 }, "news")
	var payloads [][]byte
	for i := range 1000 {
		payloads = append(payloads, bytes.Repeat(numbered(i), 1+i%200))
	}
	n, err := a.PublishBatch(ctx, "news", payloads)
	if n != len(payloads) || err != nil {
		t.Fatal(n, err)
	}
	for i := range payloads {
		m, err := b.Recv(ctx)
		if err != nil || !bytes.Equal(m.Payload, payloads[i]) {
			t.Fatal(i, err)
		}
	}
	payloads[2] = make([]byte, 100000)
	n, err = a.PublishBatch(ctx, "news", payloads[:4])
	want(t, err, ErrTooBig)
	if n != 2 {
		t.Error(n)
	}
	if n, err := a.PublishBatch(ctx, "news", nil); n != 0 || err != nil {
		t.Error(n, err)
	}
}

func TestValidation(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	a, b := pair(t, nil, "news")
	s, err := b.Subscribe(ctx, "news", WithValidation())
	must(t, err)
	verdicts := []func(Message) bool{Message.Accept, Message.Reject, Message.Ignore}
	for i, verdict := range verdicts {
		must(t, a.Publish(ctx, "news", numbered(i)))
		m, err := s.Recv(ctx)
		must(t, err)
		if !verdict(m) || m.Accept() {
			t.Errorf("verdict %d: not once", i)
		}
	}
	must(t, a.Publish(ctx, "news", numbered(9)))
	m, err := s.Recv(ctx)
	must(t, err)
	must(t, b.Close())
	if m.Accept() {
		t.Error("a verdict after close")
	}
}

func TestDirectMessages(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	errs := make(chan error, 10)
	a, b := pair(t, func(c *Config) { c.OnError = func(err error) { errs <- err } }, "news")
	must(t, b.AddProtocol(ctx, "/plain/1"))
	handled := make(chan string, 10)
	must(t, b.Handle(ctx, "/chat/1", func(m Message) error {
		handled <- m.Protocol + " " + string(m.Payload)
		switch string(m.Payload) {
		case "fail":
			return errors.New("it failed")
		case "panic":
			panic("oh")
		}
		return nil
	}))
	want(t, b.Handle(ctx, "/chat/1", func(Message) error { return nil }), ErrState)
	want(t, b.Handle(ctx, "/chat/2", nil), ErrInval)
	want(t, b.Handle(ctx, "chat", func(Message) error { return nil }), ErrInval)
	must(t, a.Send(ctx, b.PeerID(), "/plain/1", []byte("x")))
	m, err := b.Recv(ctx)
	must(t, err)
	if m.Protocol != "/plain/1" || string(m.Payload) != "x" || m.Source != a.PeerID() || m.Topic != "" {
		t.Errorf("%+v", m)
	}
	for _, text := range []string{"fail", "panic", "go on"} {
		must(t, a.Send(ctx, b.PeerID(), "/chat/1", []byte(text)))
		if got := <-handled; got != "/chat/1 "+text {
			t.Error(got)
		}
	}
	var h *HandlerError
	if err := <-errs; !errors.As(err, &h) || h.Stack != nil || !strings.Contains(err.Error(), "it failed") {
		t.Error(err)
	}
	if err := <-errs; !errors.As(err, &h) || h.Stack == nil || !strings.Contains(err.Error(), "oh") {
		t.Error(err)
	}
	want(t, a.Send(ctx, b.PeerID(), "/unknown/1", nil), ErrNotSup)
	want(t, a.Send(ctx, "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms", "/chat/1", nil), ErrNotFound)
}

func TestDirectMessagesAreBounded(t *testing.T) {
	var q directQueue
	dropped := 0
	for range directMessagesMax + 10 {
		dropped += q.push(Message{Payload: []byte("12345678")})
	}
	if dropped != 10 || q.bytes != 8*directMessagesMax {
		t.Error(dropped, q.bytes)
	}
	if dropped := q.push(Message{Payload: make([]byte, directBytesMax)}); dropped != directMessagesMax {
		t.Error(dropped)
	}
	q.pop()
	if _, ok := q.pop(); ok || q.bytes != 0 {
		t.Error("not empty", q.bytes)
	}
}

func TestPeers(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	a, b := pair(t, nil, "news")
	rtt, err := a.Ping(ctx, b.PeerID())
	if err != nil || rtt <= 0 {
		t.Error(rtt, err)
	}
	peers, err := a.Peers()
	must(t, err)
	if len(peers) != 1 || peers[0].Peer != b.PeerID() || peers[0].Direction != "in" || len(peers[0].Addrs) == 0 {
		t.Errorf("%+v", peers)
	}
	must(t, b.Disconnect(ctx, a.PeerID()))
	want(t, func() error {
		_, err := b.Ping(ctx, "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms")
		return err
	}(), ErrNotFound)
	id, err := b.Connect(ctx, address(t, a))
	if err != nil || id != a.PeerID() {
		t.Error(id, err)
	}
	wrong := strings.Split(address(t, a), "/p2p/")[0] + "/p2p/" + string(b.PeerID())
	if _, err := newStarted(t).Connect(ctx, wrong); !errors.Is(err, ErrPeerID) && !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = b.Connect(short, "/ip4/192.0.2.1/tcp/4001")
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
	r, err := a.Routing()
	if err != nil || r.Mode != "off" {
		t.Error(r, err)
	}
	self, err := a.Self()
	if err != nil || self.PeerID != a.PeerID() || len(self.Protocols) == 0 {
		t.Error(self, err)
	}
	if n, err := a.Threads(); err != nil || n < 1 {
		t.Error(n, err)
	}
}

func newStarted(t *testing.T) *Node { return started(t, nil) }

func TestFindPeer(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	dht := func(boot ...string) *Node {
		return started(t, func(c *Config) { c.KadMode = "server"; c.Bootstrap = boot })
	}
	boot := dht()
	x, y := dht(address(t, boot)), dht(address(t, boot))
	until(t, "the address of another", func() bool {
		addrs, err := x.FindPeer(ctx, y.PeerID())
		return err == nil && len(addrs) > 0
	})
	_, err := x.FindPeer(ctx, "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms")
	want(t, err, ErrNotFound)
}

type point struct{ X, Y int }

func (p *point) MarshalBinary() ([]byte, error) {
	if p.X < 0 {
		return nil, errors.New("negative")
	}
	return []byte{byte(p.X), byte(p.Y)}, nil
}

func (p *point) UnmarshalBinary(b []byte) error {
	p.X, p.Y = int(b[0]), int(b[1]) // panics on less
	return nil
}

func TestTypedTopics(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	a, b := pair(t, nil, "json", "points")
	type change struct {
		Name string `json:"name"`
		To   int    `json:"to"`
	}
	var invalid []string
	out, in := TopicOf(a, "json", JSON[change]()), TopicOf(b, "json", JSON[change]())
	in.OnInvalid = func(m Message, err error) { invalid = append(invalid, string(m.Payload)); panic("mine") }
	sub, err := in.Subscribe(ctx, WithValidation())
	must(t, err)
	must(t, a.Publish(ctx, "json", []byte("{not json")))
	must(t, out.Publish(ctx, change{"x", 3}))
	v, err := sub.Recv(ctx)
	must(t, err)
	if v.Value != (change{"x", 3}) || !v.Accept() || sub.Invalid() != 1 || len(invalid) != 1 || v.Topic != "json" {
		t.Errorf("%+v %v", v, invalid)
	}
	points := TopicOf(a, "points", Binary[point]())
	got, err := TopicOf(b, "points", Binary[point]()).Subscribe(ctx)
	must(t, err)
	if err := points.Publish(ctx, point{X: -1}); err == nil || !strings.Contains(err.Error(), "negative") {
		t.Error(err)
	}
	must(t, a.Publish(ctx, "points", []byte{1})) // the codec panics on it
	if _, err := points.PublishConfirm(ctx, point{4, 5}); err != nil {
		t.Error(err)
	}
	must(t, points.TryPublish(point{6, 7}))
	n := 0
	for v, err := range got.All(ctx) {
		must(t, err)
		if v.Value != []point{{4, 5}, {6, 7}}[n] {
			t.Error(v.Value)
		}
		if n++; n == 2 {
			break
		}
	}
	if got.Invalid() != 1 || got.Dropped() != 0 {
		t.Error(got.Invalid(), got.Dropped())
	}
	must(t, got.Unsubscribe(ctx))
	if _, err := json.Marshal(v.Value); err != nil {
		t.Error(err)
	}
}

func TestEventsAndLog(t *testing.T) {
	events := make(chan Event, 1000)
	var mu sync.Mutex
	var text bytes.Buffer
	errs := make(chan error, 1000)
	logger := slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	a, b := pair(t, func(c *Config) {
		c.Events = []string{"peers"}
		c.Logger = logger
		c.LogLevel = "debug"
		c.OnEvent = func(e Event) {
			events <- e
			if e.Kind == EventPeerUp {
				panic("my own")
			}
		}
		c.OnError = func(err error) { errs <- err; panic("even here") }
		c.PublishHold = -1
	}, "news")
	must(t, a.Publish(context.Background(), "nobody's", nil))
	wanted := map[EventKind]bool{EventPeerUp: true, EventListen: true, EventPublishFailed: true, EventPeerDown: true}
	must(t, b.Close())
	for len(wanted) > 0 {
		select {
		case e := <-events:
			if e.Kind == EventPublishFailed && (!errors.Is(e.Err, ErrNoPeers) || e.Topic != "nobody's") {
				t.Error(e)
			}
			delete(wanted, e.Kind)
		case <-time.After(20 * time.Second):
			t.Fatal("never came: ", wanted)
		}
	}
	if err := <-errs; !strings.Contains(err.Error(), "my own") {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(text.String(), "level=DEBUG") {
		t.Error("no log lines:", text.String())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestSubscriptionHandler(t *testing.T) {
	ctx := ctxFor(t, 30*time.Second)
	errs := make(chan error, 10)
	leavesNothing(t, func() {
		a, b := pair(t, func(c *Config) { c.OnError = func(err error) { errs <- err } }, "news")
		s, err := b.Subscribe(ctx, "news")
		must(t, err)
		got := make(chan string)
		must(t, s.Handle(func(m Message) error {
			got <- string(m.Payload)
			panic(errors.New("in the handler"))
		}))
		for i := range 3 {
			must(t, a.Publish(ctx, "news", numbered(i)))
			if text := <-got; text != string(numbered(i)) {
				t.Error(text)
			}
		}
		must(t, a.Close())
		must(t, b.Close())
	})
	for range 3 {
		if err := <-errs; !strings.Contains(err.Error(), "in the handler") {
			t.Error(err)
		}
	}
}

// The parser of packed records is only ever given what the library wrote, but a longer head of a later
// version must not confuse it.
func TestRecordsOfALaterVersion(t *testing.T) {
	head := recordHead + 16
	b := make([]byte, head+8)
	b[0], b[4], b[6] = byte(len(b)), byte(head), 1
	for i := range 10 {
		copy(b[lensAt+4*i:], []byte{0xff, 0xff, 0xff, 0xff})
	}
	copy(b[lensAt+4:], []byte{3, 0, 0, 0})
	copy(b[head:], "abc")
	n := 0
	for r := range records(append(bytes.Clone(b), b...)) {
		n++
		if string(r.field[1]) != "abc" || r.field[0] != nil || !r.isMessage() {
			t.Errorf("%+v", r)
		}
	}
	if n != 2 {
		t.Error(n)
	}
}
