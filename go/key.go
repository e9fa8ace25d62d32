//go:build cgo

package karakp2p

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// PeerID names a peer, in base58.
type PeerID string

// ParsePeerID takes base58 or a CIDv1.
func ParsePeerID(text string) (PeerID, error) {
	id, err := parsePeerID(text)
	return PeerID(id), err
}

// Key is a node's private key, what Config.Identity takes: keep it and the node keeps its peer id.
// The zero Key is none. Printing one does not show it.
type Key struct{ text, id string }

// GenerateKey makes a new Ed25519 key.
func GenerateKey() (Key, error) {
	text, err := generateKey(keyEd25519)
	if err != nil {
		return Key{}, err
	}
	return ParseKey(text)
}

// ParseKey takes the base64 of a libp2p PrivateKey protobuf: a line as Text gives it and as a key file of
// the karakp2p command holds it.
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	id, err := keyPeerID(text)
	if err != nil {
		return Key{}, err
	}
	return Key{text, id}, nil
}

// KeyFile gives the key in that file; a new one, written there with mode 0600, when there is none.
func KeyFile(path string) (Key, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return ParseKey(string(text))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Key{}, err
	}
	key, err := GenerateKey()
	if err != nil {
		return Key{}, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Key{}, err
	}
	_, err = f.WriteString(key.text + "\n")
	return key, errors.Join(err, f.Close())
}

// Text is the secret itself, to be stored.
func (k Key) Text() string { return k.text }

// PeerID is that of a node with this key.
func (k Key) PeerID() PeerID { return PeerID(k.id) }

// String names the key by its peer id.
func (k Key) String() string {
	if k.text == "" {
		return "karakp2p.Key{}"
	}
	return "karakp2p.Key of " + k.id
}

// GoString is String: %#v must not show the secret either.
func (k Key) GoString() string { return k.String() }
