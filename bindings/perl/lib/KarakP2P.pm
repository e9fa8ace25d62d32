package KarakP2P;

use strict;
use warnings;
use JSON::PP ();
use Scalar::Util qw(looks_like_number weaken);
use Time::HiRes ();
use karakp2p_core;
use KarakP2P::Error;
use KarakP2P::Message;

our $VERSION = '0.1.0';

# The version of the C library; a new Ed25519 key, the text that key identity takes; the peer id of
# such a text; a peer id in base58, given in base58 or as a CIDv1.
sub version      { karakp2p_core::version() }
sub generate_key { karakp2p_core::key_generate($karakp2p_core::KEY_ED25519) }
sub key_peer_id  { karakp2p_core::key_peer_id($_[-1]) }
sub peer_id      { karakp2p_core::peer_id_parse($_[-1]) }

# --- arguments -----------------------------------------------------------------------------------

sub _invalid { KarakP2P::Error->throw($karakp2p_core::EINVAL, $_[0]) }

sub _text {
    my ($value, $name) = @_;
    _invalid("$name: a string, not " . (ref $value || 'undef')) if !defined $value || ref $value;
    return "$value";
}

# Milliseconds for the C library: rounded up, -1 for no limit.
sub _ms {
    my ($seconds) = @_;
    return -1 unless defined $seconds;
    _invalid('timeout: seconds, 0 or more, or undef for no limit')
        unless !ref $seconds && looks_like_number($seconds) && $seconds >= 0;
    my $ms = ($seconds > 2_000_000 ? 2_000_000 : $seconds) * 1000;
    return int($ms) + ($ms > int($ms));
}

# A function that tells the milliseconds left: -1 for no limit, 0 when it has passed.
sub _deadline {
    my $limit = _ms($_[0]);
    return sub { -1 }
        if $limit < 0;
    my $at = Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) + $limit / 1000;
    return sub {
        my $left = $at - Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC());
        return $left > 0 ? int($left * 1000) + 1 : 0;
    };
}

# What a block gives; undef when it ends with that error.
sub _except {
    my ($name, $block) = @_;
    my $result;
    return $result if eval { $result = $block->(); 1 };
    die $@ unless KarakP2P::Error->is($@, $name);
    return undef;
}

# --- reading: what a node and a subscription share ------------------------------------------------

package KarakP2P::Reader;

# The next message. Waits at most $timeout seconds, then ETIMEDOUT. ECLOSED when the node was closed,
# or the topic unsubscribed, and all is read.
sub recv {
    my ($self, $timeout) = @_;
    my $message = $self->_await(KarakP2P::_deadline($timeout));
    return $message if $message;
    $self->_ended if $self->{over};
    KarakP2P::Error->throw($karakp2p_core::ETIMEDOUT, "recv: no message within $timeout s");
}

# Up to $n messages; waits as recv for the first only. Empty when none came in time.
sub recv_batch {
    my ($self, $n, $timeout) = @_;
    $n //= 256;
    KarakP2P::_invalid('n: an integer, at least 1') if ref $n || $n !~ /\A[1-9][0-9]*\z/;
    my $first = $self->_await(KarakP2P::_deadline($timeout));
    $self->_ended if !$first && $self->{over};
    my @batch = $first // ();
    while (@batch && @batch < $n) {
        push @batch, $self->_pop // last;
    }
    return @batch;
}

# The next message, or undef at the end: while (my $message = $node->next) { … }
sub next { $_[0]->_await(KarakP2P::_deadline(undef)) }

# Messages lost because nobody took them in time.
sub dropped { $_[0]{dropped} }

# For event loops: a number, and a filehandle of your own, readable while there is something. Only watch.
sub fileno { $_[0]->_node->{core}->inbox_fd($_[0]{inbox}) }

sub filehandle {
    my ($self) = @_;
    open my $handle, '<&', $self->fileno or die "dup: $!";
    return $handle;
}

sub _ended {
    KarakP2P::Error->throw($karakp2p_core::ECLOSED, 'the node is closed, or the subscription has ended');
}

sub _await {
    my ($self, $left) = @_;
    while (1) {
        my $message = $self->_pop;
        return $message if $message || $self->{over};
        my $wait = $left->() or return undef;
        my $node = $self->_node;
        $node->_need_start('recv');
        $node->{core}->wait($self->{inbox}, $wait);
    }
}

