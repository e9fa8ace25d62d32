// Typed topics, validation, 'message' events.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { json } from '../index.mjs';
import { QUICK, join, nodes, pair, until } from './kit.mjs';

test('JSON topics', async (t) => {
	const [a, b] = await nodes(t, {}, {});
	const reader = a.topic('orders').messages();
	await reader.ready;
	await join(a, b);
	const orders = b.topic({ name: 'orders', ...json });
	assert.equal(orders.name, 'orders');
	const order = { id: 1, text: 'Grüße', list: [null, true, 1.5] };
	await orders.publish(order);
	assert.deepEqual((await reader.recv({ timeoutMs: 10000 })).value, order);
	assert.equal(orders.tryPublish('just text'), true);
	const m = await reader.recv({ timeoutMs: 10000 });
	assert.equal(m.value, 'just text');
	assert.equal(m.copy().value, 'just text');
	const { peers } = await orders.publish(null, { confirm: true });
	assert.equal(peers, 1);
	assert.equal((await reader.recv({ timeoutMs: 10000 })).value, null);
});

test('what does not encode fails before anything is queued', async (t) => {
	const [a] = await nodes(t, {});
	const before = a.stats().outbox_accepted;
	const cycle = {};
	cycle.cycle = cycle;
	for (const value of [undefined, () => {}, 1n, cycle]) {
		await assert.rejects(a.topic('t').publish(value), TypeError);
		assert.throws(() => a.topic('t').tryPublish(value), TypeError);
	}
	assert.equal(a.stats().outbox_accepted, before);
});

test('what does not decode is skipped, counted and told', async (t) => {
	const [a, b] = await nodes(t, {}, {});
	const told = [];
	const codec = {
		name: 'numbers',
		encode: (value) => String(value),
		decode(data) {
			const value = Number(data.toString());
			if (Number.isNaN(value)) {
				throw new RangeError('no number');
			}
			return value;
		},
		onInvalid(message, error) {
			told.push([message.text(), error.message]);
			throw new Error('onInvalid throws');
		},
	};
	const errors = [];
	a.on('error', (error) => errors.push(error.message));
	const reader = a.topic(codec).messages();
	await reader.ready;
	await join(a, b);
	for (const text of ['1', 'two', '3', Buffer.from([255]), '5']) {
		await b.publish('numbers', text);
	}
	const got = [];
	for await (const m of reader) {
		got.push(m.value);
		if (got.length === 3) {
			break;
		}
	}
	assert.deepEqual(got, [1, 3, 5]);
	assert.equal(reader.invalid, 2);
	assert.deepEqual(told[0], ['two', 'no number']);
	assert.deepEqual(errors, ['onInvalid throws', 'onInvalid throws']);
});

// a - b - c: what b accepts reaches c.
async function line(t, options) {
	const [a, b, c] = await nodes(t, {}, options, { topic: 't' });
	const reader = b.messages({ topic: 't', validate: true });
	await reader.ready;
	await join(b, c);
	await join(b, a);
	return { a, b, c, reader };
}

test('verdicts', async (t) => {
	const { a, b, c, reader } = await line(t);
	for (const text of ['accept', 'ignore', 'reject', 'accept too']) {
		await a.publish('t', text);
	}
	const got = await Promise.all([1, 2, 3, 4].map(() => reader.recv({ timeoutMs: 10000 })));
	assert.ok(got.every((m) => Number.isSafeInteger(m.token) && m.token > 0));
	assert.equal(got[0].accept(), true);
	assert.equal(got[0].accept(), false); // given already
	assert.equal(got[1].ignore(), true);
	assert.equal(got[2].reject(), true);
	assert.equal(got[3].copy().accept(), true);
	assert.equal((await c.recv({ timeoutMs: 10000 })).text(), 'accept');
	const second = await c.recv({ timeoutMs: 10000 });
	assert.equal(second.text(), 'accept too');
	assert.equal(second.accept(), false); // no validation there
	await a.publish('t', 'late');
	const late = await reader.recv({ timeoutMs: 10000 });
	await b.close();
	assert.equal(late.accept(), false);
});

