# Messages both ways, topics, validation, requests.
use strict;
use warnings;
use Test::More;
use MIME::Base64 qw(decode_base64);
require './t/kit.pl';
our @QUICK;

subtest 'both ways with a C node' => sub {
    my $other = CNode->new('news');
    my $node  = KarakP2P::Node->open(@QUICK, topic => 'news', bootstrap => $other->{address});
    is $node->publish(news => "from perl \0\xff", confirm => 1, timeout => 10)->{peers}, 1, 'confirmed';
    my $heard = $other->wait('message');
    is decode_base64($heard->{data}), "from perl \0\xff", 'the C node heard';
    is $heard->{from}, $node->peer_id, 'from us';
    $other->say('from c');
    my $message = $node->recv(10);
    is_deeply [map { $message->$_ } qw(data topic source via protocol)],
        ['from c', 'news', $other->{peer}, $other->{peer}, undef], 'heard the C node';
    cmp_ok abs($message->time - time), '<', 60, 'time';
    like $message->seq, qr/\A\d+\z/, 'seq';
    $node->close;
    is $other->quit, 0, 'the C node ends cleanly';
};

subtest subscriptions => sub {
    my ($one, $two) = pair(['a']);
    my $sport = $two->subscribe('sport');
    is $two->subscribe('sport'), $sport, 'again: the same';
    until_true('subscribed' => sub { knows($one, 'sport') });
    $one->publish(a     => 'to the node');
    $one->publish(sport => 'to the subscription');
    is $sport->recv(10)->data, 'to the subscription', 'own inbox';
    is $two->recv(10)->data, 'to the node', 'the rest';
    $one->publish(sport => "batch $_") for 1, 2;
    my @got;
    push @got, $sport->recv_batch(8, 10) while @got < 2;
    is_deeply [map { $_->data } @got], ['batch 1', 'batch 2'], 'batch';
    is_deeply [$sport->recv_batch(8, 0.01)], [], 'nothing in time';
    my $handle = $sport->filehandle;
    $one->publish(sport => 'watched');
    vec(my $bits = '', fileno $handle, 1) = 1;
    is select($bits, undef, undef, 10), 1, 'filehandle is readable';
    is $sport->next->data, 'watched', 'and there it is';
    $sport->unsubscribe;
    is $sport->next, undef, 'the end';
    ok KarakP2P::Error->is(error_of(sub { $sport->recv }), 'ECLOSED'), 'ended';
    is_deeply [map { $_->{topic} } $two->topics], ['a'], 'left';
    $_->close for $one, $two;
};

subtest validation => sub {
    my ($one, $two) = pair([]);
    my $checked = $two->subscribe('checked', validate => 1);
    until_true('subscribed' => sub { knows($one, 'checked') });
    $one->publish(checked => $_) for qw(good bad whatever);
    my @messages = map { $checked->recv(10) } 1 .. 3;
    ok $messages[0]->accept && $messages[1]->reject && $messages[2]->ignore, 'verdicts';
    ok !$messages[0]->accept, 'only once';
    $_->close for $one, $two;
};

subtest 'direct messages and requests' => sub {
    my ($one, $two) = pair([]);
    ok error_of(sub { $one->send($two->peer_id, '/chat/1', 'x', timeout => 10) }), 'not accepted yet';
    $two->add_protocol('/chat/1');
    $one->send($two->peer_id, '/chat/1', "direct \0", timeout => 10);
    my $message = $two->recv(10);
    is_deeply [map { $message->$_ } qw(data protocol source topic)],
        ["direct \0", '/chat/1', $one->peer_id, undef], 'direct';
    cmp_ok $one->ping($two->peer_id, timeout => 10), '<', 10, 'ping';
    my $nobody = KarakP2P->key_peer_id(KarakP2P->generate_key);
    ok KarakP2P::Error->is(error_of(sub { $one->ping($nobody) }), 'ENOTFOUND'), 'ping nobody';
    $two->disconnect($one->peer_id);
    until_true('disconnected' => sub { !$one->peers });
    is $two->connect(($one->addresses)[0], timeout => 10), $one->peer_id, 'connect';
    ok error_of(sub { $one->find_peer($nobody, timeout => 0.5) }), 'find nobody';
    $_->close for $one, $two;
};

subtest 'fates, senders, keys' => sub {
    my @events;
    my $node = KarakP2P::Node->open(@QUICK, 'publish.hold' => 0, on_event => sub { push @events, $_[0] });
    ok KarakP2P::Error->is(error_of(sub { $node->publish(own => 'x', confirm => 1) }), 'ENOPEERS'), 'nobody';
    my $sender = $node->sender->clone;
    ok $sender->try_publish(own => 'y'), 'try';
    until_true('told' => sub { eval { $node->recv(0) }; grep { ($_->topic // '') eq 'own' && $_->code == -14 } @events });
    $node->close;
    ok KarakP2P::Error->is(error_of(sub { $sender->publish(own => 'late') }), 'ECLOSED'), 'closed';
    my $full = KarakP2P::Node->new(@QUICK, 'outbox.max_messages' => 2);
    $full->publish(full => "message $_") for 1, 2;
    ok !$full->try_publish(full => 'no room'), 'full';
    my $key = KarakP2P->generate_key;
    is(KarakP2P::Node->new(identity => $key)->peer_id, KarakP2P->key_peer_id($key), 'identity');
    like(KarakP2P->version, qr/libuv/, 'version');
    my ($one, $two) = pair(['own']);
    my $own = $one->subscribe('own', own_messages => 1);
    $one->publish(own => 'mine');
    is $own->recv(10)->data, 'mine', 'own messages';
    $_->close for $one, $two;
};

done_testing;