# Keeps one batch at most. Nothing there: undef.
sub _pop {
    my ($self) = @_;
    my $batch = $self->{batch};
    return shift @$batch if @$batch || $self->{over};
    my $node = $self->_node;
    $node->_settle;
    my $packed = KarakP2P::_except(ECLOSED => sub { $node->{core}->take($self->{inbox}, 0) // '' });
    $self->{over} = 1 unless defined $packed;
    for my $event (KarakP2P::Message::unpack_all($packed // '', $node->{core})) {
        if (defined $event->{data}) {
            push @$batch, $event;
            next;
        }
        $self->{dropped} += $event->{count} if $event->{type} == $karakp2p_core::EV_DROPPED;
        $node->_report($event);
    }
    return shift @$batch;
}

# --- a topic with an inbox of its own --------------------------------------------------------------

package KarakP2P::Subscription;
our @ISA = ('KarakP2P::Reader');

sub topic { $_[0]{topic} }
sub _node { $_[0]{node} }

# Leaves the topic. What was not read yet is gone, iteration ends.
sub unsubscribe { $_[0]{over} or $_[0]{node}->unsubscribe($_[0]{topic}) }

sub publish { my $self = shift; $self->{node}->publish($self->{topic}, @_) }

# --- a way to publish ------------------------------------------------------------------------------

package KarakP2P::Sender;

# Queues bytes for everyone who subscribes to the topic. Waits for room in the bounded send queue at
# most timeout => seconds, then ETIMEDOUT (0: EAGAIN).
sub publish {
    my ($self, $topic, $data, %how) = @_;
    $self->{core}->publish(KarakP2P::_text($topic, 'topic'), $data, 0, KarakP2P::_ms($how{timeout}));
    return 1;
}

# publish without waiting; false when the queue is full.
sub try_publish {
    my ($self, $topic, $data) = @_;
    return KarakP2P::_except(EAGAIN => sub { $self->publish($topic, $data, timeout => 0) }) // 0;
}

# Another handle of the same queue.
sub clone { bless { core => $_[0]{core}->clone }, 'KarakP2P::Sender' }

# --- one peer of the network -----------------------------------------------------------------------

package KarakP2P::Node;
our @ISA = ('KarakP2P::Reader');

use constant INBOX      => 1;        # of topics without a subscription; 0 is for answers and reports
use constant DIRECT_MAX => 65_536;   # direct messages that may wait, as inbox.max_messages by default

# Keys are those of the C library; topic, listen, bootstrap take one value or an array. on_event is
# called with events that are no message (dropped, peer_up …, as key events says).
sub new {
    my ($class, %keys) = @_;
    my ($topics, $on_event) = delete @keys{qw(topic on_event)};
    KarakP2P::_invalid('on_event: a code reference') if defined $on_event && ref $on_event ne 'CODE';
    my $config = karakp2p_core::Config->new;
    for my $key (sort keys %keys) {
        $config->set($key, KarakP2P::_text($_, $key)) for _each($keys{$key});
    }
    my $core = karakp2p_core::Node->new($config);
    my $self = bless {
        core => $core, inbox => INBOX, batch => [], dropped => 0, calls => {}, token => 0,
        subscriptions => {}, on_event => $on_event,
        sender => bless({ core => karakp2p_core::Sender->new($core) }, 'KarakP2P::Sender'),
    }, $class;
    $self->_request($karakp2p_core::OP_SUBSCRIBE, KarakP2P::_text($_, 'topic'), 'inbox=' . INBOX)
        for _each($topics);
    return $self;
}

# A started node.
sub open { my $class = shift; $class->new(@_)->start }

# Binds all listeners, then starts the node's threads; returns the node.
sub start {
    my ($self) = @_;
    $self->{core}->start;
    $self->{started} = 1;
    return $self;
}

# Says goodbye, sends what is queued, ends the node; $timeout seconds (2) is the budget for all of it.
# Any number of times.
sub close {
    my ($self, $timeout) = @_;
    my $drain = KarakP2P::_ms($timeout // 2);
    1 while $self->{core}->close($drain, -1) == $karakp2p_core::EINTR;
    $self->_settle;
    return;
}

# Joins a topic with an inbox of its own. validate => 1: messages are forwarded only after accept;
# own_messages => 1: this node's own arrive too. Again: new options, the same subscription.
sub subscribe {
    my ($self, $topic, %how) = @_;
    $topic = KarakP2P::_text($topic, 'topic');
    my $subscriptions = $self->{subscriptions};
    my $subscription  = $subscriptions->{$topic};
    if (!$subscription) {
        my %used  = map { $_->{inbox} => 1 } values %$subscriptions;
        my $inbox = INBOX + 1;
        $inbox++ while $used{$inbox};
        $subscription = bless {
            node => $self, inbox => $inbox, topic => $topic, batch => [], dropped => 0,
        }, 'KarakP2P::Subscription';
    }
    $self->_request($karakp2p_core::OP_SUBSCRIBE, $topic,
        sprintf 'validate=%d self=%d inbox=%d', !!$how{validate}, !!$how{own_messages}, $subscription->{inbox});
    if (!$subscriptions->{$topic}) {    # the caller's holds the node, the node's must not hold itself
        $subscriptions->{$topic} = $subscription;
        Scalar::Util::weaken($subscriptions->{$topic});
    }
    return $subscription;
}

# Leaves a topic, however it was joined.
sub unsubscribe {
    my ($self, $topic) = @_;
    $self->_request($karakp2p_core::OP_UNSUBSCRIBE, KarakP2P::_text($topic, 'topic'));
    my $subscription = delete $self->{subscriptions}{$topic} or return;
    $subscription->{over}  = 1;
    $subscription->{batch} = [];
    1 while KarakP2P::_except(ECLOSED => sub { $self->{core}->take($subscription->{inbox}, 0) });
    return;
}

# As KarakP2P::Sender::publish. With confirm => 1: waits until the message is on its way and returns
# {id, peers}, or EDUPLICATE, ENOPEERS, EEXPIRED.
sub publish {
    my ($self, $topic, $data, %how) = @_;
    return $self->{sender}->publish($topic, $data, %how) unless $how{confirm};
    $self->_need_start('publish');
    my $left = KarakP2P::_deadline($how{timeout});
    my $core = $self->{sender}{core};
    my $last = $self->_call($left, sub { $core->publish(KarakP2P::_text($topic, 'topic'), $data, $_[0], $left->()) });
    return { id => $last->{id}, peers => $last->{count} };
}

sub try_publish { my $self = shift; $self->{sender}->try_publish(@_) }

# A handle on the send queue.
sub sender { $_[0]{sender}->clone }

# Sends a direct message to a connected peer that did add_protocol; waits until it is written.
sub send {
    my ($self, $peer, $protocol, $data, %how) = @_;
    $self->_need_start('send');
    my $left = KarakP2P::_deadline($how{timeout});
    my $core = $self->{sender}{core};
    $self->_call($left, sub {
        $core->send(KarakP2P::_text($peer, 'peer'), KarakP2P::_text($protocol, 'protocol'), $data, $_[0], $left->());
    });
    return;
}

# Accepts direct messages of a protocol: they come out of recv, with protocol set.
sub add_protocol {
    my ($self, $protocol) = @_;
    $self->_request($karakp2p_core::OP_ADD_PROTOCOL, KarakP2P::_text($protocol, 'protocol'));
    return;
}

# Round trip in seconds.
sub ping { my $self = shift; $self->_operate(ping => $karakp2p_core::OP_PING, @_)->{count} / 1e6 }

# Connects to a multiaddress or peer id; the peer id.
sub connect { my $self = shift; $self->_operate(connect => $karakp2p_core::OP_CONNECT, @_)->{source} }

sub disconnect { my $self = shift; $self->_operate(disconnect => $karakp2p_core::OP_DISCONNECT, @_); return }

# Addresses of a peer, looked up in the DHT.
sub find_peer {
    my $self = shift;
    return grep { defined } map { $_->{addr} } $self->_operate(find_peer => $karakp2p_core::OP_DHT_FIND_PEER, @_);
}

sub peer_id { $_[0]{core}->info('peer_id') }

# What others give as bootstrap: where they can reach this node.
sub addresses { @{ $_[0]->_json('addresses') } }
sub peers     { @{ $_[0]->_json('peers') } }
sub topics    { @{ $_[0]->_json('topics') } }
sub stats     { $_[0]->_json('stats') }

sub _node { $_[0] }
sub _json { JSON::PP->new->decode($_[0]{core}->info($_[1])) }

sub _each { return ref $_[0] eq 'ARRAY' ? @{ $_[0] } : defined $_[0] ? ($_[0]) : () }

sub _need_start {
    my ($self, $what) = @_;
    return if $self->{started};
    KarakP2P::Error->throw($karakp2p_core::ESTATE, "$what: the node has not been started");
}

sub _report {
    my ($self, $event) = @_;
    return unless $self->{on_event};
    eval { $self->{on_event}->($event); 1 } or warn "karakp2p: on_event died: $@";
}

# Takes answers, direct messages and reports out of inbox 0.
sub _settle {
    my ($self) = @_;
    return if $self->{zero_over} || !$self->{started};
    my $packed = KarakP2P::_except(ECLOSED => sub { $self->{core}->take(0, 0) // '' });
    $self->{zero_over} = 1 unless defined $packed;
    $self->_dispatch($_) for KarakP2P::Message::unpack_all($packed // '', $self->{core});
}

sub _dispatch {
    my ($self, $event) = @_;
    my $type = $event->{type};
    my $call = $self->{calls}{ $event->{token} };
    if (defined $event->{data}) {
        push @{ $self->{batch} }, $event;
        shift @{ $self->{batch} }, $self->{dropped}++ if @{ $self->{batch} } > DIRECT_MAX;
    } elsif ($call && ($type == $karakp2p_core::EV_COMPLETE || $type == $karakp2p_core::EV_PUBLISHED)) {
        push @{ $call->{events} }, $event;
        $call->{done} = !$event->more;
    } else {
        $self->_report($event);
    }
}

# Starts something that is given a token and waits for its final event; the events, or the last.
sub _call {
    my ($self, $left, $start) = @_;
    my $token = ++$self->{token};
    my $call  = $self->{calls}{$token} = { events => [] };
    my $ok    = eval {
        $start->($token);
        $self->_finish($call, $left);
        1;
    };
    my $error = $@;
    delete $self->{calls}{$token};
    if (!$ok) {
        eval { $self->{core}->cancel($token) };
        die $error;
    }
    my $last = $call->{events}[-1];
    KarakP2P::Error->throw($last->{code}, $last->{text} // karakp2p_core::strerror($last->{code}))
        if $last->{code};
    return wantarray ? @{ $call->{events} } : $last;
}

sub _finish {
    my ($self, $call, $left) = @_;
    while (1) {
        $self->_settle;
        return if $call->{done};
        KarakP2P::Error->throw($karakp2p_core::ECLOSED, 'the node is closed') if $self->{zero_over};
        my $wait = $left->() or KarakP2P::Error->throw($karakp2p_core::ETIMEDOUT, 'not finished in time');
        $self->{core}->wait(0, $wait);
    }
}

# The library keeps the time limit itself. Before start, requests are queued.
sub _request {
    my ($self, $operation, $arg, $options, $timeout) = @_;
    my $ms = defined $timeout ? KarakP2P::_ms($timeout) || 1 : 0;
    utf8::encode($arg);
    return $self->{core}->request($operation, $arg, $options // '', $ms, 0) unless $self->{started};
    return $self->_call(KarakP2P::_deadline(undef),
        sub { $self->{core}->request($operation, $arg, $options // '', $ms, $_[0]) });
}

sub _operate {
    my ($self, $what, $operation, $arg, %how) = @_;
    $self->_need_start($what);
    return $self->_request($operation, KarakP2P::_text($arg, $what), '', $how{timeout});
}

1;

__END__

=encoding utf8

=head1 NAME

KarakP2P - publish-subscribe and a DHT over libp2p

=head1 SYNOPSIS

    use KarakP2P;
    my $node = KarakP2P::Node->open(topic => 'news', listen => '/ip4/0.0.0.0/tcp/0');
    $node->publish(news => 'hello');
    while (my $message = $node->next) {
        print $message->source, ': ', $message->data, "\n";
    }

=head1 DESCRIPTION

Times are seconds (undef: no limit). Payloads are bytes, other texts are character strings. What fails
dies with a L<KarakP2P::Error>. Ctrl-C ends a wait as C<$SIG{INT}> says. The methods are described in the
source.

=cut
