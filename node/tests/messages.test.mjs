// Receiving: readers, routing, cancellation, batches, memory of payloads.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { KarakP2PError } from '../index.mjs';
import { LISTEN, nodes, pair, join, sleep, until } from './kit.mjs';

const texts = (messages) => messages.map((message) => message.text());

async function publishAll(node, topic, n, size = 0) {
	for (let i = 0; i < n; i++) {
		await node.publish(topic, `${topic} ${i}`.padEnd(size));
	}
}

test('a message has all its fields', async (t) => {
	const [a, b] = await pair(t, { topic: 'news' });
	const before = Date.now();
	const { id, peers } = await b.publish('news', 'hello', { confirm: true });
	assert.equal(peers, 1);
	const m = await a.recv({ timeoutMs: 10000 });
	assert.equal(m.topic, 'news');
	assert.ok(Buffer.isBuffer(m.data));
	assert.equal(m.text(), 'hello');
	assert.equal(m.source, b.peerId);
	assert.equal(m.via, b.peerId);
	assert.deepEqual(m.id, id);
	assert.equal(m.id.toString(), '9754003402134539932');
	assert.equal(typeof m.seqno, 'bigint');
	assert.ok(m.seqno > 0n);
	assert.equal(m.protocol, undefined);
	assert.equal(m.token, 0);
	assert.equal(m.value, undefined);
	assert.ok(m.time.getTime() >= before - 1000 && m.time.getTime() <= Date.now() + 1000);
	assert.match(JSON.stringify(m), /"topic":"news"/);
});

test('topics with a reader of their own, and the rest', async (t) => {
	const [a, b] = await nodes(t, { topic: ['one', 'two'] }, {});
	const own = a.messages({ topic: 'own' });
	assert.equal(await own.ready, own);
	await a.subscribe('three');
	await join(a, b);
	for (const topic of ['one', 'own', 'two', 'three']) {
		await b.publish(topic, `to ${topic}`);
	}
	assert.equal((await own.recv({ timeoutMs: 10000 })).text(), 'to own');
	const rest = [await a.recv(), await a.recv(), await a.recv()];
	assert.deepEqual(texts(rest), ['to one', 'to two', 'to three']);
	assert.ok(a.topics().every(({ inbox }) => inbox !== 0));
	assert.equal(own.topic, 'own');
});

test('break ends only that iterator', async (t) => {
	const [a, b] = await nodes(t, {}, {});
	const first = a.messages({ topic: 't' });
	const second = a.messages({ topic: 't' });
	await first.ready;
	await join(a, b);
	await publishAll(b, 't', 10);
	const got = [];
	for await (const m of first) {
		got.push(m.text());
		if (got.length === 3) {
			break;
		}
	}
	assert.deepEqual(await first.next(), { value: undefined, done: true });
	for await (const m of second) {
		got.push(m.text());
		if (got.length === 10) {
			break;
		}
	}
	assert.deepEqual(got, Array.from({ length: 10 }, (_, i) => `t ${i}`));
});

test('readers of one inbox compete: none sees a message twice', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	const seen = [];
	const read = async (reader) => {
		for await (const m of reader) {
			seen.push(m.text());
		}
	};
	const readers = [1, 2, 3].map(() => a.messages());
	const reading = readers.map(read);
	await publishAll(b, 't', 600);
	await until(() => seen.length === 600);
	await a.close();
	await Promise.all(reading);
	assert.equal(new Set(seen).size, 600);
});

test('iteration ends at close, after what was left', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	await publishAll(b, 't', 50);
	await until(() => a.stats().inbox_messages >= 50);
	await a.close();
	const left = [];
	for await (const m of a) {
		left.push(m.text());
	}
	assert.equal(left.length, 50);
	await assert.rejects(a.recv(), { code: 'ERR_KP2P_CLOSED' });
});

