// What bad input gets: the shared tables, and wrong types and values over every method.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import util from 'node:util';

import { KarakP2PError, Key, Message, Node, Topic, json, peerId } from '../index.mjs';
import { LISTEN, PACKAGE, QUICK, REPOSITORY, join, nodes, table, tableBytes } from './kit.mjs';

const require = createRequire(import.meta.url);
const addon = require('../lib/load.js');
const { NAMES } = require('../lib/errors.js');

// what the addon has no call for: waits in C, and the file descriptor
const NOT_HERE = new Set(['kp2p_node_listen', 'kp2p_node_inbox_fd']);

test('codes are those of the header', () => {
	const header = fs.readFileSync(path.join(REPOSITORY, 'abi/include/karakp2p.h'), 'utf8');
	const wanted = Object.fromEntries([...header.matchAll(/#define KP2P_E([A-Z]+)\s+\((-\d+)\)/g)]
		.map(([, name, code]) => [code, name]));
	assert.deepEqual({ ...NAMES }, wanted);
	const types = fs.readFileSync(path.join(PACKAGE, 'index.d.ts'), 'utf8');
	for (const name of Object.values(NAMES)) {
		assert.match(types, new RegExp(`'${name}'`));
	}
});

test('errors', () => {
	const error = new KarakP2PError(-7, 'text');
	assert.ok(error instanceof Error);
	assert.equal(error.code, 'ERR_KP2P_CLOSED');
	assert.equal(error.name, 'KarakP2PError');
	assert.match(error.stack, /^KarakP2PError: text/);
	assert.equal(new KarakP2PError(-99, 'new').code, 'ERR_KP2P_99');
});

// A case of misuse.json on the addon, which has the C calls under other names.
class Stage {
	constructor(entry, keys, taken) {
		this.taken = taken;
		if (entry.state === 'none') {
			return;
		}
		const pairs = (entry.keys ?? keys).map(([key, value]) => [key, this.fill(value)]);
		this.core = new addon.Core(pairs, () => {});
		if (entry.state === 'running' || entry.state === 'closed') {
			this.core.start();
		}
		if (entry.state === 'closed') {
			assert.equal(this.core.close(0, true), true);
		}
	}

	fill(text) {
		return text.replace('{taken}', this.taken);
	}

	text(value) {
		return this.fill(tableBytes(value ?? '').toString());
	}

	play({ call, args }) {
		const { core } = this;
		const buffer = Buffer.alloc((args.max ?? 4) * 1000);
		const calls = {
			kp2p_config_set: () => new addon.Core(
				[[this.text(args.key), this.text(args.value)]], () => {}),
			kp2p_node_new: () => new addon.Core(args.keys, () => {}),
			kp2p_key_generate: () => addon.keyGenerate(args.type),
			kp2p_key_peer_id: () => addon.keyPeerId(this.text(args.key)),
			kp2p_peer_id_parse: () => addon.peerIdParse(this.text(args.text)),
			kp2p_node_start: () => core.start(),
			kp2p_sender_publish: () => this.accepted(
				core.publish(this.text(args.topic), tableBytes(args.data), args.token)),
			kp2p_sender_publish_batch: () => core.publishBatch(this.text(args.topic),
				tableBytes(args.buf), Uint32Array.from(args.lens)),
			kp2p_sender_send: () => this.accepted(core.send(this.text(args.peer),
				this.text(args.protocol), tableBytes(args.data), args.token)),
			kp2p_node_request: () => core.request(args.op, this.text(args.arg),
				tableBytes(args.data), args.timeout_ms, args.token),
			kp2p_node_poll: () => core.poll(args.inbox, buffer),
			kp2p_node_poll_batch: () => core.poll(args.inbox, buffer),
			kp2p_node_verdict: () => this.known(core.verdict(args.token, args.verdict)),
			kp2p_node_cancel: () => core.cancel(args.token),
			kp2p_node_info: () => core.info(this.text(args.what)),
		};
		return calls[call]();
	}

	// The addon tells these two by false; the package makes errors of the first.
	accepted(yes) {
		if (!yes) {
			throw new KarakP2PError(-4, 'the outbox is full');
		}
	}

	known(yes) {
		if (!yes) {
			throw new KarakP2PError(this.core.close(0, false) ? -7 : -11, 'too late');
		}
	}

	end() {
		this.core?.close(0, true);
		this.core?.release();
	}
}

test('misuse table', async (t) => {
	const { cases, keys } = table('misuse.json');
	const [other] = await nodes(t, {});
	const taken = other.addresses()[0].split('/p2p/')[0];
	let played = 0;
	for (const entry of cases) {
		const waits = entry.args.timeout_ms > 0 && !entry.call.endsWith('request');
		if (entry.bytes || NOT_HERE.has(entry.call) || waits || entry.args.max === 0) {
			continue;
		}
		const stage = new Stage(entry, keys, taken);
		for (const step of entry.before ?? []) {
			stage.play(step);
		}
		let thrown;
		try {
			stage.play(entry);
		} catch (error) {
			thrown = error;
		}
		assert.ok(thrown instanceof KarakP2PError, `${entry.name}: ${thrown}`);
		assert.equal(thrown.code, `ERR_KP2P_${entry.code.slice(1)}`, entry.name);
		assert.ok(thrown.message.length > 0, entry.name);
		for (const word of entry.words) {
			assert.ok(thrown.message.includes(stage.fill(word)), `${entry.name}: ${thrown.message}`);
		}
		stage.end();
		played++;
	}
	assert.ok(played >= 90, `${played} cases`);
});

test('payload table', async (t) => {
	const { cases, keys } = table('payloads.json');
	const { KEYS } = require('../lib/config.js');
	const optionOf = new Map([...KEYS].map(([option, [key]]) => [key, option]));
	const options = Object.fromEntries(keys.map(([key, value]) => [optionOf.get(key), value]));
	const utf8 = new TextDecoder('utf-8', { fatal: true });
	const topicOf = (entry) => {
		try {
			return utf8.decode(tableBytes(entry.topic));
		} catch {
			return undefined; // no text: JavaScript has no such string
		}
	};
	const topics = cases.filter(({ result }) => result === 'ok').map(topicOf)
		.filter((topic) => topic !== undefined);
	const [a, b] = await nodes(t, options, { ...options, topic: [...new Set(topics)] });
	await join(a, b);
	for (const entry of cases) {
		const topic = topicOf(entry);
		const payload = tableBytes(entry.payload);
		if (topic === undefined) {
			continue;
		}
		if (entry.result === 'ok') {
			await a.publish(topic, payload, { confirm: true, timeoutMs: 10000 });
			const m = await b.recv({ timeoutMs: 10000 });
			assert.equal(m.topic, topic, entry.name);
			assert.ok(m.data.equals(payload), entry.name);
			continue;
		}
		await assert.rejects(a.publish(topic, payload), (error) =>
			error.code === `ERR_KP2P_${entry.result.slice(1)}` &&
			(entry.words ?? []).every((word) => error.message.includes(word)), entry.name);
	}
});

test('configuration', async () => {
	const good = [
		{ listen: [LISTEN, '/ip6/::1/tcp/0'] }, { topic: ['a', 'b'] }, { idleTimeout: 500 },
		{ gossipsubFloodPublish: false }, { events: ['peers', 'log'] }, { events: 'stats' },
		{ inboxMaxBytes: '5MiB' }, { publishHold: 1 }, { gossipsubGossipFactor: 0.5 },
		{ inboxPolicy: 'drop_new' }, { bootstrap: [] }, { identity: undefined }, { workers: 2 },
		{ identity: Key.generate() }, { events: '' }, undefined, {},
	];
	for (const options of good) {
		await new Node(options).close();
	}
	const bad = [
		[{ inboxMaxMesages: 5 }, 'inboxMaxMesages'], [{ listen: 'localhost' }, 'localhost'],
		[{ idleTimeout: -1 }, 'idleTimeout'], [{ workers: 2.5 }, 'workers'],
		[{ idleTimeout: NaN }, 'idleTimeout'], [{ gossipsubD: true }, 'gossipsub.d'],
		[{ identity: 'x' }, 'identity'], [{ topic: '' }, 'subscribe'], [{ agent: 'a\0b' }, 'NUL'],
		[{ topic: 't'.repeat(257) }, 'subscribe'], [{ events: ['pears'] }, 'events'],
		[{ __proto__: null, constructor: 'x' }, 'constructor'],
	];
	for (const [options, word] of bad) {
		await assert.rejects(async () => Node.create(options), (error) =>
			error.code === 'ERR_KP2P_INVAL' && error.message.includes(word), util.inspect(options));
	}
	const types = [
		{ topic: 5 }, { topic: [Buffer.from('x')] }, { listen: {} }, { listen: [null] },
		{ agent: Buffer.from('x') }, { workers: Symbol('x') }, { workers: () => {} }, 5, null, 'x',
	];
	for (const options of types) {
		assert.throws(() => new Node(options), { code: 'ERR_INVALID_ARG_TYPE' });
	}
});

test('times are milliseconds', () => {
	const node = new Node({ publishHold: 250, idleTimeout: 90000 });
	const core = new addon.Core([['publish.hold', '250ms'], ['idle_timeout', '90000ms']], () => {});
	const config = JSON.parse(core.info('config'));
	assert.equal(config['publish.hold'], '250ms');
	assert.equal(config.idle_timeout, '90s');
	assert.match(util.inspect(node), /^Node 12D3KooW\w+ new$/);
	const { readOptions } = require('../lib/options.js');
	assert.deepEqual(readOptions({ publishHold: 250, idleTimeout: 90000 }).pairs.slice(0, 2),
		[['publish.hold', '250ms'], ['idle_timeout', '90000ms']]);
});

test('keys and peer ids', () => {
	const key = Key.generate();
	assert.equal(new Key(`${key.export()}\n`).peerId, key.peerId);
	assert.equal(peerId(key.peerId), key.peerId);
	assert.equal(new Node({ identity: key }).peerId, key.peerId);
	assert.ok(!util.inspect(key).includes(key.export()) && !`${JSON.stringify(key)}`.includes(
		key.export()));
	assert.throws(() => peerId('x'), { code: 'ERR_KP2P_INVAL' });
	assert.throws(() => new Key('x'), { code: 'ERR_KP2P_INVAL' });
	assert.throws(() => new Key(5), TypeError);
});

// --- wrong types and values over every method ---------------------------------------------------

class Evil {
	get length() {
		throw new RangeError('evil');
	}

	toString() {
		throw new RangeError('evil');
	}
}

const detached = new ArrayBuffer(8);
const gone = new Uint8Array(detached);
structuredClone(detached, { transfer: [detached] });
const NASTY = [
	undefined, null, true, 0, -0, -1, 2 ** 31, 2 ** 53, 1e300, 1.5, NaN, Infinity, '', 'x', '\0',
	'a\0b', '\ud800', 'x'.repeat(70000), Buffer.alloc(0), Buffer.from([255]), new Uint16Array(3),
	gone, detached, new DataView(new ArrayBuffer(3)), [], {}, [[]], [['a']],
	[['a', 5]], new Set(), Symbol('x'), 5n, () => {}, class {}, new Evil(), Promise.resolve(),
	new Proxy({}, { get: () => { throw new RangeError('evil'); } }), new Date(NaN), Object.create(null),
	{ signal: 5 }, { signal: { aborted: false } }, { timeoutMs: -1 }, { timeoutMs: NaN },
	{ timeoutMs: 'x' }, { topic: 5 }, { topic: 't', codec: 5 }, { name: 't' }, { confirm: 5 },
	AbortSignal.abort(),
];
// gives up the object, or throws what it is given
const GIVES_UP = new Set(['close', 'start', 'release', 'free', 'constructor', 'unref', 'ref',
	'throw']);

function methods(object) {
	const own = new Set();
	for (let o = object; o && ![Object.prototype, Function.prototype, EventEmitter,
		EventEmitter.prototype].includes(o); o = Object.getPrototypeOf(o)) {
		for (const name of Reflect.ownKeys(o)) {
			const { value } = Object.getOwnPropertyDescriptor(o, name);
			if (typeof value === 'function' && !GIVES_UP.has(name) && typeof name === 'string') {
				own.add(name);
			}
		}
	}
	return [...own];
}

// Calls every method with every value in every place; what fails must fail by an error. What would
// wait is ended by `ends`.
async function throwAll(object, fits = () => true) {
	const waiting = [];
	let calls = 0;
	for (const name of methods(object)) {
		const rows = [[], Array(9).fill(1)];
		for (const value of NASTY) {
			rows.push([value], [value, value, value], ['x', value], ['x', 'y', value],
				['x', '/p/1', 'z', value], [value, 'x', 'y']);
		}
		for (const row of rows.filter((args) => fits(name, args))) {
			calls++;
			try {
				const result = object[name](...row);
				if (result instanceof Promise) {
					waiting.push(result.catch((error) => assert.ok(error instanceof Error)));
				}
				await null;
			} catch (error) {
				assert.ok(error instanceof Error, `${name}: ${util.inspect(error)}`);
			}
		}
	}
	assert.ok(calls > 0);
	return waiting;
}

test('wrong arguments: the package', async (t) => {
	const a = await Node.create({ ...QUICK, publishHold: 0 });
	t.after(() => a.close({ timeoutMs: 0 }));
	a.on('failed', () => {});
	a.on('error', () => {});
	const waiting = [];
	for (const object of [a.topic('t'), a.topic({ name: 't', ...json }), a.messages({ topic: 't' }),
		a, Key, json]) {
		waiting.push(...await throwAll(object));
	}
	assert.ok(a.peerId && a.stats());
	await a.close({ timeoutMs: 0 });
	await Promise.all(waiting);
	for (const value of NASTY) {
		for (const make of [() => new Node(value), () => new Key(value), () => peerId(value),
			() => new Topic(a, value), () => Message.prototype.accept.call(value),
			() => Node.prototype.publish.call(value, 't', 'x').catch(() => {}),
			() => a.topic(value)]) {
			try {
				make();
			} catch (error) {
				assert.ok(error instanceof Error);
			}
		}
	}
});

test('wrong arguments: the addon', async () => {
	const core = new addon.Core([], () => {});
	core.start();
	await throwAll(core);
	await throwAll(addon, (name) => name !== 'setErrors' && name !== 'Core');
	for (const value of NASTY) {
		for (const args of [[value], [value, () => {}], [[], value], [[[value, 'x']], () => {}],
			[[['topic', value]], () => {}]]) {
			try {
				assert.ok(new addon.Core(...args));
			} catch (error) {
				assert.ok(error instanceof Error);
			}
		}
		for (const name of methods(core)) {
			try { // another `this`
				core[name].call(value, 'x', Buffer.from('x'), 0);
			} catch (error) {
				assert.ok(error instanceof Error);
			}
		}
		if (typeof value !== 'function') {
			assert.throws(() => addon.setErrors(value), TypeError);
		}
	}
	assert.throws(() => addon.Core([], () => {}), TypeError);
	assert.throws(() => core.publishBatch('t', Buffer.alloc(5), Uint32Array.of(3, 3)), TypeError);
	assert.equal(core.close(0, true), true);
	core.release();
	await throwAll(core);
	core.free();
	assert.equal(core.close(0, true), true);
	assert.equal(core.poll(0, Buffer.alloc(100)), -1);
	assert.equal(core.verdict(1, 0), false);
	await throwAll(core);
});

test('calls on a closed node say so', async () => {
	const a = await Node.create(QUICK);
	const reader = a.messages({ topic: 't' });
	await a.close();
	const closed = { code: 'ERR_KP2P_CLOSED' };
	const calls = [
		() => a.publish('t', 'x'), () => a.publish('t', 'x', { confirm: true }),
		() => a.publishBatch('t', ['x']), () => a.send(a.peerId, '/p/1', 'x'),
		() => a.subscribe('t'), () => a.unsubscribe('t'), () => a.handle('/p/1'),
		() => a.ping(a.peerId), () => a.connect(a.peerId), () => a.recv(), () => a.start(),
		() => a.recvBatch(), () => reader.recv(), async () => a.messages({ topic: 'u' }),
		async () => a.tryPublish('t', 'x'), () => a.topic('t').publish(1),
	];
	for (const call of calls) {
		await assert.rejects(call, closed, call.toString());
	}
	assert.deepEqual(await reader.next(), { value: undefined, done: true });
	assert.ok(a.peerId && typeof a.stats().delivered === 'number');
	assert.deepEqual(a.peers(), []);
	assert.equal(a.ref().unref(), a);
});
