# Life of a node and of its process; wrong types.
use strict;
use warnings;
use Test::More;
require './t/kit.pl';
our @QUICK;

subtest 'use after close, and before start' => sub {
    my $node = KarakP2P::Node->new(@QUICK);
    for my $call (sub { $node->recv }, sub { $node->ping('x') }, sub { $node->publish(a => 'b', confirm => 1) }) {
        ok KarakP2P::Error->is(error_of($call), 'ESTATE'), 'not started';
    }
    my $sub = $node->subscribe('early');
    $node->start;
    is_deeply [map { $_->{topic} } $node->topics], ['early'], 'subscribed before start';
    my $peer = $node->peer_id;
    $node->close for 1, 2;
    for my $call (
        sub { $node->recv }, sub { $sub->recv }, sub { $node->publish(a => 'b') }, sub { $node->subscribe('x') },
        sub { $node->ping($peer) }, sub { $node->send($peer, '/x', 'y') }, sub { $node->unsubscribe('early') },
        sub { $node->sender->publish(a => 'b') },
    ) {
        ok KarakP2P::Error->is(error_of($call), 'ECLOSED'), 'closed';
    }
    is $node->peer_id, $peer, 'still known';
    is $node->next, undef, 'the end';
};

subtest 'Ctrl-C ends a wait' => sub {
    for my $wait ('$node->recv', '$node->next', '$node->recv(60)', '$node->publish(x => "y", confirm => 1)') {
        my ($status, $text) = child(<<"END", sub { my ($pid, $out) = @_; <$out>; Time::HiRes::sleep(0.2); kill INT => $pid });
            \$| = 1;
            my \$node = KarakP2P::Node->open(listen => '/ip4/127.0.0.1/tcp/0');
            \$SIG{INT} = sub { die "interrupted\\n" };
            print "ready\\n";
            eval { $wait };
            print \$@;
            \$node->close;
END
        is_deeply [$status, $text], [0, "interrupted\n"], $wait;
    }
};

subtest 'leaving without close' => sub {
    my $start = q{my $n = KarakP2P::Node->open(topic => 'x', listen => '/ip4/127.0.0.1/tcp/0');};
    is_deeply [child($start)],           [0, ''], 'the end of the program';
    is_deeply [child("our \$k; $start \$k = \$n; exit 7")], [7, ''], 'exit';
    is_deeply [child("our \$k; $start \$k = \$n; open STDERR, '>', '/dev/null'; \$! = 9; die 'boo'")], [9, ''], 'die';
};

subtest fork => sub {
    my $node = KarakP2P::Node->open(@QUICK);
    my $pid  = fork // die $!;
    if ($pid == 0) {
        my $error = error_of(sub { $node->publish(x => 'y') });
        require POSIX;
        POSIX::_exit(KarakP2P::Error->is($error, 'EFORKED') ? 0 : 1);
    }
    waitpid $pid, 0;
    is $?, 0, 'the child is told';
    $node->publish(x => 'y');
    $node->close;
};

subtest 'dropping in any order' => sub {
    my @ids;
    for (1 .. 5) {
        my $node = KarakP2P::Node->open(@QUICK, topic => 'x');
        push @ids, $node->{core}->stop_id;
        my $sub = $node->subscribe('y');
        my ($sender, $other) = ($node->sender, $node->sender->clone);
        undef $node if $_ % 2;
        undef $sender;
        undef $sub;
    }
    until_true('stopped' => sub { !grep { karakp2p_core::stop($_) >= 0 } @ids });
    my ($one, $two) = pair(['gc']);
    my @kept;
    for my $i (1 .. 50) {
        $one->publish(gc => "message $i " . 'x' x ($i * 37));
        push @kept, $two->recv(10);
        karakp2p_core::Node->new(karakp2p_core::Config->new)->take(0, 0);
        my $event = $two->{core}->poll(1, 0);
        undef $event;
    }
    is(scalar(grep { $kept[$_ - 1]->data =~ /\Amessage $_ x+\z/ } 1 .. 50), 50, 'data stay');
    $_->close for $one, $two;
    undef $two;
    ok $kept[0]->data, 'a message outlives its node';
};

# Every method with odd values in every place: the process must live, and say no by dying.
subtest 'wrong types' => sub {
    my @odd = (undef, 1, -1, 2**63, 1.5, 'NaN', '-inf', '', 'x', "a\0b", "\xff", "\x{1f600}", [], [undef], {}, sub { },
        \1, qr/x/, 'x' x 100_000, bless({}, 'Odd'));
    my $node   = KarakP2P::Node->open(@QUICK, 'requests.max' => 8);
    my $core   = $node->{core};
    my $sender = karakp2p_core::Sender->new($core);
    my $config = karakp2p_core::Config->new;
    my @calls  = (
        (map { my $m = $_; sub { $core->$m(@_) } } qw(poll take inbox_fd verdict request cancel info)),
        (map { my $m = $_; sub { $sender->$m(@_) } } qw(publish send)),
        (map { my $f = \&{"karakp2p_core::$_"}; sub { $f->(@_) } }
            qw(key_generate key_peer_id peer_id_parse strerror stop)),
        sub { $config->set(@_) },
        sub { karakp2p_core::Node->new(@_) },
        sub { karakp2p_core::Node::take(@_) },
        sub { karakp2p_core::Sender::publish(@_) },
        (map { my $m = $_; sub { $node->$m(@_) } }
            qw(publish try_publish subscribe unsubscribe add_protocol ping connect disconnect find_peer)),
        sub { $node->send(@_[0 .. 2], timeout => 0) },
        sub { $node->recv($_[0] // 0) },
        sub { $node->recv_batch($_[0], 0) },
        sub { KarakP2P::Node->new(listen => $_[0]) },
        sub { KarakP2P::Node->new(($_[0] // '') => $_[1]) },
        sub { KarakP2P::Node->new(on_event => $_[0]) },
        sub { KarakP2P::Node->new(topic => $_[0]) },
    );
    local $SIG{__WARN__} = sub { };
    srand 1;
    my $end = Time::HiRes::time() + 1.5;
    my $died = 0;
    while (Time::HiRes::time() < $end || $died <= 100) {
        # not a wait for ever: the last argument of poll and take is the timeout
        my @args = map { $odd[rand @odd] } 1 .. rand 6;
        local $SIG{ALRM} = sub { die "alarm\n" };
        Time::HiRes::ualarm(50_000);
        eval { $calls[rand @calls]->(@args); 1 } or $died++;
        Time::HiRes::ualarm(0);
    }
    pass 'the process lives';
    for my $call (sub { $node->publish(undef, 'x') }, sub { $node->publish('x', undef) },
        sub { $node->publish('x', []) }, sub { $node->publish("a\0b", 'x') }, sub { $node->publish('x', "\x{100}") },
        sub { $node->recv(-1) }, sub { $node->recv('soon') }) {
        ok KarakP2P::Error->is(error_of($call), 'EINVAL'), 'refused';
    }
    $node->close;
};

done_testing;