test('an aborted iterator throws AbortError and loses no message', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	const aborter = new AbortController();
	const reader = a.messages({ signal: aborter.signal });
	const next = reader.next();
	aborter.abort(new Error('enough'));
	await assert.rejects(next, (e) => e.name === 'AbortError' && e.code === 'ABORT_ERR' &&
		e.cause.message === 'enough');
	assert.deepEqual(await reader.next(), { value: undefined, done: true });
	assert.throws(() => a.messages({ signal: aborter.signal }), { name: 'AbortError' });
	await b.publish('t', 'still there');
	await until(() => a.stats().inbox_messages > 0);
	const late = new AbortController();
	const other = a.messages({ signal: late.signal });
	late.abort();
	await assert.rejects(other.next(), { name: 'AbortError' }); // though there is a message
	assert.deepEqual(await other.next(), { value: undefined, done: true });
	assert.equal((await a.recv()).text(), 'still there');
});

test('cancelled and timed out recv lose and double nothing', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	const n = 3000;
	const publishing = (async () => {
		for (let i = 0; i < n; i++) {
			await b.publish('t', String(i));
			if (i % 50 === 0) {
				await sleep(1);
			}
		}
	})();
	const got = [];
	let cut = 0;
	for (let i = 0; got.length < n; i++) {
		const aborter = new AbortController();
		const options = i % 2 ? { signal: aborter.signal } : { timeoutMs: i % 3 };
		const receiving = a.recv(options);
		if (i % 2) {
			setImmediate(() => aborter.abort());
		}
		try {
			got.push((await receiving).text());
		} catch (error) {
			assert.ok(error.name === 'AbortError' || error.code === 'ERR_KP2P_TIMEDOUT', error);
			cut++;
		}
	}
	await publishing;
	assert.deepEqual(got, Array.from({ length: n }, (_, i) => String(i)));
	assert.ok(cut > 0);
});

test('recv: time-outs and wrong options', async (t) => {
	const [a] = await nodes(t, { topic: 't' });
	await assert.rejects(a.recv({ timeoutMs: 0 }), { code: 'ERR_KP2P_TIMEDOUT' });
	const start = performance.now();
	await assert.rejects(a.recv({ timeoutMs: 50 }), { code: 'ERR_KP2P_TIMEDOUT' });
	assert.ok(performance.now() - start >= 45);
	await assert.rejects(a.recv({ timeoutMs: -1 }), { code: 'ERR_KP2P_INVAL' });
	await assert.rejects(a.recv({ timeoutMs: '1' }), { code: 'ERR_INVALID_ARG_TYPE' });
	await assert.rejects(a.recv({ signal: 5 }), TypeError);
	assert.deepEqual(await a.recvBatch(5, { timeoutMs: 0 }), []);
	await assert.rejects(a.recvBatch(0), { code: 'ERR_KP2P_INVAL' });
});

test('batches', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	const n = await b.publishBatch('t', Array.from({ length: 1000 }, (_, i) => `m${i}`));
	assert.equal(n, 1000);
	const got = [];
	while (got.length < 1000) {
		const batch = await a.recvBatch(100, { timeoutMs: 10000 });
		assert.ok(batch.length >= 1 && batch.length <= 100);
		got.push(...texts(batch));
	}
	assert.deepEqual(got, Array.from({ length: 1000 }, (_, i) => `m${i}`));
	assert.equal(await b.publishBatch('t', []), 0);
});

test('payloads share a batch; copies do not', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	await b.publishBatch('t', Array.from({ length: 20 }, (_, i) => `${i}`.padEnd(500)));
	await until(() => a.stats().inbox_messages >= 20);
	const shared = await a.recvBatch(10);
	assert.equal(shared[0].data.buffer, shared[9].data.buffer);
	const copied = [];
	for await (const m of a.messages({ copy: true })) {
		copied.push(m);
		if (copied.length === 10) {
			break;
		}
	}
	assert.notEqual(copied[0].data.buffer, copied[1].data.buffer);
	assert.ok(copied[0].data.buffer.byteLength < 1000);
	assert.equal(copied[0].text().trim(), '10');
	assert.equal(copied[0].source, b.peerId);
	assert.equal(shared[3].copy().text().trim(), '3');
});

test('large messages', async (t) => {
	const big = { maxMessageSize: '4MiB', gossipsubIdontwantSize: '16MiB' };
	const [a, b] = await pair(t, { topic: 't', ...big }, big);
	const data = Buffer.alloc(4 * 1024 * 1024 - 1000, 'xyz');
	await b.publish('t', data);
	await b.publish('t', 'small');
	assert.ok((await a.recv({ timeoutMs: 20000 })).data.equals(data));
	assert.equal((await a.recv()).text(), 'small');
});

