//go:build cgo

package karakp2p

import (
	"encoding/json"
	"runtime"
	"slices"
	"time"
)

// infoKinds is what the library tells of a node, and what is saved when it is closed.
var infoKinds = []string{"self", "addresses", "listen_addrs", "peers", "topics", "routing", "stats", "threads", "config", "peer_id"}

// PeerInfo is one connected peer.
type PeerInfo struct {
	Peer        PeerID   `json:"peer"`
	Addrs       []string `json:"addrs"`     // where we are connected to it, then what it told itself
	Direction   string   `json:"direction"` // "in" or "out"
	Agent       string   `json:"agent"`
	RTTMicros   *int64   `json:"rtt_us"` // nil: not measured yet
	Topics      []string `json:"topics"` // those it subscribes to
	Mesh        []string `json:"mesh"`   // those in whose mesh it is
	Score       float64  `json:"score"`
	Connections int      `json:"connections"`
}

// RTT is the last round trip measured; false: none was yet.
func (p PeerInfo) RTT() (time.Duration, bool) {
	if p.RTTMicros == nil {
		return 0, false
	}
	return time.Duration(*p.RTTMicros) * time.Microsecond, true
}

// TopicInfo is one subscribed topic.
type TopicInfo struct {
	Topic       string `json:"topic"`
	Mesh        int    `json:"mesh"`        // peers in its mesh
	Subscribers int    `json:"subscribers"` // connected peers that subscribe to it
	Inbox       int    `json:"inbox"`
}

// RoutingInfo is the DHT's table.
type RoutingInfo struct {
	Mode    string   `json:"mode"` // "server", "client" or "off"
	Size    int      `json:"size"`
	Buckets []int    `json:"buckets"` // entries by length of the common prefix
	Peers   []PeerID `json:"peers"`
}

// SelfInfo is what the node tells others of itself.
type SelfInfo struct {
	PeerID    PeerID   `json:"peer_id"`
	Agent     string   `json:"agent"`
	Protocols []string `json:"protocols"`
}

// info asks the library, or of a closed node gives what it said last.
func (n *Node) info(what string) (string, error) {
	defer runtime.KeepAlive(n)
	c := n.core()
	text, err := c.native.info(what)
	if err == nil {
		return text, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := c.last[what]; last != "" {
		return last, nil
	}
	return "", err
}

func infoOf[T any](n *Node, what string) (v T, err error) {
	text, err := n.info(what)
	if err == nil {
		err = json.Unmarshal([]byte(text), &v)
	}
	return v, err
}

// PeerID is this node's.
func (n *Node) PeerID() PeerID {
	id, _ := n.info("peer_id")
	return PeerID(id)
}

// Self gives what the node tells others of itself.
func (n *Node) Self() (SelfInfo, error) { return infoOf[SelfInfo](n, "self") }

// Addresses is where others can reach this node, each with /p2p/PEERID: what Config.Bootstrap takes. After
// Close, as of all that follow, the last that there was.
func (n *Node) Addresses() ([]string, error) { return infoOf[[]string](n, "addresses") }

// Peers gives the connected peers.
func (n *Node) Peers() ([]PeerInfo, error) { return infoOf[[]PeerInfo](n, "peers") }

// Topics gives the subscribed topics.
func (n *Node) Topics() ([]TopicInfo, error) { return infoOf[[]TopicInfo](n, "topics") }

// Mesh gives the peers in the mesh of a topic.
func (n *Node) Mesh(topic string) ([]PeerID, error) {
	peers, err := n.Peers()
	var mesh []PeerID
	for _, p := range peers {
		if slices.Contains(p.Mesh, topic) {
			mesh = append(mesh, p.Peer)
		}
	}
	return mesh, err
}

// Routing gives the DHT's table.
func (n *Node) Routing() (RoutingInfo, error) { return infoOf[RoutingInfo](n, "routing") }

// Stats gives all counters and gauges of the library by name, and "go_reports_dropped": events and log
// lines that OnEvent or Logger were too slow for.
func (n *Node) Stats() (map[string]int64, error) {
	stats, err := infoOf[map[string]int64](n, "stats")
	if err == nil {
		stats["go_reports_dropped"] = int64(n.core().events.dropped.Load())
	}
	return stats, err
}

// Threads tells how many threads of the library there are now, of this node.
func (n *Node) Threads() (int, error) { return infoOf[int](n, "threads") }

// Settings gives the configuration in use, key by key as the library names them.
func (n *Node) Settings() (map[string]string, error) {
	return infoOf[map[string]string](n, "config")
}
