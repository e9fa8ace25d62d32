// Life of a node and of the process around it: start, close, exit, signals, garbage, workers.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import vm from 'node:vm';
import { Worker } from 'node:worker_threads';

import karakp2p, { Node } from '../index.mjs';
import { PACKAGE, QUICK, join, nodes, pair, program, run, sleep, until } from './kit.mjs';

const require = createRequire(import.meta.url);

function clean(result, code = 0) {
	assert.equal(result.signal, null, result.err);
	assert.equal(result.code, code, result.err);
	assert.equal(result.err, '');
}

test('close: once, for everybody, with what waits', async (t) => {
	const [a] = await nodes(t, { topic: 't' });
	let closes = 0;
	a.on('close', () => closes++);
	const receiving = assert.rejects(a.recv(), { code: 'ERR_KP2P_CLOSED' });
	const next = a.messages().next();
	const closing = a.close({ timeoutMs: 5000 });
	assert.equal(a.close(), closing);
	assert.equal(a.close({ timeoutMs: 0 }), closing);
	assert.equal(a[Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')](), closing);
	await closing;
	await receiving;
	assert.deepEqual(await next, { value: undefined, done: true });
	assert.equal(closes, 1);
	await assert.rejects(a.close({ timeoutMs: -1 }), { code: 'ERR_KP2P_INVAL' });
});

test('close before start, start after close, start twice', async () => {
	const a = new Node(QUICK);
	let closes = 0;
	let again;
	a.on('close', () => {
		closes++;
		again = a.close();
	});
	const closing = a.close();
	await closing;
	assert.equal(again, closing);
	assert.equal(closes, 1);
	await assert.rejects(a.start(), { code: 'ERR_KP2P_CLOSED' });
	const b = await Node.create(QUICK);
	await assert.rejects(b.start(), { code: 'ERR_KP2P_STATE' });
	await b.close();
});

test('a failed start', async (t) => {
	const [a] = await nodes(t, {});
	const taken = a.addresses()[0].split('/p2p/')[0];
	await assert.rejects(Node.create({ listen: taken }), (error) =>
		error.code === 'ERR_KP2P_ADDRINUSE' && error.message.includes(taken));
	const b = new Node({ listen: taken });
	await assert.rejects(b.start(), { code: 'ERR_KP2P_ADDRINUSE' });
	await a.close();
	await b.start(); // it can be started again
	await b.close();
});

test('goodbye: what was published goes out first', async (t) => {
	const [a, b] = await pair(t, { topic: 't' });
	await b.publishBatch('t', Array.from({ length: 2000 }, (_, i) => `${i}`.padEnd(1000)));
	await b.close({ timeoutMs: 10000 });
	const got = [];
	while (got.length < 2000) {
		got.push(...await a.recvBatch(256, { timeoutMs: 10000 }));
	}
	assert.equal(got.at(-1).text().trim(), '1999');
});

test('close races', async () => {
	for (let i = 0; i < 60; i++) {
		const [a, b] = [await Node.create({ ...QUICK, topic: 't' }), await Node.create(QUICK)];
		const settled = [];
		const go = (promise) => settled.push(promise.catch((error) => assert.match(
			`${error.code}`, /^ERR_KP2P_(CLOSED|CANCELED|NOTFOUND|UNREACHABLE|NOPEERS|EXPIRED)$/)));
		go(b.connect(a.addresses()[0]));
		for (let k = 0; k < 20; k++) {
			go(b.publish('t', `${i} ${k}`, { confirm: k % 2 === 0 }));
			go(a.recv());
			go(a.ping(b.peerId));
			go(b.subscribe(`t${k}`));
			go(b.messages({ topic: `u${k}` }).next());
		}
		if (i % 3 > 0) {
			await sleep(i % 7);
		}
		await Promise.all([a.close({ timeoutMs: i % 2 }), b.close({ timeoutMs: 5 })]);
		await Promise.all(settled);
	}
});

test('1,000 nodes leave nothing behind', { timeout: 240000 }, async () => {
	const task = () => fs.readdirSync('/proc/self/task').length;
	const fds = () => fs.readdirSync('/proc/self/fd').length;
	const cycle = async (n) => {
		for (let i = 0; i < n; i++) {
			const node = await Node.create({ ...QUICK, topic: 't' });
			await node.publish('t', 'x');
			await node.close({ timeoutMs: 0 });
		}
	};
	await cycle(100);
	const before = [task(), fds(), process.memoryUsage().rss];
	await cycle(900);
	assert.equal(task(), before[0]);
	assert.equal(fds(), before[1]);
	const grown = process.memoryUsage().rss - before[2];
	assert.ok(grown < 48 * 1024 * 1024, `${grown} bytes`);
});

// --- the process ---------------------------------------------------------------------------------

test('a started node keeps the process alive', async () => {
	const result = await program('await Node.create(QUICK); console.log("started");', {
		onLine: (line, child) => setTimeout(() => child.kill('SIGKILL'), 1000),
	});
	assert.equal(result.signal, 'SIGKILL');
	assert.ok(result.ms > 900);
});

test('the process ends after close, after unref, and before start', async () => {
	clean(await program('const n = await Node.create(QUICK); await n.close();'));
	clean(await program('new Node(QUICK);'));
	const result = await program('const n = await Node.create({ ...QUICK, topic: "t" }); n.unref();');
	clean(result);
	clean(await program(`const n = (await Node.create(QUICK)).unref().ref();
		setTimeout(() => n.unref(), 50);`));
	clean(await program('const n = await Node.create(QUICK); await n[Symbol.asyncDispose]();'));
	clean(await program('const n = new Node(QUICK).unref(); await n.start();'));
	const closed = await program(`const n = await Node.create({ ...QUICK, topic: 't' });
		n.unref(); await n.close(); console.log('closed');`);
	clean(closed);
	assert.equal(closed.out, 'closed\n');
});

test('exits with a running node are clean', async () => {
	clean(await program('await Node.create(QUICK); process.exit(3);'), 3);
	const thrown = await program('await Node.create(QUICK); throw new Error("unhandled");');
	assert.equal(thrown.code, 1);
	assert.match(thrown.err, /unhandled/);
	clean(await program(`const n = await Node.create({ ...QUICK, topic: 't' });
		n.recv().catch(() => {}); n.publish('t', 'x'); setTimeout(() => process.exit(0), 20);`));
});

test('SIGINT ends it as any process; a handler may close it', async () => {
	const kill = { onLine: (line, child) => line === 'ready' && child.kill('SIGINT') };
	const plain = await program(`const n = await Node.create({ ...QUICK, topic: 't' });
		console.log('ready'); for await (const m of n);`, kill);
	assert.equal(plain.signal, 'SIGINT');
	const handled = await program(`const n = await Node.create({ ...QUICK, topic: 't' });
		process.once('SIGINT', () => n.close());
		console.log('ready'); for await (const m of n); console.log('over');`, kill);
	clean(handled);
	assert.match(handled.out, /over/);
});

test('signals: all blocked in the library\'s threads, none handled', async (t) => {
	const status = (id) => fs.readFileSync(`/proc/self/task/${id}/status`, 'utf8');
	const before = new Set(fs.readdirSync('/proc/self/task'));
	const caught = /SigCgt:\s*(\w+)/.exec(status(process.pid))[1];
	await nodes(t, {});
	const ours = fs.readdirSync('/proc/self/task').filter((id) => !before.has(id));
	assert.ok(ours.length > 0);
	for (const id of ours) {
		// bit 8: SIGKILL; the C library keeps 32 and 33 for itself
		const blocked = BigInt(`0x${/SigBlk:\s*(\w+)/.exec(status(id))[1]}`);
		for (const signal of [1, 2, 3, 13, 14, 15]) {
			assert.ok(blocked & (1n << BigInt(signal - 1)), `signal ${signal} in thread ${id}`);
		}
	}
	assert.equal(/SigCgt:\s*(\w+)/.exec(status(process.pid))[1], caught);
});

test('the library runs its own libuv and OpenSSL', async () => {
	// what the dynamic linker tells: whose functions the library calls
	const result = await run(process.execPath, ['-p',
		`require(${JSON.stringify(path.join(PACKAGE, 'index.js'))}).version`],
	{ env: { ...process.env, LD_DEBUG: 'bindings' } });
	const bound = (symbol) => new RegExp(`file \\S*libkarakp2p\\.so\\.1 \\S+ to (\\S+) .*\`${symbol}'`)
		.exec(result.err)?.[1];
	assert.match(bound('uv_loop_init'), /libuv\.so/);
	assert.match(bound('uv_version_string'), /libuv\.so/);
	assert.match(bound('OpenSSL_version'), /libcrypto\.so/);
	assert.match(bound('EVP_DigestSign'), /libcrypto\.so/);
	assert.match(result.out, /libuv\/[\d.]+ openssl\/3/);
});

// --- garbage -------------------------------------------------------------------------------------

test('a leaked node warns and lets the process end', async () => {
	const result = await program(`
		await (async () => { await Node.create({ ...QUICK, topic: 't' }); new Node(QUICK); })();
		const timer = setInterval(() => gc(), 10);
		process.once('warning', (w) => { console.log(w.code, w.message); clearInterval(timer); });
	`, { flags: ['--expose-gc'] });
	assert.equal(result.code, 0, result.err);
	assert.match(result.out, /KP2P_UNCLOSED a Node \(12D3KooW\w+\) was garbage collected/);
});

test('a node that somebody waits for is not garbage', async () => {
	const result = await program(`
		const address = await (async () => {
			const n = await Node.create(QUICK);
			(async () => {
				for await (const m of n.messages({ topic: 't' })) {
					console.log(m.text());
					process.exit(0);
				}
			})();
			return n.addresses()[0];
		})();
		for (let i = 0; i < 20; i++) { gc(); await new Promise((r) => setTimeout(r, 5)); }
		const other = await Node.create({ ...QUICK, bootstrap: address });
		setInterval(() => { gc(); other.publish('t', 'heard'); }, 20);
	`, { flags: ['--expose-gc'], timeout: 20000 });
	clean(result);
	assert.equal(result.out, 'heard\n');
});

test('garbage torture: messages, readers and payloads outlive what they came from', async () => {
	const result = await program(`
		const turn = () => new Promise((resolve) => setTimeout(resolve, 2));
		const kept = [];
		for (let round = 0; round < 25; round++) {
			const a = await Node.create({ ...QUICK, topic: 't' });
			const b = await Node.create({ ...QUICK, topic: 't', bootstrap: a.addresses() });
			const readers = [a.messages(), a.messages({ copy: true }), a.messages({ topic: 'u' })];
			await b.publishBatch('t', Array.from({ length: 50 }, (_, i) => \`\${round} \${i}\`.padEnd(300)));
			for (let i = 0; i < 50; i++) {
				const m = await readers[i % 2].recv({ timeoutMs: 20000 });
				kept.push([round, i, i % 3 ? m : m.data]);
				if (i % 10 === 0) gc();
			}
			a.recv().catch(() => {});
			readers[2].next();
			if (round % 3 === 0) await a.close({ timeoutMs: 0 });
			if (round % 3 === 1) a.unref(), b.unref();
			else await b.close({ timeoutMs: 0 });
			if (kept.length > 400) kept.splice(0, 200);
			gc();
			await turn();
		}
		gc();
		for (const [round, i, what] of kept) {
			const text = (Buffer.isBuffer(what) ? what.toString() : what.text()).trim();
			if (text !== \`\${round} \${i}\`) throw new Error(text);
		}
		console.log('intact');
		process.exit(0);
	`, { flags: ['--expose-gc', '--no-warnings'] });
	clean(result);
	assert.equal(result.out, 'intact\n');
});

// --- environments ----------------------------------------------------------------------------------

const TRAFFIC = `
	const { parentPort, workerData } = require('node:worker_threads');
	const { Node } = require(workerData.package);
	(async () => {
		const n = await Node.create({ ...workerData.options, topic: 't' });
		parentPort.postMessage(n.peerId);
		(async () => { for await (const m of n) m.text(); })();
		for (let i = 0; !workerData.rounds || i < workerData.rounds; i++) {
			await n.publish('t', \`\${n.peerId} \${i}\`);
			if (i % 20 === 0) await new Promise((r) => setTimeout(r, 1));
		}
		if (workerData.close) await n.close();
		else n.unref();
		parentPort.postMessage('over');
	})();
`;

function worker(options, more = {}) {
	return new Worker(TRAFFIC, { eval: true, workerData: { package: PACKAGE, options, ...more } });
}

test('8 workers at once, and the main thread', async (t) => {
	const [a] = await nodes(t, { topic: 't' });
	const options = { ...QUICK, bootstrap: a.addresses() };
	const exits = Array.from({ length: 8 }, (_, i) => new Promise((resolve, reject) => {
		const w = worker(options, { rounds: 200, close: i % 2 === 0 });
		w.on('error', reject).on('exit', resolve);
	}));
	assert.deepEqual(await Promise.all(exits), Array(8).fill(0));
	await a.publish('other', 'still works');
	assert.ok(a.stats().delivered > 0);
});

test('200 workers terminated in mid-traffic', { timeout: 240000 }, async (t) => {
	const [a] = await nodes(t, { topic: 't', inboxMaxMessages: 1000 });
	const options = { ...QUICK, bootstrap: a.addresses(), publishHold: 0, outboxMaxMessages: 1000 };
	let ended = 0;
	const one = async (i) => {
		const w = worker(options);
		await new Promise((resolve, reject) => w.once('message', resolve).once('error', reject));
		await sleep(i % 13);
		assert.equal(await w.terminate(), 1);
		ended++;
	};
	for (let i = 0; i < 200; i += 4) {
		await Promise.all([0, 1, 2, 3].map((k) => one(i + k)));
	}
	assert.equal(ended, 200);
	const b = (await nodes(t, {}))[0]; // the main thread's node is unaffected
	await join(a, b);
	await until(() => a.peers().length === 1, 'the workers have gone');
});

test('ESM and CJS are one', () => {
	const cjs = require('../index.js');
	assert.equal(karakp2p, cjs);
	assert.equal(Node, cjs.Node);
});

test('twice in one process, as test runners load it', async () => {
	const load = () => {
		for (const key of Object.keys(require.cache)) {
			if (key.startsWith(fs.realpathSync(PACKAGE))) {
				delete require.cache[key];
			}
		}
		return require('../index.js');
	};
	const [one, two] = [load(), load()];
	assert.notEqual(one.Node, two.Node);
	const a = await one.Node.create({ ...QUICK, topic: 't' });
	const b = await two.Node.create(QUICK);
	await join(a, b);
	await b.publish('t', 'hello');
	assert.equal((await a.recv({ timeoutMs: 10000 })).text(), 'hello');
	await assert.rejects(b.ping('x'), two.KarakP2PError);
	await assert.rejects(a.ping('x'), one.KarakP2PError);
	await Promise.all([a.close(), b.close()]);
	// a context of its own has other classes
	const context = vm.createContext({ require: (name) => require(name), result: null, Buffer });
	const inside = vm.runInContext('new Uint8Array([1, 2, 3])', context);
	const c = await two.Node.create({ ...QUICK, topic: 't' });
	await c.publish('t', inside);
	await c.close();
});
