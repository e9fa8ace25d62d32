// Publishing with back-pressure, direct messages, requests.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Key, Node } from '../index.mjs';
import { QUICK, join, nodes, pair, until } from './kit.mjs';

const NOBODY = '12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms';
// nothing leaves its queue: without a peer, messages are not even held
const STUCK = { outboxMaxMessages: 4, publishHold: '1h' };

// A node whose send queue is full for as long as it is not started.
function full(t) {
	const node = new Node({ ...QUICK, ...STUCK });
	t.after(() => node.close({ timeoutMs: 0 }));
	while (node.tryPublish('t', `filling ${Math.random()}`)) {
		// until it is
	}
	return node;
}

test('every kind of payload', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	const bytes = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
	const payloads = [
		[bytes, bytes], [Buffer.from('buffer'), 'buffer'], [bytes.subarray(2, 4), bytes.slice(2, 4)],
		[bytes.buffer.slice(1, 4), bytes.slice(1, 4)], ['Grüße', 'Grüße'], ['', ''],
		[new DataView(bytes.buffer, 3, 2), bytes.slice(3, 5)], [new Uint16Array([513]), [1, 2]],
		[new Uint8Array(new SharedArrayBuffer(2)), [0, 0]], [new SharedArrayBuffer(3), [0, 0, 0]],
	];
	for (const [given, wanted] of payloads) {
		await b.publish('t', given, { confirm: true });
		const m = await a.recv({ timeoutMs: 10000 });
		assert.deepEqual(m.data, Buffer.from(wanted));
	}
});

test('the fate of a message', async (t) => {
	const [a, b] = await pair(t, { topic: 't' }, { publishHold: 0 });
	const { peers } = await b.publish('t', 'once', { confirm: true });
	assert.equal(peers, 1);
	await assert.rejects(b.publish('t', 'once', { confirm: true }), { code: 'ERR_KP2P_DUPLICATE' });
	await assert.rejects(b.publish('nobody', 'x', { confirm: true }),
		(e) => e.code === 'ERR_KP2P_NOPEERS' && e.message.includes('nobody'));
	const failed = new Promise((resolve) => b.once('failed', resolve));
	await b.publish('nobody', 'y');
	const error = await failed;
	assert.equal(error.code, 'ERR_KP2P_NOPEERS');
	assert.equal(error.topic, 'nobody');
	assert.equal(a.peers().length, 1);
});

test('held for the first subscriber', async (t) => {
	const [a, b] = await nodes(t, {}, {});
	const fate = a.publish('t', 'early', { confirm: true });
	const reader = b.messages({ topic: 't' });
	await b.connect(a.addresses()[0]);
	assert.equal((await reader.recv({ timeoutMs: 10000 })).text(), 'early');
	assert.equal((await fate).peers, 1);
	const [c] = await nodes(t, { publishHold: 50 });
	await assert.rejects(c.publish('t', 'x', { confirm: true }), { code: 'ERR_KP2P_EXPIRED' });
});

test('a full queue: try, time out, abort', async (t) => {
	const [a] = await nodes(t, STUCK);
	for (let i = 0; i < 4; i++) { // held, with their fates reserved
		a.publish('t', `${i}`, { confirm: true }).catch(() => {});
	}
	await assert.rejects(a.publish('t', '5', { timeoutMs: 0, confirm: true }),
		(e) => e.code === 'ERR_KP2P_AGAIN' && e.message.includes('outbox'));
	const start = performance.now();
	await assert.rejects(a.publish('t', '6', { timeoutMs: 50, confirm: true }),
		{ code: 'ERR_KP2P_TIMEDOUT' });
	assert.ok(performance.now() - start >= 45);
	const first = a.publish('t', '7', { confirm: true }); // waits: so do all that follow
	assert.equal(a.tryPublish('t', '8'), false);
	await assert.rejects(a.publish('t', '8', { timeoutMs: 0 }), { code: 'ERR_KP2P_AGAIN' });
	await assert.rejects(a.publish('t', '9', { timeoutMs: 20 }),
		(e) => e.code === 'ERR_KP2P_TIMEDOUT' && e.message.includes('outbox'));
	const aborter = new AbortController();
	const publishing = [
		a.publish('t', '10', { signal: aborter.signal }),
		a.publish('t', '11', { signal: aborter.signal, confirm: true }),
		a.publishBatch('t', ['12'], { signal: aborter.signal }),
	];
	aborter.abort();
	for (const one of publishing) {
		await assert.rejects(one, { name: 'AbortError' });
	}
	await assert.rejects(a.publishBatch('t', ['x', 'y'], { timeoutMs: 20 }),
		{ code: 'ERR_KP2P_TIMEDOUT' });
	const last = a.publish('t', '13');
	const ends = Promise.all([assert.rejects(first, { code: 'ERR_KP2P_CLOSED' }),
		assert.rejects(last, { code: 'ERR_KP2P_CLOSED' })]);
	await a.close({ timeoutMs: 0 });
	await ends;
});

