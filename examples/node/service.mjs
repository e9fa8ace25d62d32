#!/usr/bin/env node
/* A small service on KarakP2P: a shared key-value table that every instance holds a copy of.
 *
 * Each instance publishes its changes on one topic as JSON, and answers a newcomer's request for the
 * whole table by a direct message. Start a first one, then others with the address that it prints:
 *
 *     ./service.mjs --listen /ip4/0.0.0.0/tcp/4001 --key first.key
 *     ./service.mjs --bootstrap /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…
 *
 * Type `NAME=VALUE` to set, `NAME` to look up, `peers` or `stats` to look around. Ctrl-C, SIGTERM or
 * the end of the input stop it; it says goodbye first. The services of all languages share one
 * table: examples/README.md has what they say to each other. */

import fs from 'node:fs';
import readline from 'node:readline';
import { parseArgs } from 'node:util';

import { Key, Node, json } from 'karakp2p';

const TOPIC = 'example/table';
const SNAPSHOT = '/example/table/1'; // protocol of the direct messages that carry a table
const SNAPSHOT_BYTES = 32 * 1024; // of one of them
const AHEAD = 60; // seconds that another's clock may be ahead of ours

/** @typedef {{ set: string, to: string, at: number } | { ask: true, at: number }} Change */

/** Names and values; of two changes of a name, the later one wins on every instance. */
class Table {
	/** @type {Map<string, [number, string]>} */
	rows = new Map();

	/** Whether that changed anything.
	 * @param {string} name @param {number} when @param {string} value */
	apply(name, when, value) {
		const [at, old] = this.rows.get(name) ?? [-Infinity, ''];
		const later = when - at || Buffer.compare(Buffer.from(value), Buffer.from(old));
		if (this.rows.has(name) && later <= 0) {
			return false;
		}
		this.rows.set(name, [when, value]);
		return true;
	}

	/** All rows as JSON objects of a size that one message may have. */
	* snapshots() {
		let part = [];
		let size = 2;
		for (const [name, row] of this.rows) {
			const text = `${JSON.stringify(name)}:${JSON.stringify(row)}`;
			const cost = Buffer.byteLength(text) + 1;
			if (part.length > 0 && size + cost > SNAPSHOT_BYTES) {
				yield `{${part}}`;
				part = [];
				size = 2;
			}
			part.push(text);
			size += cost;
		}
		if (part.length > 0) {
			yield `{${part}}`;
		}
	}
}

/** Seconds since 1970. */
const now = () => Date.now() / 1000;

/** Throws unless it is a row: it came from somebody else.
 * @param {unknown} name @param {unknown} when @param {unknown} value */
function checkRow(name, when, value) {
	if (typeof name !== 'string' || typeof value !== 'string') {
		throw new TypeError('name and value must be text');
	}
	if (typeof when !== 'number' || !(when < now() + AHEAD)) {
		throw new TypeError('the time must be a number, and not in the future');
	}
}

/** The codec of the topic: {"set": NAME, "to": VALUE, "at": SECONDS} or {"ask": true, "at": SECONDS}.
 * What has another form is refused by decode, and so rejected before it spreads. */
const changes = {
	name: TOPIC,
	encode: json.encode,
	/** @param {Buffer} data @returns {Change} */
	decode(data) {
		const value = json.decode(data);
		const members = Object.keys(value ?? {}).sort().join();
		if (members === 'ask,at' && value.ask === true) {
			checkRow('', value.at, '');
		} else if (members === 'at,set,to') {
			checkRow(value.set, value.at, value.to);
		} else {
			throw new TypeError('not a change of the table');
		}
		return value;
	},
};

/** One instance. */
class Service {
	table = new Table();

	/** @param {Node} node */
	constructor(node) {
		this.node = node;
		this.topic = node.topic(changes);
	}

	/** Until the node is closed. */
	async run() {
		await this.node.handle(SNAPSHOT, (message) => this.readSnapshot(message));
		const reader = this.topic.messages({ validate: true });
		await reader.ready;
		await this.topic.publish({ ask: true, at: now() });
		for await (const message of reader) { // a message spreads further only once it is accepted
			message.accept();
			const change = message.value;
			if ('ask' in change) {
				this.sendSnapshot(message.source);
			} else if (this.table.apply(change.set, change.at, change.to)) {
				console.log(`${change.set} = ${change.to}  (by ${message.source})`);
			}
		}
	}

	/** Gives a newcomer what we know. It may have left, or know others: never an error.
	 * @param {string | undefined} peer */
	async sendSnapshot(peer) {
		if (peer === undefined) {
			return;
		}
		try {
			for (const part of [...this.table.snapshots()]) {
				await this.node.send(peer, SNAPSHOT, part, { timeoutMs: 5000 });
			}
		} catch (error) {
			console.error(`no snapshot for ${peer}: ${error}`);
		}
	}

	/** @param {import('karakp2p').Message} message */
	readSnapshot(message) {
		try {
			for (const [name, [when, value]] of Object.entries(json.decode(message.data))) {
				checkRow(name, when, value);
				if (this.table.apply(name, when, value)) {
					console.log(`${name} = ${value}`);
				}
			}
		} catch (error) {
			console.error(`bad snapshot from ${message.source}: ${error}`);
		}
	}

	/** One line of the user.
	 * @param {string} line */
	async command(line) {
		const [name, ...rest] = line.split('=');
		if (rest.length > 0) {
			const change = { set: name, to: rest.join('='), at: now() };
			this.table.apply(change.set, change.at, change.to);
			await this.topic.publish(change);
		} else if (line === 'peers') {
			this.node.peers().forEach(({ peer, addrs }) => console.log(peer, ...addrs));
		} else if (line === 'stats') {
			console.log(JSON.stringify(this.node.stats()));
		} else if (line !== '') {
			console.log(this.table.rows.get(line)?.[1] ?? '(not set)');
		}
	}
}

/** The key in that file; a new one, written there, when there is none.
 * @param {string} file */
function keyOf(file) {
	if (!fs.existsSync(file)) {
		fs.writeFileSync(file, `${Key.generate().export()}\n`, { mode: 0o600, flag: 'wx' });
	}
	return new Key(fs.readFileSync(file, 'utf8'));
}

const { values: args } = parseArgs({
	options: {
		listen: { type: 'string', multiple: true, default: ['/ip4/0.0.0.0/tcp/0'] },
		bootstrap: { type: 'string', multiple: true },
		key: { type: 'string' },
		verbose: { type: 'boolean' },
	},
});
const node = new Node({
	listen: args.listen,
	bootstrap: args.bootstrap,
	identity: args.key === undefined ? undefined : keyOf(args.key),
	events: args.verbose ? ['log'] : undefined,
	logLevel: 'debug',
});
node.on('log', ({ level, text }) => console.error(`${level}: ${text}`));
node.on('error', (error) => console.error(error));
await node.start();
for (const address of node.addresses()) {
	console.log(`listening on ${address}`);
}

const service = new Service(node);
const running = service.run().catch((error) => {
	if (error.code !== 'ERR_KP2P_CLOSED') { // closed before it began
		throw error;
	}
});
const input = readline.createInterface({ input: process.stdin });
process.once('SIGINT', () => input.close());
process.once('SIGTERM', () => input.close());
const closed = new Promise((resolve) => {
	input.once('close', resolve);
});
input.on('line', (line) => service.command(line.trim()).catch((error) => console.error(`${error}`)));
await Promise.race([closed, running]);
await node.close(); // says goodbye; the iteration of the service ends
await running;
input.close();
process.stdin.destroy();
