"""The id of a message in a Karak network: SipHash-1-3, zero key, over the 8-byte little-endian length and then the data."""

import os
import sys

MASK = (1 << 64) - 1


def _round(a, b, c, d):
    a = (a + b) & MASK
    c = (c + d) & MASK
    b = ((b << 13 | b >> 51) & MASK) ^ a
    d = ((d << 16 | d >> 48) & MASK) ^ c
    a = (a << 32 | a >> 32) & MASK
    c = (c + b) & MASK
    a = (a + d) & MASK
    b = ((b << 17 | b >> 47) & MASK) ^ c
    d = ((d << 21 | d >> 43) & MASK) ^ a
    c = (c << 32 | c >> 32) & MASK
    return a, b, c, d


def _slow(data):
    # "somepseudorandomlygeneratedbytes"
    s = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573
    full = len(data) & ~7
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, full, 8)]
    words.append(int.from_bytes(data[full:], "little") | (len(data) & 0xFF) << 56)
    for m in words:
        a, b, c, d = _round(s[0], s[1], s[2], s[3] ^ m)
        s = a ^ m, b, c, d
    s = s[0], s[1], s[2] ^ 0xFF, s[3]
    for _ in range(3):
        s = _round(*s)
    return s[0] ^ s[1] ^ s[2] ^ s[3]


# CPython 3.11 and newer hash bytes with SipHash-1-3, and with the zero key when PYTHONHASHSEED is 0: a thousand times
# faster than the above, and every message is hashed several times.
_FAST = os.environ.get("PYTHONHASHSEED") == "0" and sys.hash_info.algorithm == "siphash13" and sys.hash_info.width == 64


def karak_id(data):
    block = len(data).to_bytes(8, "little") + data
    return str(hash(block) & MASK if _FAST else _slow(block)).encode()


for _data, _id in ((b"", b"13646096770106105413"), (b"hello", b"9754003402134539932"), (b"\xab" * 1000, b"13712471073762209921")):
    assert karak_id(_data) == _id == str(_slow(len(_data).to_bytes(8, "little") + _data)).encode()
