"""Our node against each stock peer, in both directions. Every message crosses real TCP."""

import pytest

TOPIC = "interop"


def joined(ours, stock):
    """Both know that the other one subscribes to the topic."""
    ours.wait_until(lambda n: stock.peer in n.ask("/peers", "peers")["subscribers"],
                    "the stock peer subscribes to our topic")
    stock.wait("subscribed", peer=ours.peer, topic=TOPIC)


def pair(network, kind, we_dial):
    if we_dial:
        stock = network.stock(kind)
        ours = network.ours(bootstrap=[stock.address])
    else:
        ours = network.ours()
        stock = network.stock(kind, bootstrap=[ours.address])
    joined(ours, stock)
    return ours, stock


def text_of(size, mark):
    return (mark + "x" * size)[:size]


@pytest.mark.parametrize("we_dial", [True, False], ids=["we-dial", "they-dial"])
class TestPair:
    def test_messages_of_all_sizes_both_ways_with_equal_ids(self, network, kind, we_dial):
        ours, stock = pair(network, kind, we_dial)
        for sender, receiver, mark in ((ours, stock, "a"), (stock, ours, "b")):
            for size in (1, 1000, kind.largest):
                text = text_of(size, mark)
                sender.publish(text)
                got = receiver.wait_message(text)
                assert got["from"] == sender.peer
                assert got["size"] == size
                if "via" in got:
                    assert got["via"] == sender.peer
                sent = sender.wait("published", where=lambda e: e["id"] == got["id"])
                assert sent["id"] == got["id"]

    def test_an_empty_message(self, network, kind, we_dial):
        ours, stock = pair(network, kind, we_dial)
        ours.publish("")
        assert stock.wait_message("")["id"] == "13646096770106105413"

    def test_an_empty_message_to_us(self, network, kind, we_dial):
        ours, stock = pair(network, kind, we_dial)
        stock.publish("")
        assert ours.wait_message("")["id"] == "13646096770106105413"

    def test_a_burst_to_them_is_not_lost(self, network, kind, we_dial):
        ours, stock = pair(network, kind, we_dial)
        texts = [text_of(kind.burst_size, f"ours {i} ") for i in range(1000)]
        for start in range(0, 1000, 200):  # paced by what arrived: the stock queues drop
            for text in texts[start:start + 200]:
                ours.publish(text)
            stock.wait("message", timeout=40, count=start + 200)
        assert stock.count("message") == 1000

    def test_a_burst_to_us_is_not_lost(self, network, kind, we_dial):
        ours, stock = pair(network, kind, we_dial)
        for start in range(0, 1000, 200):
            stock.ask(f"/burst 200 {kind.burst_size}", "burst", timeout=40)
            ours.wait("message", timeout=40, count=start + 200)
        assert ours.count("message") == 1000

    def test_goodbye_is_clean(self, network, kind, we_dial):
        ours, stock = pair(network, kind, we_dial)
        ours.publish("last words")
        assert ours.quit() == 0
        stock.wait_message("last words")
        stock.wait("disconnected", peer=ours.peer)
        assert ours.count("closed") == 1
        assert stock.quit() == 0

    def test_their_goodbye_is_seen(self, network, kind, we_dial):
        ours, stock = pair(network, kind, we_dial)
        stock.quit()
        ours.wait("disconnected", peer=stock.peer)
        assert ours.quit() == 0


def test_a_restarted_peer_is_found_again(network, kind):
    # the bootnode's address holds its peer id, so a seed fixes its identity over the restart
    fixed = seeded(kind)
    stock = network.stock(fixed, "before")
    port = stock.address.split("/tcp/")[1].split("/")[0]
    ours = network.ours(bootstrap=[stock.address])
    joined(ours, stock)
    stock.kill()
    ours.wait("disconnected", peer=stock.peer)
    again = network.stock(fixed, "after", listen=f"/ip4/127.0.0.1/tcp/{port}")
    assert again.peer == stock.peer
    again.wait("subscribed", peer=ours.peer, topic=TOPIC, timeout=40)
    joined(ours, again)  # its own stream to us may open later than ours to it
    again.publish("back again")
    ours.wait_message("back again")


def seeded(kind):
    copy = type(kind)(kind.name, kind.program, [*kind.options, "--seed", "7"])
    copy._command = kind.command()
    return copy


def test_three_hops_keep_the_author(network, kind):
    """ours - stock - ours: the message crosses the stock peer, its signature intact."""
    stock = network.stock(kind)
    # kad off and no mutual knowledge: the only path leads through the stock peer
    one = network.ours("one", "--set", "kad.mode=off", bootstrap=[stock.address], listen=False)
    two = network.ours("two", "--set", "kad.mode=off", bootstrap=[stock.address], listen=False)
    joined(one, stock)
    joined(two, stock)
    one.publish("through you")
    got = two.wait_message("through you")
    assert got["from"] == one.peer
    assert got["via"] == stock.peer
    two.publish("and back")
    assert one.wait_message("and back")["from"] == two.peer


def test_a_third_node_is_discovered_through_their_dht(network, kind):
    if not kind.dht:
        pytest.skip("set up as the original KarakP2P it never feeds its routing table")
    stock = network.stock(kind)
    one = network.ours("one", bootstrap=[stock.address])
    two = network.ours("two", bootstrap=[stock.address])
    one.wait("connected", peer=two.peer, timeout=60)
    found = one.ask(f"/find {two.peer}", "found", timeout=40)
    assert any(a.startswith("/ip4/127.0.0.1/tcp/") for a in found["addrs"])
