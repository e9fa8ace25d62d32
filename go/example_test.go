//go:build cgo

package karakp2p_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	karakp2p "github.com/karakp2p/karakp2p/go"
)

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	first, err := karakp2p.New(karakp2p.Config{
		Topic:  []string{"news"},
		Listen: []string{"/ip4/127.0.0.1/tcp/0"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer first.Close()
	if err := first.Start(ctx); err != nil {
		log.Fatal(err)
	}
	addresses, err := first.Addresses()
	if err != nil {
		log.Fatal(err)
	}

	second, err := karakp2p.New(karakp2p.Config{Bootstrap: addresses})
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()
	if err := second.Start(ctx); err != nil {
		log.Fatal(err)
	}
	if err := second.Publish(ctx, "news", []byte("hello")); err != nil { // held until a peer is there
		log.Fatal(err)
	}

	for m, err := range first.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", m.Topic, m.Payload)
		fmt.Println(m.Source == second.PeerID())
		break
	}
	// Output:
	// news: hello
	// true
}

type move struct {
	Piece string `json:"piece"`
	To    string `json:"to"`
}

func ExampleTopicOf() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	a, b := connected(ctx)
	defer a.Close()
	defer b.Close()

	moves, err := karakp2p.TopicOf(b, "chess", karakp2p.JSON[move]()).Subscribe(ctx, karakp2p.WithValidation())
	if err != nil {
		log.Fatal(err)
	}
	if err := karakp2p.TopicOf(a, "chess", karakp2p.JSON[move]()).Publish(ctx, move{"rook", "e4"}); err != nil {
		log.Fatal(err)
	}
	m, err := moves.Recv(ctx)
	if err != nil {
		log.Fatal(err)
	}
	m.Accept() // now it spreads
	fmt.Println(m.Value.Piece, "to", m.Value.To)
	// Output: rook to e4
}

func ExampleNode_PublishConfirm() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	a, b := connected(ctx)
	defer a.Close()
	defer b.Close()
	if _, err := b.Subscribe(ctx, "news"); err != nil {
		log.Fatal(err)
	}

	fate, err := a.PublishConfirm(ctx, "news", []byte("once"))
	fmt.Println(fate.Peers, err)
	_, err = a.PublishConfirm(ctx, "news", []byte("once"))
	fmt.Println(errors.Is(err, karakp2p.ErrDuplicate))
	// Output:
	// 1 <nil>
	// true
}

func ExampleNode_Handle() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	a, b := connected(ctx)
	defer a.Close()
	defer b.Close()

	heard := make(chan string)
	err := b.Handle(ctx, "/echo/1", func(m karakp2p.Message) error {
		heard <- string(m.Payload)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Send(ctx, b.PeerID(), "/echo/1", []byte("only for you")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-heard)
	// Output: only for you
}

// connected gives two nodes, of which the second has dialled the first.
func connected(ctx context.Context) (a, b *karakp2p.Node) {
	start := func(config karakp2p.Config) *karakp2p.Node {
		config.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
		node, err := karakp2p.New(config)
		if err == nil {
			err = node.Start(ctx)
		}
		if err != nil {
			log.Fatal(err)
		}
		return node
	}
	a = start(karakp2p.Config{})
	addresses, err := a.Addresses()
	if err != nil {
		log.Fatal(err)
	}
	b = start(karakp2p.Config{})
	if _, err := b.Connect(ctx, addresses[0]); err != nil {
		log.Fatal(err)
	}
	return a, b
}
