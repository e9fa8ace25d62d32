# Rates across the boundary of the Perl binding; see bench/swig.py.
use strict;
use warnings;
use KarakP2P;
use Time::HiRes qw(sleep time);

my $n     = $ARGV[0];
my @quick = (listen => '/ip4/127.0.0.1/tcp/0', 'kad.mode' => 'off');
my $one   = KarakP2P::Node->open(@quick);
my $two   = KarakP2P::Node->open(@quick, topic => 'bench', bootstrap => [$one->addresses]);
sleep 0.01 until grep { grep { $_ eq 'bench' } @{ $_->{topics} } } $one->peers;

sub rate {
    my ($count, $work) = @_;
    my $start = time;
    $work->();
    return int($count / (time - $start));
}

my $publish = rate($n, sub { $one->publish(bench => sprintf '%-200d', $_) for 1 .. $n });
sleep 0.01 until $two->stats->{inbox_messages} >= $n;
my $single = rate($n / 2, sub { $two->recv for 1 .. $n / 2 });
my $got    = $n / 2;
my $batch  = rate($n / 2, sub { while ($got < $n) { my @batch = $two->recv_batch(256); $got += @batch } });
print qq({"publish":$publish,"recv":$single,"batch":$batch}\n);
