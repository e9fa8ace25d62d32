// A small service on KarakP2P: a shared key-value table that every instance holds a copy of.
//
// Each instance publishes its changes on one topic as JSON, and answers a newcomer's request for the
// whole table by a direct message. The services of the other languages share the same table. Start a
// first one, then others with the address that it prints:
//
//	service --listen /ip4/0.0.0.0/tcp/4001 --key first.key
//	service --bootstrap /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…
//
// Type NAME=VALUE to set, NAME to look up, peers or stats to look around. Ctrl-C, SIGTERM or the
// end of the input stop it; it says goodbye first.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	karakp2p "github.com/karakp2p/karakp2p/go"
)

const (
	topicName = "example/table"
	snapshot  = "/example/table/1" // protocol of the direct messages that carry a whole table
)

// row is a value and when it was set. As JSON it is [seconds, value].
type row struct {
	at    float64
	value string
}

func (r row) MarshalJSON() ([]byte, error) { return json.Marshal([]any{r.at, r.value}) }

func (r *row) UnmarshalJSON(text []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return errors.New("a row is [seconds, value]")
	}
	return errors.Join(json.Unmarshal(pair[0], &r.at), json.Unmarshal(pair[1], &r.value))
}

// table holds names and values; of two changes of a name, the later one wins on every instance.
type table struct {
	mu   sync.Mutex
	rows map[string]row
}

// apply tells whether that changed anything.
func (t *table) apply(name string, r row) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, known := t.rows[name]
	if known && (old.at > r.at || old.at == r.at && old.value >= r.value) {
		return false
	}
	t.rows[name] = r
	return true
}

func (t *table) get(name string) (row, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, known := t.rows[name]
	return r, known
}

// marshal gives nil when there is nothing.
func (t *table) marshal() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return nil
	}
	text, err := json.Marshal(t.rows)
	if err != nil {
		panic(err) // strings and numbers
	}
	return text
}

// change is what goes over the topic: {"set": NAME, "to": VALUE, "at": SECONDS} or {"ask": true, "at":
// SECONDS}.
type change struct {
	Set *string  `json:"set,omitempty"`
	To  *string  `json:"to,omitempty"`
	Ask *bool    `json:"ask,omitempty"`
	At  *float64 `json:"at"`
}

// changes refuses what has another form, so that it is rejected before it spreads.
var changes = karakp2p.CodecFuncs[change]{
	EncodeFunc: func(c change) ([]byte, error) { return json.Marshal(c) },
	DecodeFunc: func(text []byte) (c change, err error) {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&c); err != nil {
			return c, err
		}
		sets := c.Set != nil && c.To != nil && c.Ask == nil
		asks := c.Set == nil && c.To == nil && c.Ask != nil
		if c.At == nil || !sets && !asks || sets && *c.At >= now()+60 {
			return c, errors.New("not a change of the table")
		}
		return c, nil
	},
}

func now() float64 { return float64(time.Now().UnixMicro()) / 1e6 }

type service struct {
	node  *karakp2p.Node
	table *table
	topic *karakp2p.Topic[change]
}

// run follows the topic until the node is closed. A message spreads further only once it is accepted.
func (s *service) run(ctx context.Context) error {
	if err := s.node.Handle(ctx, snapshot, s.readSnapshot); err != nil {
		return err
	}
	sub, err := s.topic.Subscribe(ctx, karakp2p.WithValidation())
	if err != nil {
		return err
	}
	if err := s.topic.Publish(ctx, change{Ask: karakp2p.Ptr(true), At: karakp2p.Ptr(now())}); err != nil {
		return err
	}
	for m, err := range sub.All(ctx) {
		if err != nil {
			return err
		}
		m.Accept()
		if m.Value.Ask != nil {
			go s.sendSnapshot(ctx, m.Source)
		} else if s.table.apply(*m.Value.Set, row{*m.Value.At, *m.Value.To}) {
			fmt.Printf("%s = %s  (by %s)\n", *m.Value.Set, *m.Value.To, m.Source)
		}
	}
	return nil
}

// sendSnapshot gives a newcomer what we know. It may have left, or know others: never an error.
func (s *service) sendSnapshot(ctx context.Context, peer karakp2p.PeerID) {
	rows := s.table.marshal()
	if rows == nil || peer == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.node.Send(ctx, peer, snapshot, rows); err != nil {
		slog.Info("no snapshot", "for", peer, "error", err)
	}
}

func (s *service) readSnapshot(m karakp2p.Message) error {
	var rows map[string]row
	if err := json.Unmarshal(m.Payload, &rows); err != nil {
		return fmt.Errorf("bad snapshot from %s: %w", m.Source, err)
	}
	for name, r := range rows {
		if s.table.apply(name, r) {
			fmt.Printf("%s = %s\n", name, r.value)
		}
	}
	return nil
}

// command is one line of the user.
func (s *service) command(ctx context.Context, line string) error {
	name, value, isSet := strings.Cut(line, "=")
	switch {
	case isSet:
		at := now()
		s.table.apply(name, row{at, value})
		return s.topic.Publish(ctx, change{Set: &name, To: &value, At: &at})
	case line == "peers":
		peers, err := s.node.Peers()
		for _, p := range peers {
			fmt.Println(p.Peer, strings.Join(p.Addrs, " "))
		}
		return err
	case line == "stats":
		stats, err := s.node.Stats()
		if err != nil {
			return err
		}
		text, err := json.MarshalIndent(stats, "", " ")
		fmt.Println(string(text))
		return err
	case line != "":
		if r, known := s.table.get(line); known {
			fmt.Println(r.value)
		} else {
			fmt.Println("(not set)")
		}
	}
	return nil
}

// readLines takes the user's commands, until the end of the input.
func (s *service) readLines(ctx context.Context) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := s.command(ctx, strings.TrimSpace(lines.Text())); err != nil {
			slog.Error("command", "error", err)
		}
	}
}

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func configure() (karakp2p.Config, error) {
	var config karakp2p.Config
	flag.Var((*list)(&config.Listen), "listen", "`MULTIADDR` to listen on; may be repeated")
	flag.Var((*list)(&config.Bootstrap), "bootstrap", "`MULTIADDR` of a first peer; may be repeated")
	key := flag.String("key", "", "`FILE` that keeps the peer id; made when absent")
	verbose := flag.Bool("verbose", false, "log what the node does")
	flag.Parse()
	if len(config.Listen) == 0 {
		config.Listen = []string{"/ip4/0.0.0.0/tcp/0"}
	}
	if *verbose {
		slog.SetLogLoggerLevel(slog.LevelDebug)
		config.Logger, config.LogLevel = slog.Default(), "debug"
	}
	var err error
	if *key != "" {
		config.Identity, err = karakp2p.KeyFile(*key)
	}
	return config, err
}

func run() error {
	config, err := configure()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	node, err := karakp2p.New(config)
	if err != nil {
		return err
	}
	defer node.Close() // says goodbye
	if err := node.Start(ctx); err != nil {
		return err
	}
	addresses, err := node.Addresses()
	if err != nil {
		return err
	}
	for _, a := range addresses {
		fmt.Println("listening on", a)
	}
	s := &service{node, &table{rows: make(map[string]row)}, karakp2p.TopicOf(node, topicName, changes)}
	go func() {
		s.readLines(ctx)
		stop()
	}()
	if err := s.run(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		slog.Error(err.Error())
		os.Exit(1)
	}
}