test('a full queue before start', async (t) => {
	const a = full(t);
	await assert.rejects(a.publish('t', 'x'), { code: 'ERR_KP2P_STATE' });
	await a.start();
});

test('20 publishers that wait are served in order', async (t) => {
	const [a, b] = await nodes(t, { outboxMaxMessages: 2 }, {});
	const reader = b.messages({ topic: 't' });
	await reader.ready;
	await join(a, b);
	const order = [];
	let free = 0;
	const publisher = async (i) => {
		for (let k = 0; k < 50; k++) {
			const at = performance.now();
			await a.publish('t', `${i} ${k}`);
			free += performance.now() - at < 0.01;
			order.push(i);
		}
	};
	const all = Promise.all(Array.from({ length: 20 }, (_, i) => publisher(i)));
	const got = [];
	while (got.length < 1000) {
		got.push((await reader.recv({ timeoutMs: 20000 })).text());
	}
	await all;
	// each round of 20 has everybody once: nobody was overtaken
	for (let round = 0; round < 50; round++) {
		const texts = got.slice(round * 20, round * 20 + 20);
		assert.equal(new Set(texts.map((text) => text.split(' ')[0])).size, 20, `round ${round}`);
	}
	assert.ok(a.stats().outbox_refused > 0, 'somebody has waited');
});

test('more fates than the queue has room for', async (t) => {
	const [a, b] = await pair(t, { outboxMaxMessages: 2 }, { topic: 't' });
	const fates = await Promise.all(Array.from({ length: 100 }, (_, i) =>
		a.publish('t', `${i}`, { confirm: true, timeoutMs: 20000 })));
	assert.ok(fates.every(({ peers }) => peers === 1));
	for (let i = 0; i < 100; i++) {
		assert.equal((await b.recv({ timeoutMs: 10000 })).text(), `${i}`);
	}
});

test('the bytes of a waiting publish are those of its call', async (t) => {
	const [a, b] = await nodes(t, { outboxMaxMessages: 1 }, {});
	const reader = b.messages({ topic: 't' });
	await reader.ready;
	await join(a, b);
	const data = Buffer.alloc(8);
	const publishing = [];
	for (let i = 0; i < 50; i++) {
		data.writeUInt32LE(i);
		publishing.push(a.publish('t', data));
	}
	data.fill(255);
	await Promise.all(publishing);
	for (let i = 0; i < 50; i++) {
		assert.equal((await reader.recv({ timeoutMs: 10000 })).data.readUInt32LE(), i);
	}
});

test('a loop that only publishes lets the event loop run', async (t) => {
	const [a] = await nodes(t, {});
	let turns = 0;
	const timer = setInterval(() => turns++, 0);
	for (let i = 0; i < 20000; i++) {
		await a.publish('t', `${i}`, { timeoutMs: 1000 }).catch(() => {});
	}
	clearInterval(timer);
	assert.ok(turns > 5, `${turns} turns`);
});