test('a full inbox drops, and says how many', async (t) => {
	const [a, b] = await nodes(t, { inboxMaxMessages: 100 }, {});
	const reader = a.messages({ topic: 't' });
	await reader.ready;
	await join(a, b);
	const dropped = [];
	a.on('dropped', (event) => dropped.push(event));
	await publishAll(b, 't', 500);
	await until(() => a.stats().inbox_dropped >= 400);
	const got = [];
	while (got.length < 100) {
		got.push(...await reader.recvBatch(256, { timeoutMs: 10000 }));
	}
	assert.equal(reader.dropped, 400);
	assert.equal(dropped.reduce((sum, event) => sum + event.count, 0), 400);
	assert.equal(dropped[0].topic, 't');
	assert.equal(got.at(-1).text(), 't 499'); // drop_old
});

test('a busy reader does not starve the event loop', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	await b.publishBatch('t', Array.from({ length: 20000 }, (_, i) => `${i}`.padEnd(100)));
	await until(() => a.stats().inbox_messages >= 20000);
	let turns = 0;
	let running = true;
	const count = () => {
		turns++;
		if (running) {
			setImmediate(count);
		}
	};
	setImmediate(count);
	let n = 0;
	for await (const m of a) {
		if (m && ++n === 20000) {
			break;
		}
	}
	running = false;
	assert.ok(turns >= 70, `${turns} turns`);
});

test('answers do not wait behind messages', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	await b.publishBatch('t', Array.from({ length: 10000 }, (_, i) => `${i}`));
	await until(() => a.stats().inbox_messages >= 10000);
	assert.ok(await a.ping(b.peerId, { timeoutMs: 10000 }) > 0);
});

test('unsubscribe ends the topic\'s readers and gives its inbox back', async (t) => {
	const [a, b] = await nodes(t, {}, {});
	for (let i = 0; i < 1100; i++) { // more than there are inboxes
		const reader = a.messages({ topic: `t${i}` });
		const next = reader.next();
		await a.unsubscribe(`t${i}`);
		assert.deepEqual(await next, { value: undefined, done: true });
		await assert.rejects(reader.recv(), { code: 'ERR_KP2P_CLOSED' });
	}
	const again = a.messages({ topic: 't1' });
	await again.ready;
	await join(a, b);
	await b.publish('t1', 'again');
	assert.equal((await again.recv()).text(), 'again');
	assert.equal(a.topics().length, 1);
	await assert.rejects(a.unsubscribe('nowhere'), { code: 'ERR_KP2P_NOTFOUND' });
});

test('all inboxes in use', async (t) => {
	const [a] = await nodes(t, {});
	for (let i = 0; i < 1022; i++) {
		a.messages({ topic: `t${i}` });
	}
	assert.throws(() => a.messages({ topic: 'one more' }), { code: 'ERR_KP2P_LIMIT' });
	a.messages({ topic: 't7' });
});

test('a topic that can not be subscribed', async (t) => {
	const [a] = await nodes(t, {});
	for (const topic of ['', 'x'.repeat(257)]) {
		const reader = a.messages({ topic });
		await assert.rejects(reader.ready, { code: 'ERR_KP2P_INVAL' });
		await assert.rejects(a.subscribe(topic), KarakP2PError);
	}
	const waiting = a.messages({ topic: '' });
	await assert.rejects(waiting.next(), { code: 'ERR_KP2P_INVAL' });
});

test('own messages on request', async (t) => {
	const [a, b] = await nodes(t, {}, { topic: 't' });
	const reader = a.messages({ topic: 't', self: true });
	await reader.ready;
	await join(a, b);
	await a.publish('t', 'mine');
	assert.equal((await reader.recv({ timeoutMs: 10000 })).source, a.peerId);
});

test('a node before start', async (t) => {
	const { Node } = await import('../index.mjs');
	const a = new Node({ listen: LISTEN, topic: 't', kadMode: 'off' });
	t.after(() => a.close());
	const reader = a.messages({ topic: 'own' });
	const next = reader.next();
	await assert.rejects(a.recv(), { code: 'ERR_KP2P_STATE' });
	await a.start();
	const [b] = await nodes(t, {});
	await join(a, b);
	await b.publish('own', 'early');
	assert.equal((await next).value.text(), 'early');
});
