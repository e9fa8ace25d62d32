# What the tests share.
use strict;
use warnings;
use JSON::PP ();
use IPC::Open2 ();
use IPC::Open3 ();
use KarakP2P;
use Time::HiRes qw(sleep time);

our $REPOSITORY = $ENV{KARAKP2P_REPOSITORY} // die 'KARAKP2P_REPOSITORY';
our $COMMAND    = $ENV{KARAKP2P_COMMAND}    // die 'KARAKP2P_COMMAND';
our @QUICK      = (listen => '/ip4/127.0.0.1/tcp/0', 'kad.mode' => 'off', workers => 1);

sub table {
    my ($name) = @_;
    open my $file, '<:raw', "$REPOSITORY/tests/$name" or die "$name: $!";
    local $/;
    return JSON::PP->new->utf8->decode(<$file>);
}

# What a text, {"hex"} or {"repeat"} of the tables stands for, as bytes.
sub bytes_of {
    my ($value) = @_;
    return '' unless defined $value;
    return pack('H*', $value->{hex}) if ref $value && exists $value->{hex};
    return pack('H*', $value->{repeat}[0]) x $value->{repeat}[1] if ref $value;
    utf8::encode(my $bytes = $value);
    return $bytes;
}

sub text_of { my $text = bytes_of(@_); utf8::decode($text); return $text }

sub until_true {
    my ($what, $true) = @_;
    my $end = time + 15;
    until ($true->()) {
        die "never came true: $what" if time > $end;
        sleep 0.01;
    }
    return 1;
}

# Two started nodes; the second is subscribed to the topics, and the first knows.
sub pair {
    my ($topics, %keys) = @_;
    my $one = KarakP2P::Node->open(@QUICK, %keys);
    my $two = KarakP2P::Node->open(@QUICK, %keys, topic => $topics, bootstrap => [$one->addresses]);
    until_true('the two know each other' => sub { knows($one, @$topics) });
    return ($one, $two);
}

sub knows {
    my ($node, @topics) = @_;
    my ($peer) = $node->peers or return 0;
    my %has = map { $_ => 1 } @{ $peer->{topics} };
    return !grep { !$has{$_} } @topics;
}

# The error that a block dies with.
sub error_of {
    my ($block) = @_;
    return eval { $block->(); 1 } ? undef : $@;
}

# Runs a Perl program in a process of its own; its exit status and what it says.
sub child {
    my ($code, $while) = @_;
    my $pid = IPC::Open2::open2(my $out, my $in, $^X, (map { "-I$_" } @INC), '-MKarakP2P', '-e', $code);
    $while->($pid, $out) if $while;
    my $text = join '', <$out>;
    waitpid $pid, 0;
    return ($? & 127 ? "signal $?" : $? >> 8, $text);
}

# The karakp2p command as a node of its own.
package CNode;

sub new {
    my ($class, $topic) = @_;
    my $pid = IPC::Open2::open2(my $out, my $in, $main::COMMAND, 'node', '--json',
        '--listen', '/ip4/127.0.0.1/tcp/0', '--topic', $topic);
    $in->autoflush(1);
    my $self = bless { pid => $pid, in => $in, out => $out }, $class;
    my $started = $self->wait('listening');
    @$self{qw(peer address)} = ($started->{peer}, $started->{addrs}[0]);
    return $self;
}

sub say { my ($self, $text) = @_; print { $self->{in} } "$text\n" }

sub wait {
    my ($self, $kind) = @_;
    while (defined(my $line = readline $self->{out})) {
        my $event = JSON::PP->new->utf8->decode($line);
        return $event if $event->{event} eq $kind;
    }
    die "the C node ended before $kind";
}

sub quit {
    my ($self) = @_;
    $self->say('/quit');
    waitpid $self->{pid}, 0;
    return $? >> 8;
}

1;