test('subscribing again keeps a reader\'s validation, unless told otherwise', async (t) => {
	const { a, b, reader } = await line(t);
	await b.subscribe('t');
	await a.publish('t', 'validated');
	assert.equal((await reader.recv({ timeoutMs: 10000 })).accept(), true);
	await b.subscribe('t', { validate: false });
	await a.publish('t', 'not validated');
	assert.equal((await reader.recv({ timeoutMs: 10000 })).accept(), false);
	b.messages({ topic: 't', validate: true });
	await b.subscribe('t');
	await a.publish('t', 'validated again');
	assert.equal((await reader.recv({ timeoutMs: 10000 })).accept(), true);
});

test('a verdict that comes too late', async (t) => {
	const { a, reader } = await line(t, { validateTimeout: 20 });
	await a.publish('t', 'x');
	const m = await reader.recv({ timeoutMs: 10000 });
	await until(() => m.ignore() === false);
});

test('what does not decode is rejected on a validated topic', async (t) => {
	const [a, b, c] = await nodes(t, {}, {}, { topic: 't' });
	const reader = b.topic('t').messages({ validate: true });
	await reader.ready;
	await join(b, c);
	await join(b, a);
	await a.publish('t', 'no JSON');
	await a.publish('t', '"JSON"');
	const m = await reader.recv({ timeoutMs: 10000 });
	m.accept();
	assert.equal((await c.recv({ timeoutMs: 10000 })).text(), '"JSON"');
	assert.equal(reader.invalid, 1);
	assert.equal(b.stats().rejected_validation ?? 1, 1);
});

test('message events', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	const got = [];
	const errors = [];
	a.on('error', (error) => errors.push(error.message));
	a.on('message', (message) => {
		got.push(message.text());
		if (message.text() === '1') {
			throw new Error('a listener throws');
		}
	});
	a.on('message', async (message) => {
		if (message.text() === '2') {
			throw new Error('a listener rejects');
		}
	});
	await b.publishBatch('t', Array.from({ length: 1000 }, (_, i) => `${i}`));
	await until(() => got.length === 1000);
	assert.deepEqual(got, Array.from({ length: 1000 }, (_, i) => `${i}`));
	assert.deepEqual(errors, ['a listener throws', 'a listener rejects']);
	a.removeAllListeners();
	await b.publish('t', 'for recv');
	assert.equal((await a.recv({ timeoutMs: 10000 })).text(), 'for recv');
	const once = new Promise((resolve) => a.once('message', resolve));
	await b.publish('t', 'once');
	await b.publish('t', 'later');
	assert.equal((await once).text(), 'once');
	assert.equal((await a.recv({ timeoutMs: 10000 })).text(), 'later');
});

test('a listener that throws, and nobody listens for errors', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	const warned = new Promise((resolve) => process.once('warning', resolve));
	a.on('message', () => {
		throw new Error('unheard');
	});
	await b.publish('t', 'x');
	const warning = await warned;
	assert.equal(warning.name, 'KarakP2PWarning');
	assert.match(warning.message, /unheard/);
	assert.ok(a.stats());
});

test('a listener of errors that fails itself', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	const warnings = [];
	const onWarning = (warning) => warnings.push(warning.message);
	process.on('warning', onWarning);
	t.after(() => process.off('warning', onWarning));
	a.on('message', (message) => {
		throw new Error(message.text());
	});
	a.once('error', () => {
		throw new Error('a listener throws');
	});
	await b.publish('t', '1');
	await until(() => warnings.length === 1);
	a.on('error', () => Promise.reject(new Error('a listener rejects')));
	await b.publish('t', '2');
	await until(() => warnings.length === 2);
	assert.match(warnings[0], /a listener throws/);
	assert.match(warnings[1], /a listener rejects/);
});

test('log and stats events', async (t) => {
	const { Node } = await import('../index.mjs');
	const a = new Node({ ...QUICK, events: ['log', 'stats'], logLevel: 'debug',
		statsInterval: 20 });
	t.after(() => a.close());
	const log = new Promise((resolve) => a.once('log', resolve));
	const stats = new Promise((resolve) => a.once('stats', resolve));
	await a.start();
	const [b] = await nodes(t, {});
	await join(a, b);
	const { level, text, time } = await log;
	assert.match(level, /^(error|warn|info|debug)$/);
	assert.ok(text.length > 0 && time instanceof Date);
	assert.equal(typeof (await stats).delivered, 'number');
});