test('direct messages', async (t) => {
	const [a, b] = await pair(t);
	const got = [];
	await b.handle('/p/1', (message) => got.push(message));
	await b.handle('/p/2');
	assert.deepEqual(b.protocols, ['/p/1', '/p/2']);
	await a.send(b.peerId, '/p/1', 'handled');
	await a.send(b.peerId, '/p/2', Buffer.from([0, 255]));
	const m = await b.recv({ timeoutMs: 10000 });
	assert.deepEqual(m.data, Buffer.from([0, 255]));
	assert.equal(m.protocol, '/p/2');
	assert.equal(m.topic, undefined);
	assert.equal(m.source, a.peerId);
	await until(() => got.length === 1);
	assert.equal(got[0].text(), 'handled');
	await b.handle('/p/1'); // no handler any more
	await a.send(b.peerId, '/p/1', 'read');
	assert.equal((await b.recv({ timeoutMs: 10000 })).text(), 'read');
	await assert.rejects(a.send(b.peerId, '/p/3', 'x', { timeoutMs: 5000 }),
		{ code: 'ERR_KP2P_NOTSUP' });
	await assert.rejects(a.send(NOBODY, '/p/1', 'x', { timeoutMs: 5000 }),
		(e) => e.code.startsWith('ERR_KP2P_'));
	await assert.rejects(a.handle('chat', () => {}), { code: 'ERR_KP2P_INVAL' });
	assert.deepEqual(a.protocols, []);
});

test('a handler that throws does not stop the next', async (t) => {
	const [a, b] = await pair(t);
	const errors = [];
	b.on('error', (error) => errors.push(error.message));
	let n = 0;
	await b.handle('/p/1', (message) => {
		n++;
		if (message.text() === 'sync') {
			throw new Error('sync');
		}
		return Promise.reject(new Error('async'));
	});
	await a.send(b.peerId, '/p/1', 'sync');
	await a.send(b.peerId, '/p/1', 'async');
	await until(() => errors.length === 2);
	assert.deepEqual(errors, ['sync', 'async']);
	assert.equal(n, 2);
});

test('ping, connect, disconnect, find a peer', async (t) => {
	const [a, b] = await pair(t, { kadMode: 'server' }, { kadMode: 'server' });
	const rtt = await a.ping(b.peerId);
	assert.ok(rtt > 0 && rtt < 5000, `${rtt}`);
	assert.ok((await a.findPeer(b.peerId, { timeoutMs: 10000 })).length > 0);
	assert.equal(await a.connect(b.peerId), b.peerId);
	const gone = new Promise((resolve) => {
		b.on('peer', (event) => !event.connected && resolve(event));
	});
	await a.disconnect(b.peerId);
	assert.equal((await gone).peer, a.peerId);
	await assert.rejects(a.ping(b.peerId), { code: 'ERR_KP2P_NOTFOUND' });
	await assert.rejects(a.disconnect(NOBODY), { code: 'ERR_KP2P_NOTFOUND' });
	const other = Key.generate().peerId;
	const wrong = b.addresses()[0].replace(b.peerId, other);
	await assert.rejects(a.connect(wrong, { timeoutMs: 10000 }), { code: 'ERR_KP2P_PEERID' });
	await assert.rejects(a.ping(NOBODY, { timeoutMs: 0 }), { code: 'ERR_KP2P_TIMEDOUT' });
});

test('requests end by abort and by time-out', async (t) => {
	const [a] = await nodes(t, { kadMode: 'server' });
	const aborter = new AbortController();
	// nobody answers there: TEST-NET-1
	const address = `/ip4/192.0.2.1/tcp/9/p2p/${NOBODY}`;
	const connecting = a.connect(address, { signal: aborter.signal });
	aborter.abort();
	await assert.rejects(connecting, { name: 'AbortError' });
	await assert.rejects(a.connect(address, { timeoutMs: 50 }),
		(e) => /TIMEDOUT|UNREACHABLE/.test(e.code));
	await assert.rejects(a.connect(address, { signal: aborter.signal }), { name: 'AbortError' });
	assert.deepEqual(a.stats().requests_pending ?? 0, 0);
});

test('events of peers, and a look at the node', async (t) => {
	const [a, b] = await nodes(t, { topic: 't' }, { topic: 't' });
	const up = new Promise((resolve) => {
		a.once('peer', resolve);
	});
	await join(a, b);
	const event = await up;
	assert.equal(event.peer, b.peerId);
	assert.equal(event.connected, true);
	assert.match(event.address, /^\/ip4\/127/);
	await until(() => a.mesh('t').length === 1);
	assert.deepEqual(a.mesh('t'), [b.peerId]);
	assert.deepEqual(a.mesh('other'), []);
	assert.equal(a.peers()[0].peer, b.peerId);
	assert.equal(a.topics()[0].topic, 't');
	assert.ok(a.addresses()[0].endsWith(`/p2p/${a.peerId}`));
	assert.equal(typeof a.stats().delivered, 'number');
});
