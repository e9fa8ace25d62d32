#!/usr/bin/env perl
# A member of a network: prints what it hears as JSON lines and publishes what it is told, one line a
# message. `/peers`, `/stats` and `/quit` are commands (the line protocol of `karakp2p node --json`).
#
#     member.pl --topic news --listen /ip4/127.0.0.1/tcp/0 --bootstrap /ip4/…/tcp/…/p2p/…
use strict;
use warnings;
use Getopt::Long;
use IO::Select;
use JSON::PP;
use KarakP2P;
use MIME::Base64;

my %config = map { $_ => [] } qw(listen bootstrap topic);
GetOptions((map { ("$_=s" => $config{$_}) } keys %config), 'json' => \my $json) or exit 2;
my $topic = $config{topic}[0];
my $node  = KarakP2P::Node->open(%config);
my $stop  = 0;
$SIG{INT} = $SIG{TERM} = sub { $stop = 1 };
$| = 1;

sub say_event { my ($event, %members) = @_; print JSON::PP->new->encode({ event => $event, %members }), "\n" }

sub peers {
    my @all   = $node->peers;
    my $named = sub {
        my ($list) = @_;
        return [map { $_->{peer} } grep { grep { $_ eq $topic } @{ $_->{$list} } } @all];
    };
    return (connected => [map { $_->{peer} } @all], mesh => $named->('mesh'), subscribers => $named->('topics'));
}

sub obey {
    my ($line) = @_;
    if ($line eq '/quit')     { $stop = 1 }
    elsif ($line eq '/peers') { say_event(peers => peers()) }
    elsif ($line eq '/stats') { say_event(stats => %{ $node->stats }) }
    else {
        $line =~ s{\A/}{};
        say_event(published => id => $node->publish($topic, $line, confirm => 1)->{id});
    }
}

# one loop over the standard input and the node: no threads
my $select = IO::Select->new(\*STDIN, my $inbox = $node->filehandle);
say_event(listening => peer => $node->peer_id, addrs => [$node->addresses]);
my $input = '';
until ($stop) {
    for my $ready ($select->can_read) {
        if ($ready == $inbox) {
            for my $message ($node->recv_batch(256, 0)) {
                say_event(message => topic => $message->topic, from => $message->source, via => $message->via,
                    id => $message->id, seqno => $message->seq . '', size => length $message->data,
                    data => encode_base64($message->data, ''));
            }
        } elsif (!sysread STDIN, $input, 65536, length $input) {
            $select->remove(\*STDIN);
        }
    }
    while ($input =~ s/\A(.*)\n//) {
        my $line = $1;
        eval { obey($line); 1 } or say_event(error => what => $line, why => "$@");
    }
}
$node->close;
say_event('closed');
