// What the tests share.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Node } from '../index.mjs';

export const TESTS = path.dirname(fileURLToPath(import.meta.url));
export const PACKAGE = path.join(TESTS, '..');
export const REPOSITORY = path.join(PACKAGE, '..');
export const LISTEN = '/ip4/127.0.0.1/tcp/0';
// nothing that costs time in a network of two
export const QUICK = { listen: LISTEN, kadMode: 'off', workers: 1, gossipsubFirstHeartbeat: 0 };

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Until condition() holds; fails after a while.
export async function until(condition, what = condition.toString(), ms = 20000) {
	for (const end = Date.now() + ms; !(await condition());) {
		if (Date.now() > end) {
			throw new Error(`never came true: ${what}`);
		}
		await sleep(5);
	}
}

// Nodes that are closed at the end of a test t.
export async function nodes(t, ...options) {
	const made = [];
	t.after(() => Promise.all(made.map((node) => node.close({ timeoutMs: 0 }))));
	for (const own of options) {
		made.push(await Node.create({ ...QUICK, ...own }));
	}
	return made;
}

// Connects b to a, and waits until each knows the other's topics.
export async function join(a, b) {
	await b.connect(a.addresses()[0]);
	const knows = (one, other) => one.peers().some((peer) => peer.peer === other.peerId &&
		other.topics().every(({ topic }) => peer.topics.includes(topic)));
	await until(() => knows(a, b) && knows(b, a), 'both know the other and its topics');
}

// Two connected nodes.
export async function pair(t, first = {}, second = {}) {
	const [a, b] = await nodes(t, first, second);
	await join(a, b);
	return [a, b];
}

export function table(name) {
	return JSON.parse(fs.readFileSync(path.join(REPOSITORY, 'tests', name), 'utf8'));
}

// The bytes that a table means by a text, {hex} or {repeat}.
export function tableBytes(value) {
	if (typeof value === 'string') {
		return Buffer.from(value);
	}
	if (value.hex !== undefined) {
		return Buffer.from(value.hex, 'hex');
	}
	const [hex, n] = value.repeat;
	return Buffer.from(hex.repeat(n), 'hex');
}

// Runs a command: { code, signal, out, err, ms }. onLine(line, child) is called for each line of its
// output.
export async function run(command, args, { onLine, timeout = 60000, ...options } = {}) {
	const start = Date.now();
	const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
	const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
	let out = '';
	let err = '';
	let rest = '';
	child.stdout.setEncoding('utf8').on('data', (data) => {
		out += data;
		const lines = (rest + data).split('\n');
		rest = lines.pop();
		lines.forEach((line) => onLine?.(line, child));
	});
	child.stderr.setEncoding('utf8').on('data', (data) => {
		err += data;
	});
	const [code, signal] = await once(child, 'close');
	clearTimeout(timer);
	return { code, signal, out, err, ms: Date.now() - start };
}

// Runs a program of this package's users, with Node (its arguments first).
export function program(source, { flags = [], args = [], ...options } = {}) {
	const text = `import { Node, Key, json } from ${JSON.stringify(path.join(PACKAGE, 'index.mjs'))};
const QUICK = ${JSON.stringify(QUICK)};
${source}`;
	return run(process.execPath, [...flags, '--input-type=module', '-e', text, ...args], options);
}
