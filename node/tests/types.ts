// Compiled, never run: what the declarations promise and what they refuse.

import * as all from 'karakp2p';
import { AbortError, KarakP2PError, Key, Message, Node, Topic, json, peerId, version } from 'karakp2p';
import type { Codec, Config, PeerInfo, Published, Reader } from 'karakp2p';

interface Order {
	id: number;
}

const orders: Codec<Order> = {
	encode: (order) => JSON.stringify(order),
	decode: (data) => ({ id: data.readUInt32LE() }),
};

export async function main(signal: AbortSignal): Promise<void> {
	const config: Config = {
		listen: ['/ip4/0.0.0.0/tcp/0'], topic: 'news', idleTimeout: '2m', publishHold: 500,
		inboxPolicy: 'drop_new', inboxMaxBytes: '5MiB', identity: Key.generate(), events: ['log'],
		gossipsubFloodPublish: true, bootstrap: undefined,
	};
	await using node = await Node.create(config);
	const started: Node = await new Node().start();
	const fate: Published = await node.publish('t', 'x', { confirm: true, signal, timeoutMs: 5 });
	const none: Published | undefined = await node.publish('t', new Uint8Array(5));
	const ok: boolean = node.tryPublish('t', Buffer.from('x'));
	const n: number = await node.publishBatch('t', ['x', new DataView(new ArrayBuffer(4))]);
	for await (const message of node.messages({ topic: 't', signal, copy: true, validate: true })) {
		const seqno: bigint | undefined = message.seqno;
		const nothing: undefined = message.value;
		const accepted: boolean = message.accept() || message.reject() || message.ignore();
		console.log(seqno, nothing, accepted, message.data.length, message.source?.length);
	}
	for await (const message of node) {
		console.log(message.topic?.length, message.token + 1, message.time.getTime());
	}
	const topic: Topic<Order> = node.topic({ name: 'orders', ...orders, onInvalid: (m) => m.reject() });
	await topic.publish({ id: 1 });
	const reader: Reader<Order> = topic.messages({ signal });
	const id: number = (await reader.recv({ timeoutMs: 1 })).value.id;
	const batch: Message<Order>[] = await reader.recvBatch(5);
	const typed = node.messages({ topic: 'o', codec: orders });
	const order: Order = (await typed.recv()).value;
	await node.handle('/p/1', async (message) => console.log(message.protocol));
	await node.send(node.peerId, '/p/1', 'x', { signal });
	const rtt: number = await node.ping('x', { timeoutMs: 5 });
	const addresses: string[] = await node.findPeer('x');
	const peers: PeerInfo[] = node.peers();
	node.on('message', (message) => message.text()).once('peer', ({ peer, connected }) => {
		console.log(peer.length, connected === true);
	}).off('close', () => {});
	node.on('failed', (error) => console.log(error.code, error.topic));
	node.on('dropped', ({ count }) => count + 1).on('log', ({ level, text }) => level + text);
	node.ref().unref();
	try {
		await node.close({ timeoutMs: 100 });
	} catch (error) {
		if (error instanceof KarakP2PError && error.code === 'ERR_KP2P_CLOSED') {
			console.log(error.errno + 1);
		} else if (error instanceof AbortError) {
			console.log(error.code === 'ABORT_ERR');
		}
	}
	console.log(started, fate.id, fate.peers, none, ok, n, id, batch, order, rtt, addresses, peers,
		json.encode(5), peerId('x').length, version.length, all.version);

	// @ts-expect-error: no such option
	new Node({ inboxMaxMesages: 5 });
	// @ts-expect-error: no such policy
	new Node({ inboxPolicy: 'drop_all' });
	// @ts-expect-error: a switch
	new Node({ gossipsubFloodPublish: 'yes' });
	// @ts-expect-error: no payload
	await node.publish('t', 5);
	// @ts-expect-error: no Order
	await topic.publish({ id: 'x' });
	// @ts-expect-error: made by the package alone
	new Message();
	// @ts-expect-error: not without confirm
	(await node.publish('t', 'x')).id;
	// @ts-expect-error: milliseconds
	await node.recv({ timeoutMs: '5' });
}
