//go:build cgo

package karakp2p

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"iter"
)

// Codec makes bytes of values, and values of bytes. What Encode fails with fails the publish before
// anything is queued; what Decode fails on never reaches a reader.
type Codec[T any] interface {
	Encode(T) ([]byte, error)
	Decode([]byte) (T, error)
}

// CodecFuncs is a codec of two functions.
type CodecFuncs[T any] struct {
	EncodeFunc func(T) ([]byte, error)
	DecodeFunc func([]byte) (T, error)
}

// Encode calls EncodeFunc.
func (c CodecFuncs[T]) Encode(v T) ([]byte, error) { return c.EncodeFunc(v) }

// Decode calls DecodeFunc.
func (c CodecFuncs[T]) Decode(b []byte) (T, error) { return c.DecodeFunc(b) }

// JSON is a codec by encoding/json.
func JSON[T any]() Codec[T] {
	return CodecFuncs[T]{
		EncodeFunc: func(v T) ([]byte, error) { return json.Marshal(v) },
		DecodeFunc: func(b []byte) (v T, err error) { return v, json.Unmarshal(b, &v) },
	}
}

// Binary is the codec of types that marshal themselves: T where *T is encoding.BinaryMarshaler and
// encoding.BinaryUnmarshaler.
func Binary[T any, P interface {
	*T
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}]() Codec[T] {
	return CodecFuncs[T]{
		EncodeFunc: func(v T) ([]byte, error) { return P(&v).MarshalBinary() },
		DecodeFunc: func(b []byte) (v T, err error) { return v, P(&v).UnmarshalBinary(b) },
	}
}

// Topic is a topic whose messages are values of a Go type.
type Topic[T any] struct {
	node  *Node
	name  string
	codec Codec[T]

	// OnInvalid is called by the reader for what does not decode, which is counted and skipped; with
	// validation it is rejected. Set it before Subscribe.
	OnInvalid func(m Message, err error)
}

// TopicOf gives a name and a codec to publish and subscribe values with. It joins nothing yet.
func TopicOf[T any](node *Node, name string, codec Codec[T]) *Topic[T] {
	return &Topic[T]{node: node, name: name, codec: codec}
}

// Name is the topic's.
func (t *Topic[T]) Name() string { return t.name }

func (t *Topic[T]) encode(v T) ([]byte, error) {
	if t.node == nil || t.codec == nil {
		return nil, failf(codeInval, "topic %q: no node or no codec", t.name)
	}
	b, err := t.codec.Encode(v)
	if err != nil {
		return nil, fmt.Errorf("karakp2p: encode for topic %q: %w", t.name, err)
	}
	return b, nil
}

// Publish encodes the value, then as Node.Publish.
func (t *Topic[T]) Publish(ctx context.Context, v T) error {
	b, err := t.encode(v)
	if err != nil {
		return err
	}
	return t.node.Publish(ctx, t.name, b)
}

// TryPublish encodes the value, then as Node.TryPublish.
func (t *Topic[T]) TryPublish(v T) error {
	b, err := t.encode(v)
	if err != nil {
		return err
	}
	return t.node.TryPublish(t.name, b)
}

// PublishConfirm encodes the value, then as Node.PublishConfirm.
func (t *Topic[T]) PublishConfirm(ctx context.Context, v T) (Published, error) {
	b, err := t.encode(v)
	if err != nil {
		return Published{}, err
	}
	return t.node.PublishConfirm(ctx, t.name, b)
}

// Subscribe joins the topic, as Node.Subscribe.
func (t *Topic[T]) Subscribe(ctx context.Context, options ...SubscribeOption) (*TopicSubscription[T], error) {
	if t.node == nil || t.codec == nil {
		return nil, failf(codeInval, "topic %q: no node or no codec", t.name)
	}
	s, err := t.node.Subscribe(ctx, t.name, options...)
	if err != nil {
		return nil, err
	}
	return &TopicSubscription[T]{s: s, codec: t.codec, onInvalid: t.OnInvalid}, nil
}

// Value is a message and what it decodes to.
type Value[T any] struct {
	Message
	Value T
}

// TopicSubscription is a Subscription that gives values.
type TopicSubscription[T any] struct {
	s         *Subscription
	codec     Codec[T]
	onInvalid func(Message, error)
}

// Recv gives the next value, as Reader.Recv.
func (s *TopicSubscription[T]) Recv(ctx context.Context) (Value[T], error) {
	for {
		m, err := s.s.Recv(ctx)
		if err != nil {
			return Value[T]{}, err
		}
		if v, err := s.decode(m); err == nil {
			return Value[T]{m, v}, nil
		} else {
			s.invalid(m, err)
		}
	}
}

// decode turns a panic of the codec into an error: what a peer sends must not end the reader.
func (s *TopicSubscription[T]) decode(m Message) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decode panicked: %v", p)
		}
	}()
	return s.codec.Decode(m.Payload)
}

func (s *TopicSubscription[T]) invalid(m Message, err error) {
	s.s.in.invalid.Add(1)
	if s.onInvalid != nil {
		s.s.in.c.events.guard(fmt.Sprintf("OnInvalid of topic %q", m.Topic), func() error {
			s.onInvalid(m, err)
			return nil
		})
	}
	m.Reject() // without effect unless validated, or after another verdict
}

// All iterates over the values, as Reader.All.
func (s *TopicSubscription[T]) All(ctx context.Context) iter.Seq2[Value[T], error] {
	return func(yield func(Value[T], error) bool) {
		for {
			v, err := s.Recv(ctx)
			if isCode(err, codeClosed) {
				return
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Dropped tells how many messages were lost because nobody received them in time.
func (s *TopicSubscription[T]) Dropped() uint64 { return s.s.Dropped() }

// Invalid tells how many messages did not decode.
func (s *TopicSubscription[T]) Invalid() uint64 { return s.s.in.invalid.Load() }

// Unsubscribe leaves the topic, as Subscription.Unsubscribe.
func (s *TopicSubscription[T]) Unsubscribe(ctx context.Context) error { return s.s.Unsubscribe(ctx) }
