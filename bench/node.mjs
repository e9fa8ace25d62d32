#!/usr/bin/env node
/* Benchmarks of the Node.js package.
 *
 *     bench/node.mjs boundary [N]     messages/s from a full inbox into JavaScript, N of 200 B a round:
 *                                     in batches, by iteration, by events; one JSON line each
 *     bench/node.mjs [--sink] --listen MA --bootstrap MA --topic T
 *                                     a peer for bench/run.py, with the options and the line protocol of
 *                                     bench/peer.c: /window N SIZE W, /stats, /topics, /quit
 *
 * KARAKP2P_ADDON names another addon than the one that node/ has built. */

import readline from 'node:readline';
import { parseArgs } from 'node:util';

import { Node } from '../node/index.mjs';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// --- the boundary --------------------------------------------------------------------------------

const SIZE = 200;
const ROUNDS = 5; // the first one warms up

// Takes n messages out of a reader, looking at the payload of each; bytes.
const WAYS = {
	async batches(reader, n) {
		let bytes = 0;
		for (let got = 0; got < n;) {
			const batch = await reader.recvBatch(256);
			for (const message of batch) {
				bytes += message.data.length;
			}
			got += batch.length;
		}
		return bytes;
	},
	async iteration(reader, n) {
		let bytes = 0;
		let got = 0;
		for await (const message of reader) {
			bytes += message.data.length;
			if (++got === n) {
				break;
			}
		}
		return bytes;
	},
	recv: async (reader, n) => {
		let bytes = 0;
		for (let got = 0; got < n; got++) {
			bytes += (await reader.recv()).data.length;
		}
		return bytes;
	},
	events: (reader, n, node) => new Promise((resolve) => {
		let bytes = 0;
		let got = 0;
		const onMessage = (message) => {
			bytes += message.data.length;
			if (++got === n) {
				node.off('message', onMessage);
				resolve(bytes);
			}
		};
		node.on('message', onMessage);
	}),
};

async function boundary(n) {
	const options = {
		listen: '/ip4/127.0.0.1/tcp/0', kadMode: 'off', signature: 'strict_no_sign', topic: 'b',
		inboxMaxMessages: 2 * n, inboxMaxBytes: '4GiB', inboxTotalBytes: '4GiB',
	};
	const node = await Node.create(options);
	const source = await Node.create({ ...options, topic: [], bootstrap: node.addresses() });
	while (!source.peers().some(({ topics }) => topics.includes('b'))) {
		await sleep(10);
	}
	for (const [way, take] of Object.entries(WAYS)) {
		const rounds = [];
		for (let round = 0; round < ROUNDS; round++) {
			for (let i = 0; i < n; i += 1000) {
				await source.publishBatch('b', Array.from({ length: Math.min(1000, n - i) },
					(_, k) => `${way} ${round} ${i + k}`.padEnd(SIZE)));
			}
			while (node.stats().inbox_messages < n) {
				await sleep(20);
			}
			const cpu = process.cpuUsage();
			const start = performance.now();
			const bytes = await take(node.messages(), n, node);
			const seconds = (performance.now() - start) / 1000;
			const used = process.cpuUsage(cpu);
			if (bytes !== n * SIZE) {
				throw new Error(`${bytes} bytes instead of ${n * SIZE}`);
			}
			if (round > 0) {
				rounds.push({ seconds, ns: ((used.user + used.system) / n) * 1000 });
			}
		}
		const median = (of) => rounds.map(of).sort((a, b) => a - b)[rounds.length >> 1];
		console.log(JSON.stringify({
			bench: `node ${way}`, per_second: Math.round(n / median(({ seconds }) => seconds)),
			best: Math.round(n / Math.min(...rounds.map(({ seconds }) => seconds))),
			cpu_ns: Math.round(median(({ ns }) => ns)),
		}));
	}
	await Promise.all([node.close({ timeoutMs: 0 }), source.close({ timeoutMs: 0 })]);
}

// --- a peer --------------------------------------------------------------------------------------

const ACK_EVERY = 64;
const SILENCE_MS = 50;
const STALL_MS = 10000;

const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const wallNs = () => performance.now() * 1e6;

