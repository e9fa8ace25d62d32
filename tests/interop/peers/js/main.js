// The js-libp2p peer of the interop tests. README.md describes the line protocol.
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { karakId } from './siphash.js'

// A receiver acknowledges every ACK_EVERY messages, and after ACK_SILENCE ms without any.
const ACK_EVERY = 64
const ACK_SILENCE = 50
// A window run without a new acknowledgement for this many ms has lost messages and ends.
const WINDOW_STALL = 10_000
// js-libp2p queues without limit and without telling the publisher; publishing waits above this many bytes. Its yamux
// sends what is queued as one frame, and rust closes the connection at a frame of more than 1 MiB.
const SEND_QUEUE = 1 << 19
const FIND_TIMEOUT = 30_000
const COMMANDS_MAX = 256

const state = {
  received: 0, published: 0, bytes: 0, first: 0n, last: 0n, counter: 0, ackedOut: 0, ackedIn: 0, progress: 0, wake: null
}
const started = process.hrtime.bigint()
let node, pubsub, topic, ackTopic, tail, sink, silence

function emit (v) {
  let line = Buffer.from(JSON.stringify(v) + '\n')
  while (line.length > 0) {
    try {
      line = line.subarray(writeSync(1, line))
    } catch (e) {
      // A full pipe that somebody made non-blocking is worth waiting for; a reader that has gone away is not.
      if (e.code !== 'EAGAIN') process.exit(0)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}

function emitError (what, why) {
  emit({ event: 'error', what, why: String(why?.message ?? why) })
}

/** Message ids are arbitrary bytes on the wire, held as one character per byte; print other than text as hex. */
function printable (id) {
  return /^[\x20-\x7e]*$/.test(id) ? id : Buffer.from(id, 'latin1').toString('hex')
}

function cpuTotal () {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e3
}

function options () {
  const { values } = parseArgs({
    options: {
      listen: { type: 'string', multiple: true, default: ['/ip4/127.0.0.1/tcp/0'] },
      bootstrap: { type: 'string', multiple: true, default: [] },
      topic: { type: 'string', default: 'karak' },
      seed: { type: 'string' },
      sink: { type: 'boolean', default: false },
      'max-message': { type: 'string' },
      // Accepted so that all peers take one command line: js here always has identify and ping, and no idle timeout.
      identify: { type: 'boolean' },
      json: { type: 'boolean' },
      'idle-timeout': { type: 'string' }
    }
  })
  return values
}

async function identity (seed) {
  if (seed === undefined) return generateKeyPair('Ed25519')
  const bytes = Buffer.alloc(32)
  for (let i = 0; i < 32; i += 8) bytes.writeBigUInt64LE(BigInt(seed), i)
  return generateKeyPairFromSeed('Ed25519', bytes)
}

async function start (o) {
  const max = o['max-message'] === undefined ? undefined : Number(o['max-message'])
  return createLibp2p({
    start: false,
    privateKey: await identity(o.seed),
    addresses: { listen: o.listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // All test peers share 127.0.0.1, and the defaults allow 5 new connections a second from one address.
    connectionManager: { inboundConnectionThreshold: 1000, maxIncomingPendingConnections: 1000 },
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({ protocol: '/ipfs/kad/1.0.0', clientMode: false, peerInfoMapper: passthroughMapper }),
      pubsub: gossipsub({
        D: 6,
        Dlo: 2,
        Dhi: 12,
        Dout: 2,
        heartbeatInterval: 1000,
        mcacheLength: 10,
        mcacheGossip: 3,
        seenTTL: 60_000,
        floodPublish: true,
        fallbackToFloodsub: false,
        globalSignaturePolicy: 'StrictSign',
        msgIdFn: msg => Buffer.from(karakId(msg.data)),
        msgIdToStrFn: id => Buffer.from(id).toString('latin1'),
        // js always scores, and eleven peers on one address are too many by default.
        scoreParams: { IPColocationFactorWeight: 0 },
        ...(max === undefined ? {} : { maxInboundDataLength: max + 65536 })
      })
    }
  })
}

function watch () {
  node.addEventListener('peer:connect', e => {
    const addr = node.getConnections(e.detail)[0]?.remoteAddr.toString() ?? ''
    emit({ event: 'connected', peer: e.detail.toString(), addr })
  })
  node.addEventListener('peer:disconnect', e => emit({ event: 'disconnected', peer: e.detail.toString() }))
  pubsub.addEventListener('subscription-change', e => {
    for (const s of e.detail.subscriptions) {
      if (s.subscribe && s.topic === topic) {
        emit({ event: 'subscribed', peer: e.detail.peerId.toString(), topic })
      }
    }
  })
  pubsub.addEventListener('gossipsub:message', e => onMessage(e.detail))
}

function onMessage ({ propagationSource, msgId, msg }) {
  if (msg.topic === ackTopic) {
    const n = Number(Buffer.from(msg.data).toString())
    if (n > state.ackedIn) {
      state.ackedIn = n
      state.progress = Date.now()
      state.wake?.()
    }
    return
  }
  state.last = process.hrtime.bigint() - started
  if (state.received === 0) state.first = state.last
  state.received++
  state.bytes += msg.data.length
  if (sink) {
    if (state.received - state.ackedOut >= ACK_EVERY) acknowledge()
    silence.refresh()
    return
  }
  emit({
    event: 'message',
    topic: msg.topic,
    from: msg.from?.toString() ?? null,
    via: propagationSource.toString(),
    id: printable(msgId),
    seqno: msg.sequenceNumber?.toString() ?? null,
    size: msg.data.length,
    data: Buffer.from(msg.data).toString('base64')
  })
}

/** Publishes the receive counter. A value goes out once: the same text again would be a duplicate. */
function acknowledge () {
  const count = state.received
  // Nobody listens to acknowledgements yet: the next silence tries again.
  if (count === state.ackedOut || pubsub.getSubscribers(ackTopic).length === 0) return
  state.ackedOut = count
  pubsub.publish(ackTopic, Buffer.from(String(count))).catch(e => emitError('ack', e))
}

/** The most bytes that wait for one peer; gossipsub shows its streams to nobody, so this reads its private field. */
function queued () {
  let most = 0
  for (const s of pubsub.streamsOutbound.values()) most = Math.max(most, s.rawStream.writeBufferLength)
  return most
}

async function publish (data) {
  while (queued() > SEND_QUEUE) await sleep(1)
  const { recipients } = await pubsub.publish(topic, data)
  if (recipients.length === 0) throw new Error('no stream to any subscriber')
  state.published++
}

/** Publishes the next distinct message of size bytes; false when that failed. */
async function publishNext (size) {
  const head = `${tail} ${state.counter++} `
  if (head.length > size) return false
  try {
    await publish(Buffer.from(head.padEnd(size, 'x')))
    return true
  } catch {
    return false
  }
}

async function burst (count, size) {
  let published = 0
  for (let i = 0; i < count; i++) {
    if (await publishNext(size)) published++
    // publish() never leaves the microtask queue; without this no byte is read or written meanwhile.
    if (i % 16 === 15) await sleep(0)
  }
  emit({ event: 'burst', published, failed: count - published })
}

async function windowRun (count, size, window) {
  pubsub.subscribe(ackTopic)
  const base = state.ackedIn
  const begin = process.hrtime.bigint()
  const cpu = cpuTotal()
  let sent = 0
  state.progress = Date.now()
  const stalled = () => Date.now() - state.progress > WINDOW_STALL
  const untilUnacked = async (n) => {
    while (sent - Math.min(state.ackedIn - base, sent) > n && !stalled()) {
      const timer = setTimeout(() => state.wake?.(), 100)
      await new Promise(resolve => { state.wake = resolve })
      clearTimeout(timer)
    }
  }
  for (let i = 0; i < count && !stalled(); i++) {
    await untilUnacked(window - 1)
    if (!stalled() && await publishNext(size)) sent++
    if (i % 16 === 15) await sleep(0)
  }
  await untilUnacked(0)
  emit({
    event: 'window',
    sent,
    acked: state.ackedIn - base,
    seconds: Number(process.hrtime.bigint() - begin) / 1e9,
    cpu_ms: cpuTotal() - cpu
  })
}

/** Asks the network even for a connected peer, as findPeer would not. */
async function find (id) {
  let found = null
  try {
    const signal = AbortSignal.timeout(FIND_TIMEOUT)
    for await (const e of node.services.dht.getClosestPeers(id.toMultihash().bytes, { signal })) {
      if (e.name === 'FINAL_PEER' && e.peer.id.equals(id)) found = e.peer
    }
  } catch (e) {
    // An empty table is an error to js and simply no result to the others.
    if (e.name !== 'QueryAbortedError' && e.name !== 'NotFoundError') emitError('find', e)
  }
  if (found === null) return emit({ event: 'notfound', peer: id.toString() })
  // A peer that came from the own table brings no addresses; the peer store has them.
  const known = await node.peerStore.get(id).then(p => p.addresses.map(a => a.multiaddr), () => [])
  const addrs = new Set([...found.multiaddrs, ...known].map(String))
  emit({ event: 'found', peer: id.toString(), addrs: [...addrs] })
}

/** js keeps its table in a tree of buckets that it shows to nobody. */
function table () {
  const ids = []
  const walk = bucket => {
    if (bucket == null) return
    for (const p of bucket.peers ?? []) ids.push(p.peerId.toString())
    walk(bucket.left)
    walk(bucket.right)
  }
  walk(node.services.dht.routingTable.kb.root)
  return ids
}

function stats () {
  const cpu = process.cpuUsage()
  emit({
    event: 'stats',
    received: state.received,
    published: state.published,
    bytes: state.bytes,
    first_ns: Number(state.first),
    last_ns: Number(state.last),
    cpu_user_ms: cpu.user / 1e3,
    cpu_sys_ms: cpu.system / 1e3
  })
}

async function command (line) {
  if (line[0] !== 0x2f || line[1] === 0x2f) {
    const data = line[0] === 0x2f ? line.subarray(1) : line
    try {
      await publish(data)
      emit({ event: 'published', id: karakId(data) })
    } catch (e) {
      emitError('publish', e)
    }
    return
  }
  const text = line.toString()
  const [word, ...args] = text.trim().split(/\s+/)
  const numbers = args.map(Number)
  const takes = n => numbers.length === n && numbers.every(v => Number.isSafeInteger(v) && v >= 0)
  if (word === '/quit') return quit()
  if (word === '/stats') return stats()
  if (word === '/peers') {
    return emit({
      event: 'peers',
      connected: node.getPeers().map(String),
      mesh: pubsub.getMeshPeers(topic).map(String),
      table: table()
    })
  }
  if (word === '/find' && args.length === 1) {
    try {
      // Not awaited: a query takes long and holds nothing up.
      find(peerIdFromString(args[0]))
    } catch (e) {
      emitError('find', e)
    }
    return
  }
  if (word === '/burst' && takes(2)) return burst(numbers[0], numbers[1])
  if (word === '/window' && takes(3)) return windowRun(numbers[0], numbers[1], Math.max(numbers[2], 1))
  emitError('command', text)
}

function readCommands () {
  const lines = []
  let rest = []
  let busy = false
  const run = async () => {
    if (busy) return
    busy = true
    while (lines.length > 0) {
      await command(lines.shift())
      if (lines.length < COMMANDS_MAX) process.stdin.resume()
    }
    busy = false
  }
  process.stdin.on('data', chunk => {
    for (let at; (at = chunk.indexOf(10)) >= 0; chunk = chunk.subarray(at + 1)) {
      lines.push(Buffer.concat([...rest, chunk.subarray(0, at)]))
      rest = []
    }
    if (chunk.length > 0) rest.push(chunk)
    if (lines.length >= COMMANDS_MAX) process.stdin.pause()
    run()
  })
}

/** Leaves the topic and lets what is queued go out before the process ends. */
async function quit () {
  for (let i = 0; i < 200 && queued() > 0; i++) await sleep(10)
  pubsub.unsubscribe(topic)
  await sleep(100)
  await Promise.race([node.stop(), sleep(2000)])
  emit({ event: 'closed' })
  process.exit(0)
}

process.on('SIGTERM', () => process.exit(0))
process.on('SIGINT', () => process.exit(0))
// js-libp2p lets some errors of dying streams escape; they are no reason to end the peer.
process.on('unhandledRejection', e => emitError('unhandled', e))
process.on('uncaughtException', e => emitError('uncaught', e?.stack ?? e))

if (karakId(Buffer.from('hello')) !== '9754003402134539932' || karakId(Buffer.alloc(0)) !== '13646096770106105413') {
  throw new Error('the message id function is wrong')
}
try {
  const o = options()
  topic = o.topic
  ackTopic = `${topic}-ack`
  sink = o.sink
  if (sink) silence = setInterval(acknowledge, ACK_SILENCE)
  node = await start(o)
  pubsub = node.services.pubsub
  tail = node.peerId.toString().slice(-6)
  watch()
  await node.start()
  await node.services.dht.setMode('server')
  pubsub.subscribe(topic)
  emit({ event: 'listening', peer: node.peerId.toString(), addrs: node.getMultiaddrs().map(String) })
  for (const addr of o.bootstrap) {
    node.dial(multiaddr(addr)).catch(e => emitError('dial', `${addr}: ${e.message}`))
  }
  readCommands()
} catch (e) {
  emitError('start', e)
  process.exit(1)
}
