// What Bun and Deno are tried with, beside an installed package: runtimes.mjs WHAT prints WHAT when it
// works.

import { Worker, isMainThread, parentPort } from 'node:worker_threads';

import { Node } from 'karakp2p';

const QUICK = { listen: '/ip4/127.0.0.1/tcp/0', kadMode: 'off' };
const MESSAGES = 2000;

function check(condition, what) {
	if (!condition) {
		throw new Error(what);
	}
}

const failure = (promise) => promise.then(() => undefined, (error) => error);

const TRIALS = {
	async close() {
		await (await Node.create(QUICK)).close();
	},
	async unref() {
		(await Node.create(QUICK)).unref();
	},
	async exit() {
		await Node.create(QUICK);
		setTimeout(() => process.exit(0), 10);
	},
	async traffic() {
		const a = await Node.create({ ...QUICK, topic: 't' });
		const b = await Node.create({ ...QUICK });
		const numbers = b.topic('numbers').messages();
		await b.connect(a.addresses()[0]);
		let heard = 0;
		const all = new Promise((resolve) => {
			a.on('message', () => ++heard === MESSAGES && resolve());
		});
		for (let i = 0; i < MESSAGES; i++) {
			await b.publish('t', `${i}`);
		}
		await all;
		check((await b.publish('t', 'x', { confirm: true })).peers === 1, 'confirm');
		await a.topic('numbers').publish([1, 2]);
		for await (const { value } of numbers) {
			check(value[1] === 2, 'JSON');
			break;
		}
		const aborter = new AbortController();
		const receiving = failure(b.recv({ signal: aborter.signal }));
		aborter.abort();
		check((await receiving).name === 'AbortError', 'AbortError');
		check((await failure(a.ping('x'))).code === 'ERR_KP2P_INVAL', 'code');
		check((await failure(a.publish('t', 5))) instanceof TypeError, 'TypeError');
		const direct = new Promise((resolve) => a.handle('/p/1', resolve));
		await b.send(a.peerId, '/p/1', 'direct');
		check((await direct).text() === 'direct', 'direct');
		await Promise.all([a.close(), b.close()]);
	},
	async workers() {
		for (let i = 0; i < 10; i++) {
			const worker = new Worker(new URL(import.meta.url));
			await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
			await worker.terminate();
		}
	},
};

if (isMainThread) {
	const what = process.argv[2];
	await TRIALS[what]();
	console.log(what);
} else {
	const node = await Node.create({ ...QUICK, topic: 't' });
	setInterval(() => node.tryPublish('t', `${Math.random()}`), 1);
	parentPort.postMessage(node.peerId);
}
