//go:build cgo

package karakp2p

/*
#cgo !kp2p_dynamic CFLAGS: -std=gnu11 -O2 -fvisibility=hidden -fstack-protector-strong -DKP2P_STATIC
#cgo !kp2p_dynamic LDFLAGS: -pthread
#cgo !kp2p_dynamic pkg-config: libuv libcares libcrypto
#cgo !kp2p_dynamic,!kp2p_nosodium CFLAGS: -DKP2P_SODIUM
#cgo !kp2p_dynamic,!kp2p_nosodium pkg-config: libsodium
#cgo kp2p_dynamic pkg-config: karakp2p
#cgo noescape kp2p_sender_publish
#cgo nocallback kp2p_sender_publish
#cgo noescape kp2p_sender_publish_batch
#cgo nocallback kp2p_sender_publish_batch
#cgo noescape kp2p_node_poll_packed
#cgo nocallback kp2p_node_poll_packed
#include "karakp2p.h"
*/
import "C"

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Operations of kp2p_node_request.
const (
	opConnect     = C.KP2P_OP_CONNECT
	opDisconnect  = C.KP2P_OP_DISCONNECT
	opPing        = C.KP2P_OP_PING
	opSubscribe   = C.KP2P_OP_SUBSCRIBE
	opUnsubscribe = C.KP2P_OP_UNSUBSCRIBE
	opAddProtocol = C.KP2P_OP_ADD_PROTOCOL
	opFindPeer    = C.KP2P_OP_DHT_FIND_PEER
)

const (
	inboxCount = C.KP2P_INBOXES
	keyEd25519 = C.KP2P_KEY_ED25519
)

// native is the only thing that calls the library. Its lock is held while a call runs and never while
// anything waits, so that nothing is freed under a call: after free every call is ErrClosed.
type native struct {
	mu     sync.RWMutex
	node   *C.kp2p_node
	sender *C.kp2p_sender
}

func checkLibrary() error {
	v := uint32(C.kp2p_abi_version())
	if v>>16 != C.KP2P_ABI_MAJOR || v&0xffff < C.KP2P_ABI_MINOR {
		return failf(codeNotSup, "libkarakp2p has interface %d.%d, this package needs %d.%d",
			v>>16, v&0xffff, C.KP2P_ABI_MAJOR, C.KP2P_ABI_MINOR)
	}
	return nil
}

// Version names the library's version and those of the libraries it runs with.
func Version() string { return C.GoString(C.kp2p_version()) }

func strerror(code Code) string { return C.GoString(C.kp2p_strerror(C.int(code))) }

// takeError makes an error of a failed call, and frees the library's.
func takeError(code C.int, e *C.kp2p_error) error {
	if e == nil {
		return &Error{Code: Code(code), Text: strerror(Code(code))}
	}
	defer C.kp2p_error_free(e)
	return &Error{Code: Code(C.kp2p_error_code(e)), Text: C.GoString(C.kp2p_error_message(e))}
}

// takeText makes a string of a text the library gave out, and frees that.
func takeText(text *C.char, e *C.kp2p_error) (string, error) {
	if text == nil {
		return "", takeError(C.KP2P_EINTERNAL, e)
	}
	defer C.kp2p_free(unsafe.Pointer(text))
	return C.GoString(text), nil
}

// cstring is a NUL-terminated copy for the time of a call. A NUL inside would end the text early
// there, so it is refused here.
func cstring(name, s string) (*C.char, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return nil, failf(codeInval, "%s %q contains a NUL byte", name, s)
	}
	b := make([]byte, len(s)+1)
	copy(b, s)
	return (*C.char)(unsafe.Pointer(&b[0])), nil
}

// milliseconds rounds up, so that a short time is not none; negative is no limit.
func milliseconds(d time.Duration) C.int {
	switch {
	case d < 0:
		return -1
	case d > math.MaxInt32*time.Millisecond:
		return math.MaxInt32
	}
	return C.int((d + time.Millisecond - 1) / time.Millisecond)
}

// setting is one key of the configuration with its text.
type setting struct{ key, value string }

