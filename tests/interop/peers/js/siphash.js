// SipHash-1-3 with the zero key on pairs of 32-bit halves: BigInt is a hundred times slower, and every message is hashed.

/** The id of a message in a Karak network: over the 8-byte little-endian length and then the data, as decimal text. */
export function karakId (data) {
  const n = data.length
  const s = {
    // "somepseudorandomlygeneratedbytes"
    al: 0x70736575, ah: 0x736f6d65, bl: 0x6e646f6d, bh: 0x646f7261,
    cl: 0x6e657261, ch: 0x6c796765, dl: 0x79746573, dh: 0x74656462
  }
  block(s, n | 0, Math.floor(n / 0x100000000))
  const full = n - n % 8
  for (let i = 0; i < full; i += 8) {
    block(s, word(data, i), word(data, i + 4))
  }
  const last = new Uint8Array(8)
  last.set(data.subarray(full))
  // The top byte counts everything hashed, the length prefix included.
  last[7] = (n + 8) & 0xff
  block(s, word(last, 0), word(last, 4))
  s.cl ^= 0xff
  round(s)
  round(s)
  round(s)
  const lo = (s.al ^ s.bl ^ s.cl ^ s.dl) >>> 0
  const hi = (s.ah ^ s.bh ^ s.ch ^ s.dh) >>> 0
  return ((BigInt(hi) << 32n) | BigInt(lo)).toString()
}

function word (d, i) {
  return d[i] | d[i + 1] << 8 | d[i + 2] << 16 | d[i + 3] << 24
}

function block (s, lo, hi) {
  s.dl ^= lo
  s.dh ^= hi
  round(s)
  s.al ^= lo
  s.ah ^= hi
}

function round (s) {
  let { al, ah, bl, bh, cl, ch, dl, dh } = s
  let sum, t
  // a += b; c += d
  sum = (al >>> 0) + (bl >>> 0); ah = (ah + bh + (sum > 0xffffffff ? 1 : 0)) | 0; al = sum | 0
  sum = (cl >>> 0) + (dl >>> 0); ch = (ch + dh + (sum > 0xffffffff ? 1 : 0)) | 0; cl = sum | 0
  // b = rotl(b, 13) ^ a; d = rotl(d, 16) ^ c; a = rotl(a, 32)
  t = (bl << 13 | bh >>> 19) ^ al; bh = (bh << 13 | bl >>> 19) ^ ah; bl = t
  t = (dl << 16 | dh >>> 16) ^ cl; dh = (dh << 16 | dl >>> 16) ^ ch; dl = t
  t = al; al = ah; ah = t
  // c += b; a += d
  sum = (cl >>> 0) + (bl >>> 0); ch = (ch + bh + (sum > 0xffffffff ? 1 : 0)) | 0; cl = sum | 0
  sum = (al >>> 0) + (dl >>> 0); ah = (ah + dh + (sum > 0xffffffff ? 1 : 0)) | 0; al = sum | 0
  // b = rotl(b, 17) ^ c; d = rotl(d, 21) ^ a; c = rotl(c, 32)
  t = (bl << 17 | bh >>> 15) ^ cl; bh = (bh << 17 | bl >>> 15) ^ ch; bl = t
  t = (dl << 21 | dh >>> 11) ^ al; dh = (dh << 21 | dl >>> 11) ^ ah; dl = t
  t = cl; cl = ch; ch = t
  s.al = al; s.ah = ah; s.bl = bl; s.bh = bh; s.cl = cl; s.ch = ch; s.dl = dl; s.dh = dh
}
