# The shared tables: what bad input gets, and what must arrive byte for byte.
use strict;
use warnings;
use Test::More;
require './t/kit.pl';
our (@QUICK, $REPOSITORY);

my %NOT_HERE = (kp2p_sender_publish_batch => 'several publishes in one call');

sub node_of {
    my ($keys, $taken) = @_;
    my $config = karakp2p_core::Config->new;
    $config->set($_->[0], $_->[1] =~ s/\{taken\}/$taken/r) for @$keys;
    return karakp2p_core::Node->new($config);
}

# The calls of the C interface, as the wrapper has them.
sub play {
    my ($step, $node, $sender, $taken) = @_;
    my $a    = $step->{args};
    my $text = sub { text_of($a->{ $_[0] }) =~ s/\{taken\}/$taken/r };
    my ($token, $timeout) = ($a->{token} // 0, $a->{timeout_ms} // 0);
    my %calls = (
        kp2p_config_set     => sub { karakp2p_core::Config->new->set($text->('key'), $text->('value')) },
        kp2p_node_new       => sub { node_of($a->{keys}, $taken) },
        kp2p_key_generate   => sub { karakp2p_core::key_generate($a->{type}) },
        kp2p_key_peer_id    => sub { karakp2p_core::key_peer_id($text->('key')) },
        kp2p_peer_id_parse  => sub { karakp2p_core::peer_id_parse($text->('text')) },
        kp2p_node_start     => sub { $node->start },
        kp2p_sender_publish => sub { $sender->publish($text->('topic'), bytes_of($a->{data}), $token, $timeout) },
        kp2p_sender_send    => sub {
            $sender->send($text->('peer'), $text->('protocol'), bytes_of($a->{data}), $token, $timeout);
        },
        kp2p_node_request => sub {
            $node->request($a->{op}, bytes_of($a->{arg}), bytes_of($a->{data}), $timeout, $token);
        },
        kp2p_node_poll       => sub { $node->take($a->{inbox}, $timeout) },
        kp2p_node_poll_batch => sub { $node->take($a->{inbox}, $timeout) },
        kp2p_node_listen     => sub { $node->take($a->{inbox}, -1) },
        kp2p_node_inbox_fd   => sub { $node->inbox_fd($a->{inbox}) },
        kp2p_node_verdict    => sub { $node->verdict($token, $a->{verdict}) },
        kp2p_node_cancel     => sub { $node->cancel($token) },
        kp2p_node_info       => sub { $node->info($text->('what')) },
    );
    return $calls{ $step->{call} }->();
}

sub stage {
    my ($case, $keys, $taken) = @_;
    return if $case->{state} eq 'none';
    my $node   = node_of($case->{keys} // $keys, $taken);
    my $sender = karakp2p_core::Sender->new($node);
    $node->start if $case->{state} =~ /running|closed/;
    $node->close(0, -1) if $case->{state} eq 'closed';
    return ($node, $sender);
}

subtest misuse => sub {
    my $table   = table('misuse.json');
    my $other   = KarakP2P::Node->open(@QUICK);
    my ($taken) = split m{/p2p/}, ($other->addresses)[0];
    my $played  = 0;
    for my $case (@{ $table->{cases} }) {
        next if $case->{bytes} || $NOT_HERE{ $case->{call} } || !($case->{args}{max} // 1);
        my ($node, $sender) = stage($case, $table->{keys}, $taken);
        play($_, $node, $sender, $taken) for @{ $case->{before} // [] };
        my $error = error_of(sub { play($case, $node, $sender, $taken) });
        ok KarakP2P::Error->is($error, $case->{code}), "$case->{name}: " . ($error // 'no error');
        $played++;
        next if $case->{call} eq 'kp2p_node_listen';    # polled here, which has no text
        for my $word (map { s/\{taken\}/$taken/r } @{ $case->{words} }) {
            cmp_ok index("$error", $word), '>=', 0, "$case->{name} tells $word";
        }
    }
    cmp_ok $played, '>', 90, 'cases played';
    $other->close;
};

subtest payloads => sub {
    my $table  = table('payloads.json');
    my %topics = map { text_of($_->{topic}) => 1 } grep { $_->{result} eq 'ok' } @{ $table->{cases} };
    my %keys   = map { $_->[0] => $_->[1] } @{ $table->{keys} };
    my ($one, $two) = pair([keys %topics], %keys);
    for my $case (@{ $table->{cases} }) {
        my ($topic, $payload) = (text_of($case->{topic}), bytes_of($case->{payload}));
        if ($case->{result} eq 'ok') {
            $one->publish($topic, $payload);
            my $message = $two->recv(10);
            ok $message->topic eq $topic && $message->data eq $payload && defined $message->data, $case->{name};
        } else {
            my $error = error_of(sub { $one->publish($topic, $payload) });
            ok KarakP2P::Error->is($error, $case->{result}), "$case->{name}: $error";
            cmp_ok index("$error", $_), '>=', 0, "tells $_" for @{ $case->{words} };
        }
    }
    $_->close for $one, $two;
};

subtest codes => sub {
    open my $file, '<', "$REPOSITORY/abi/include/karakp2p.h" or die $!;
    local $/;
    my %want = reverse <$file> =~ /#define KP2P_(E[A-Z]+)\s+\((-\d+)\)/g;
    cmp_ok keys %want, '>=', 22, 'codes in the header';
    for my $code (sort keys %want) {
        my $error = KarakP2P::Error->make($code, 'x');
        is $error->name, $want{$code}, $want{$code};
        isnt ref $error, 'KarakP2P::Error', 'has a class of its own';
    }
    is(KarakP2P::Error->make(-99, 'x')->name, 'E99', 'a code of a newer library');
};

done_testing;
