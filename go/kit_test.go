//go:build cgo

package karakp2p

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// testConfig is a node on loopback that does nothing by itself.
func testConfig() Config {
	return Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}, KadMode: "off", Workers: 1}
}

func ctxFor(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func newNode(t testing.TB, change func(*Config)) *Node {
	t.Helper()
	config := testConfig()
	if change != nil {
		change(&config)
	}
	n, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func started(t testing.TB, change func(*Config)) *Node {
	t.Helper()
	n := newNode(t, change)
	if err := n.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return n
}

func address(t testing.TB, n *Node) string {
	t.Helper()
	addrs, err := n.Addresses()
	if err != nil || len(addrs) == 0 {
		t.Fatal(addrs, err)
	}
	return addrs[0]
}

// pair is two nodes that are connected and know each other's topics.
func pair(t testing.TB, change func(*Config), topics ...string) (a, b *Node) {
	t.Helper()
	a = started(t, func(c *Config) {
		c.Topic = topics
		if change != nil {
			change(c)
		}
	})
	b = started(t, func(c *Config) {
		c.Topic = topics
		c.Bootstrap = []string{address(t, a)}
		if change != nil {
			change(c)
		}
	})
	for _, topic := range topics {
		knows(t, a, topic)
		knows(t, b, topic)
	}
	return a, b
}

// knows waits until the node knows a subscriber of the topic.
func knows(t testing.TB, n *Node, topic string) {
	t.Helper()
	until(t, "a subscriber of "+topic, func() bool {
		peers, err := n.Peers()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range peers {
			for _, name := range p.Topics {
				if name == topic {
					return true
				}
			}
		}
		return false
	})
}

// until waits for a state that nothing announces.
func until(t testing.TB, what string, true_ func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !true_(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never came true: ", what)
		}
	}
}

func want(t testing.TB, err, wanted error) {
	t.Helper()
	if !errors.Is(err, wanted) {
		t.Fatalf("got %v, wanted %v", err, wanted)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// table reads one of the tables that all languages share. Where the folder lies alone there is none.
func table(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "tests", name))
	if errors.Is(err, os.ErrNotExist) && os.Getenv("KP2P_ALONE") != "" {
		t.Skip("the tables of the repository are not here")
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	must(t, err)
}

// tableBytes is a value of a table: a text, {"hex": …} or {"repeat": [hex, n]}.
type tableBytes string

func (b *tableBytes) UnmarshalJSON(text []byte) error {
	var plain string
	if json.Unmarshal(text, &plain) == nil {
		*b = tableBytes(plain)
		return nil
	}
	var v struct {
		Hex    string            `json:"hex"`
		Repeat []json.RawMessage `json:"repeat"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	times := 1
	if len(v.Repeat) == 2 {
		if err := errors.Join(json.Unmarshal(v.Repeat[0], &v.Hex), json.Unmarshal(v.Repeat[1], &times)); err != nil {
			return err
		}
	}
	raw, err := hex.DecodeString(v.Hex)
	*b = tableBytes(strings.Repeat(string(raw), times))
	return err
}

// goroutines of this package and of its tests that run now.
func goroutines() (int, string) {
	buf := make([]byte, 4<<20)
	all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	var ours []string
	for _, g := range all {
		if strings.Contains(g, "karakp2p") && !strings.Contains(g, "testing.tRunner") {
			ours = append(ours, g)
		}
	}
	return len(ours), strings.Join(ours, "\n\n")
}

// leavesNothing runs f and then wants no goroutine, thread or descriptor of it to be left.
func leavesNothing(t *testing.T, f func()) {
	t.Helper()
	before, _ := goroutines()
	f()
	deadline := time.Now().Add(10 * time.Second)
	for {
		n, stacks := goroutines()
		if n <= before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after:\n%s", before, n, stacks)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func descriptors(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

func numbered(i int) []byte { return fmt.Appendf(nil, "message %d", i) }
