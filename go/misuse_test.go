//go:build cgo

package karakp2p

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// misuseArgs are the arguments of a call by name; what is missing has a harmless value.
type misuseArgs map[string]json.RawMessage

func (a misuseArgs) into(name string, v any) {
	if raw, ok := a[name]; ok {
		if err := json.Unmarshal(raw, v); err != nil {
			panic(err)
		}
	}
}

func (a misuseArgs) bytes(name string) string {
	var b tableBytes
	a.into(name, &b)
	return string(b)
}

func (a misuseArgs) number(name string) (n int64) {
	a.into(name, &n)
	return n
}

type misuseStep struct {
	Call string
	Args misuseArgs
}

type misuseCase struct {
	misuseStep
	Name, State, Code string
	Words             []tableBytes
	Keys              *[][2]string
	Before            []misuseStep
}

// misuseCalls are those of the C interface that the package makes with arguments of the user's. The
// others have only numbers of inboxes, tokens and verdicts, which are the package's own.
var misuseCalls = map[string]func(n *native, a misuseArgs, taken string) error{
	"kp2p_config_set": func(_ *native, a misuseArgs, _ string) error {
		return checkSettings([]setting{{a.bytes("key"), a.bytes("value")}})
	},
	"kp2p_key_generate": func(_ *native, a misuseArgs, _ string) error {
		_, err := generateKey(int(a.number("type")))
		return err
	},
	"kp2p_key_peer_id": func(_ *native, a misuseArgs, _ string) error {
		_, err := ParseKey(a.bytes("key"))
		return err
	},
	"kp2p_peer_id_parse": func(_ *native, a misuseArgs, _ string) error {
		_, err := ParsePeerID(a.bytes("text"))
		return err
	},
	"kp2p_node_new": func(_ *native, a misuseArgs, taken string) error {
		var keys [][2]string
		a.into("keys", &keys)
		n, err := newNative(misuseSettings(keys, taken))
		if err == nil {
			n.free()
		}
		return err
	},
	"kp2p_node_start": func(n *native, _ misuseArgs, _ string) error { return n.start() },
	"kp2p_sender_publish": func(n *native, a misuseArgs, _ string) error {
		return n.publish(a.bytes("topic"), []byte(a.bytes("data")), a.number("token"),
			milliseconds(time.Duration(a.number("timeout_ms"))*time.Millisecond))
	},
	"kp2p_sender_publish_batch": func(n *native, a misuseArgs, _ string) error {
		var lens []uint32
		a.into("lens", &lens)
		_, err := n.publishBatch(a.bytes("topic"), []byte(a.bytes("buf")), lens)
		return err
	},
	"kp2p_sender_send": func(n *native, a misuseArgs, _ string) error {
		return n.send(a.bytes("peer"), a.bytes("protocol"), []byte(a.bytes("data")), a.number("token"))
	},
	"kp2p_node_request": func(n *native, a misuseArgs, _ string) error {
		return n.request(int(a.number("op")), a.bytes("arg"), a.bytes("data"), a.number("token"))
	},
	"kp2p_node_info": func(n *native, a misuseArgs, _ string) error {
		_, err := n.info(a.bytes("what"))
		return err
	},
}

func misuseSettings(keys [][2]string, taken string) (all []setting) {
	for _, k := range keys {
		all = append(all, setting{k[0], strings.ReplaceAll(k[1], "{taken}", taken)})
	}
	return all
}

func misuseStage(t *testing.T, state string, settings []setting) *native {
	if state == "none" {
		return nil
	}
	n, err := newNative(settings)
	must(t, err)
	if state != "new" {
		must(t, n.start())
	}
	if state == "closed" {
		n.close(0, true)
	}
	return n
}

func TestEveryMisuseOfTheTable(t *testing.T) {
	var all struct {
		Keys  [][2]string
		Cases []misuseCase
	}
	table(t, "misuse.json", &all)
	taken := strings.Split(address(t, started(t, nil)), "/p2p/")[0]
	played := 0
	for _, c := range all.Cases {
		call := misuseCalls[c.Call]
		if call == nil {
			continue
		}
		played++
		keys := all.Keys
		if c.Keys != nil {
			keys = *c.Keys
		}
		n := misuseStage(t, c.State, misuseSettings(keys, taken))
		for _, b := range c.Before {
			if err := misuseCalls[b.Call](n, b.Args, taken); err != nil {
				t.Errorf("%s: before: %v", c.Name, err)
			}
		}
		checkFailure(t, c.Name, call(n, c.Args, taken), c.Code, c.Words, taken)
		if n != nil {
			n.close(0, true)
			n.free()
		}
	}
	if played < 90 {
		t.Error("only", played, "cases of", len(all.Cases))
	}
}