async function peer({ topic, sink, ...options }) {
	const ackTopic = `${topic}-ack`;
	const node = await Node.create({ ...options, topic: [topic, ackTopic] });
	const state = { received: 0, bytes: 0, first: 0, last: 0, ackedAt: 0, acked: 0, counter: 0 };
	let progressed = () => {};

	const acknowledge = () => {
		state.ackedAt = state.received;
		node.publish(ackTopic, `${state.received}`);
	};

	const onBatch = (batch) => {
		for (const message of batch) {
			if (message.topic === topic) {
				state.last = wallNs();
				state.first ||= state.last;
				state.received++;
				state.bytes += message.data.length;
				if (sink && state.received - state.ackedAt >= ACK_EVERY) {
					acknowledge();
				}
			} else {
				state.acked = Math.max(state.acked, Number(message.text()) || 0);
			}
		}
		progressed();
	};

	const receive = async () => {
		for (;;) {
			onBatch(await node.recvBatch(256));
		}
	};

	// Publishes n messages, no more than `window` of them unacknowledged.
	const window = async (n, size, width) => {
		const data = Buffer.alloc(size, 'x');
		const base = state.acked;
		const start = performance.now();
		const cpu = process.cpuUsage();
		let sent = 0;
		while (state.acked - base < n) {
			for (; sent < n && sent - (state.acked - base) < width; sent++) {
				const head = `${process.pid} ${state.counter++} `;
				data.fill('x', 0, 32);
				data.write(head);
				await node.publish(topic, data.subarray(0, Math.max(size, head.length)));
			}
			const before = state.acked;
			const waited = await new Promise((resolve) => {
				const timer = setTimeout(resolve, STALL_MS, 'stalled');
				progressed = () => {
					if (state.acked !== before) {
						clearTimeout(timer);
						resolve('progress');
					}
				};
			});
			progressed = () => {};
			if (waited === 'stalled') {
				break;
			}
		}
		const used = process.cpuUsage(cpu);
		emit({
			event: 'window', sent, acked: state.acked - base,
			seconds: (performance.now() - start) / 1000, cpu_ms: (used.user + used.system) / 1000,
		});
	};

	const commands = {
		window: ([n, size, width]) => window(Number(n), Number(size), Number(width)),
		stats: () => {
			const { user, system } = process.cpuUsage();
			emit({
				event: 'stats', received: state.received, bytes: state.bytes, first_ns: state.first,
				last_ns: state.last, cpu_user_ms: user / 1000, cpu_sys_ms: system / 1000,
			});
		},
		topics: () => emit({ event: 'topics', topics: node.topics() }),
		quit: () => input.close(),
	};

	// Told once for each peer that subscribes to both topics, as the stock peers do.
	const subscribed = new Set();
	const look = setInterval(() => {
		for (const one of node.peers()) {
			if (one.topics.includes(topic) && one.topics.includes(ackTopic) &&
			    !subscribed.has(one.peer)) {
				subscribed.add(one.peer);
				emit({ event: 'subscribed', peer: one.peer });
			}
		}
		if (sink && state.received !== state.ackedAt && wallNs() - state.last > SILENCE_MS * 1e6) {
			acknowledge();
		}
	}, SILENCE_MS);

	emit({ event: 'listening', peer: node.peerId, addrs: node.addresses() });
	const receiving = receive().catch(() => {}); // until it is closed
	const input = readline.createInterface({ input: process.stdin });
	for await (const line of input) {
		const [command, ...args] = line.slice(1).split(' ');
		await commands[command]?.(args);
	}
	clearInterval(look);
	await node.close();
	await receiving;
	emit({ event: 'closed' });
}

const [mode, count] = process.argv.slice(2);
if (mode === 'boundary') {
	await boundary(Number(count ?? 50000));
} else {
	const { values } = parseArgs({
		options: {
			listen: { type: 'string', multiple: true }, bootstrap: { type: 'string', multiple: true },
			topic: { type: 'string', default: 'bench' }, sink: { type: 'boolean', default: false },
		},
	});
	await peer({ ...values, topic: values.topic, sink: values.sink });
}