func newConfig(settings []setting) (*C.kp2p_config, error) {
	config := C.kp2p_config_new()
	if config == nil {
		return nil, &Error{Code: codeNoMem, Text: "out of memory"}
	}
	for _, s := range settings {
		key, err := cstring("configuration key", s.key)
		var value *C.char
		if err == nil {
			value, err = cstring(s.key, s.value)
		}
		if err == nil {
			var e *C.kp2p_error
			if r := C.kp2p_config_set(config, key, value, &e); r < 0 {
				err = takeError(r, e)
			}
		}
		if err != nil {
			C.kp2p_config_free(config)
			return nil, err
		}
	}
	return config, nil
}

// checkSettings says what the library finds wrong with them.
func checkSettings(settings []setting) error {
	config, err := newConfig(settings)
	C.kp2p_config_free(config)
	return err
}

func newNative(settings []setting) (*native, error) {
	if err := checkLibrary(); err != nil {
		return nil, err
	}
	config, err := newConfig(settings)
	if err != nil {
		return nil, err
	}
	defer C.kp2p_config_free(config)
	var e *C.kp2p_error
	node := C.kp2p_node_new(config, &e)
	if node == nil {
		return nil, takeError(C.KP2P_EINTERNAL, e)
	}
	sender := C.kp2p_sender_new(node, &e)
	if sender == nil {
		C.kp2p_node_free(node)
		return nil, takeError(C.KP2P_EINTERNAL, e)
	}
	return &native{node: node, sender: sender}, nil
}

// enter begins a call: false when the node has been freed. Then leave must not be called.
func (n *native) enter() bool {
	n.mu.RLock()
	if n.node == nil {
		n.mu.RUnlock()
		return false
	}
	return true
}

func (n *native) leave() { n.mu.RUnlock() }

// free waits for the calls that run. Twice is fine.
func (n *native) free() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.node != nil {
		C.kp2p_sender_free(n.sender)
		C.kp2p_node_free(n.node)
		n.node, n.sender = nil, nil
	}
}

func (n *native) start() error {
	if !n.enter() {
		return errClosedNode
	}
	defer n.leave()
	var e *C.kp2p_error
	if r := C.kp2p_node_start(n.node, &e); r < 0 {
		return takeError(r, e)
	}
	return nil
}

// close gives the code: 0 once the node is closed and joined, EAGAIN before. wait: until then.
func (n *native) close(drain time.Duration, wait bool) Code {
	if !n.enter() {
		return 0
	}
	defer n.leave()
	timeout := C.int(0)
	if wait {
		timeout = -1
	}
	return Code(C.kp2p_node_close(n.node, milliseconds(drain), timeout))
}

// --- sending ---

// topicRoom is that of a topic with its NUL. A longer one is refused by the library anyway.
const topicRoom = 264

func (n *native) publish(topic string, data []byte, token int64, timeout C.int) error {
	var room [topicRoom]byte
	b := room[:]
	if len(topic) >= topicRoom {
		b = make([]byte, len(topic)+1)
	}
	copy(b, topic)
	if strings.IndexByte(topic, 0) >= 0 {
		return failf(codeInval, "topic %q contains a NUL byte", topic)
	}
	if !n.enter() {
		return errClosedNode
	}
	defer n.leave()
	var e *C.kp2p_error
	r := C.kp2p_sender_publish(n.sender, (*C.char)(unsafe.Pointer(&b[0])),
		unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), C.int64_t(token), timeout, &e)
	if r < 0 {
		return takeError(r, e)
	}
	return nil
}

// publishBatch gives how many of the messages in buf were accepted.
func (n *native) publishBatch(topic string, buf []byte, lens []uint32) (int, error) {
	t, err := cstring("topic", topic)
	if err != nil {
		return 0, err
	}
	if !n.enter() {
		return 0, errClosedNode
	}
	defer n.leave()
	var e *C.kp2p_error
	r := C.kp2p_sender_publish_batch(n.sender, t, unsafe.Pointer(unsafe.SliceData(buf)),
		(*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(lens))), C.size_t(len(lens)), 0, 0, &e)
	if r < 0 {
		return 0, takeError(r, e)
	}
	return int(r), nil
}

