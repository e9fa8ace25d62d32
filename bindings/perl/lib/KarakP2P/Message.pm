package KarakP2P::Message;

# A message, or another event (on_event). What does not belong to its kind is undef.
#
#   topic, data     what was published where; data is bytes
#   source, via     author, and the peer that forwarded it
#   id, seq         message id (bytes), and the author's sequence number
#   protocol        of a direct message
#   time            when it arrived, in seconds
use strict;
use warnings;

my @FIELDS  = qw(topic data source via id protocol addr key value text);
my $HEAD    = 'L<S<S<S<S<l<q<Q<q<q<L<10';
my $MISSING = 0xffffffff;

for my $name (@FIELDS, qw(type inbox code token count seq)) {
    no strict 'refs';
    *$name = sub { $_[0]{$name} };
}

# All events of a packed batch (kp2p_node_poll_packed).
sub unpack_all {
    my ($packed, $core) = @_;
    my @events;
    my $at = 0;
    while ($at < length $packed) {
        my ($size, $skip, $type, $flags, $inbox, $code, $token, $seq, $time, $count, @lens) =
            unpack "\@$at $HEAD", $packed;
        my %event = (
            core => $core, type => $type, flags => $flags, inbox => $inbox, code => $code,
            token => $token, time_ns => $time, count => $count,
        );
        $event{seq} = $seq unless $flags & $karakp2p_core::FLAG_NO_SEQ;
        my $from = $at + $skip;
        for my $i (0 .. $#FIELDS) {
            next if $lens[$i] == $MISSING;
            $event{ $FIELDS[$i] } = substr $packed, $from, $lens[$i];
            $from += $lens[$i];
        }
        utf8::decode($event{$_}) for grep { defined $event{$_} } qw(topic text addr);
        push @events, bless \%event;
        $at += $size;
    }
    return @events;
}

sub time { $_[0]{time_ns} / 1e9 }
sub more { $_[0]{flags} & $karakp2p_core::FLAG_MORE }

# Verdicts on a message of a validated topic: forward it; do not, and count it against the sender; do
# not. False when it needs none, or it is too late.
sub accept { $_[0]->_verdict($karakp2p_core::VERDICT_ACCEPT) }
sub reject { $_[0]->_verdict($karakp2p_core::VERDICT_REJECT) }
sub ignore { $_[0]->_verdict($karakp2p_core::VERDICT_IGNORE) }

sub _verdict {
    my ($self, $verdict) = @_;
    return 0 unless $self->{type} == $karakp2p_core::EV_VALIDATE;
    return 1 if eval { $self->{core}->verdict($self->{token}, $verdict); 1 };
    return 0 if KarakP2P::Error->is($@, 'ENOTFOUND') || KarakP2P::Error->is($@, 'ECLOSED');
    die $@;
}

1;
