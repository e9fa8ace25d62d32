package KarakP2P::Error;

# A call failed: code is the number that the C library gives, name its name there ("ECLOSED"), and
# the message says which key, address, peer or argument it is about. Each code has a class of its own,
# as KarakP2P::Error::Closed. As text an error is its message.
use strict;
use warnings;
use overload '""' => sub { $_[0]{message} }, 'bool' => sub { 1 }, fallback => 1;

my %CODES = (
    -1  => [EINTERNAL    => 'Internal'],
    -2  => [EINVAL       => 'Invalid'],
    -3  => [ENOMEM       => 'NoMemory'],
    -4  => [EAGAIN       => 'QueueFull'],
    -5  => [ETIMEDOUT    => 'Timeout'],
    -6  => [EINTR        => 'Interrupted'],
    -7  => [ECLOSED      => 'Closed'],
    -8  => [ECANCELED    => 'Canceled'],
    -9  => [EFORKED      => 'Forked'],
    -10 => [ESTATE       => 'State'],
    -11 => [ENOTFOUND    => 'NotFound'],
    -12 => [ETOOBIG      => 'TooBig'],
    -13 => [EDUPLICATE   => 'Duplicate'],
    -14 => [ENOPEERS     => 'NoPeers'],
    -15 => [EEXPIRED     => 'Expired'],
    -16 => [EUNREACHABLE => 'Unreachable'],
    -17 => [EPROTO       => 'Protocol'],
    -18 => [EADDRINUSE   => 'AddressInUse'],
    -19 => [EACCES       => 'AccessDenied'],
    -20 => [ELIMIT       => 'LimitReached'],
    -21 => [ENOTSUP      => 'NotSupported'],
    -22 => [EPEERID      => 'PeerIdMismatch'],
);

for my $class (map { "KarakP2P::Error::$_->[1]" } values %CODES) {
    no strict 'refs';
    @{"${class}::ISA"} = ('KarakP2P::Error');
}

# Also what the C wrapper calls.
sub make {
    my (undef, $code, $message) = @_;
    my $class = $CODES{$code} ? "KarakP2P::Error::$CODES{$code}[1]" : 'KarakP2P::Error';
    return bless { code => $code, message => $message }, $class;
}

sub throw { die make(@_) }

sub code    { $_[0]{code} }
sub message { $_[0]{message} }
sub name    { my $known = $CODES{ $_[0]{code} }; $known ? $known->[0] : 'E' . -$_[0]{code} }

# Whether a value is an error of this library, of that name if given: KarakP2P::Error->is($@, 'ECLOSED')
sub is {
    my (undef, $value, $name) = @_;
    return ref $value && eval { $value->isa(__PACKAGE__) } && (!defined $name || $value->name eq $name);
}

1;