func (n *native) send(peer, protocol string, data []byte, token int64) error {
	p, err := cstring("peer", peer)
	if err != nil {
		return err
	}
	id, err := cstring("protocol", protocol)
	if err != nil {
		return err
	}
	if !n.enter() {
		return errClosedNode
	}
	defer n.leave()
	var e *C.kp2p_error
	r := C.kp2p_sender_send(n.sender, p, id, unsafe.Pointer(unsafe.SliceData(data)),
		C.size_t(len(data)), C.int64_t(token), 0, &e)
	if r < 0 {
		return takeError(r, e)
	}
	return nil
}

func (n *native) senderFD() (int, error) {
	if !n.enter() {
		return 0, errClosedNode
	}
	defer n.leave()
	return descriptor(C.kp2p_sender_fd(n.sender))
}

// --- receiving ---

// poll fills buf with packed records, without waiting: their number and bytes. ErrTooBig: the first
// one needs so many bytes.
func (n *native) poll(inbox int, buf []byte) (count, used int, code Code) {
	if !n.enter() {
		return 0, 0, codeClosed
	}
	defer n.leave()
	var u C.size_t
	r := C.kp2p_node_poll_packed(n.node, C.int(inbox), unsafe.Pointer(unsafe.SliceData(buf)),
		C.size_t(len(buf)), &u, 0)
	if r < 0 {
		return 0, int(u), Code(r)
	}
	return int(r), int(u), 0
}

func (n *native) inboxFD(inbox int) (int, error) {
	if !n.enter() {
		return 0, errClosedNode
	}
	defer n.leave()
	return descriptor(C.kp2p_node_inbox_fd(n.node, C.int(inbox)))
}

func descriptor(r C.int) (int, error) {
	if r < 0 {
		return 0, takeError(r, nil)
	}
	return int(r), nil
}

func (n *native) verdict(token int64, verdict int) bool {
	if !n.enter() {
		return false
	}
	defer n.leave()
	return C.kp2p_node_verdict(n.node, C.int64_t(token), C.int(verdict)) == 0
}

// --- operations ---

// bytesOf gives a text that may hold NUL and goes with its length. Empty is not missing.
func bytesOf(s string) unsafe.Pointer {
	if s == "" {
		s = "\x00"
	}
	return unsafe.Pointer(unsafe.StringData(s))
}

func (n *native) request(op int, arg, data string, token int64) error {
	if !n.enter() {
		return errClosedNode
	}
	defer n.leave()
	var e *C.kp2p_error
	r := C.kp2p_node_request(n.node, C.int(op), bytesOf(arg), C.size_t(len(arg)), bytesOf(data),
		C.size_t(len(data)), 0, C.int64_t(token), &e)
	if r < 0 {
		return takeError(r, e)
	}
	return nil
}

func (n *native) cancel(token int64) {
	if n.enter() {
		defer n.leave()
		C.kp2p_node_cancel(n.node, C.int64_t(token))
	}
}

func (n *native) info(what string) (string, error) {
	w, err := cstring("info", what)
	if err != nil {
		return "", err
	}
	if !n.enter() {
		return "", errClosedNode
	}
	defer n.leave()
	var e *C.kp2p_error
	return takeText(C.kp2p_node_info(n.node, w, &e), e)
}

// --- keys ---

func generateKey(kind int) (string, error) {
	var e *C.kp2p_error
	return takeText(C.kp2p_key_generate(C.int(kind), &e), e)
}

func keyPeerID(key string) (string, error) {
	k, err := cstring("key", key)
	if err != nil {
		return "", &Error{Code: codeInval, Text: "the key contains a NUL byte"} // without the key
	}
	var e *C.kp2p_error
	return takeText(C.kp2p_key_peer_id(k, &e), e)
}

func parsePeerID(text string) (string, error) {
	t, err := cstring("peer id", text)
	if err != nil {
		return "", err
	}
	var e *C.kp2p_error
	return takeText(C.kp2p_peer_id_parse(t, &e), e)
}

var errClosedNode error = &Error{Code: codeClosed, Text: "the node is closed"}

func failf(code Code, format string, args ...any) error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}
