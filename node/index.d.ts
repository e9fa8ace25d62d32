/// <reference types="node" />

import { EventEmitter } from 'node:events';

import type { Config } from './config.js';

export type { Config } from './config.js';

/** What a payload may be: text is sent as UTF-8. */
export type Data = string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** Names of the library's errors: `error.code` is `ERR_KP2P_` and one of them. */
export type ErrorName =
	| 'INTERNAL' | 'INVAL' | 'NOMEM' | 'AGAIN' | 'TIMEDOUT' | 'INTR' | 'CLOSED' | 'CANCELED'
	| 'FORKED' | 'STATE' | 'NOTFOUND' | 'TOOBIG' | 'DUPLICATE' | 'NOPEERS' | 'EXPIRED'
	| 'UNREACHABLE' | 'PROTO' | 'ADDRINUSE' | 'ACCES' | 'LIMIT' | 'NOTSUP' | 'PEERID';

/** A call failed. The message names the key, address, peer or argument it is about. Arguments of a
 * wrong type are TypeErrors with code `ERR_INVALID_ARG_TYPE` instead. */
export class KarakP2PError extends Error {
	constructor(errno: number, message: string);
	readonly code: `ERR_KP2P_${ErrorName}`;
	/** The number of the code in the C library. */
	readonly errno: number;
}

/** An AbortSignal has ended the call; `cause` is the signal's reason. */
export class AbortError extends Error {
	constructor(signal: AbortSignal);
	readonly code: 'ABORT_ERR';
}

/** A node's private key: what `identity` takes. Keep it and the node keeps its peer id. */
export class Key {
	/** From the base64 of a libp2p PrivateKey, as in a key file of the karakp2p command. */
	constructor(text: string);
	/** A new Ed25519 key. */
	static generate(): Key;
	readonly peerId: string;
	/** The text, to be kept in a secret place. */
	export(): string;
}

/** A peer id in base58, given in base58 or as a CIDv1. */
export function peerId(text: string): string;

/** What the library is made of: its own version, and those of the libraries inside. */
export const version: string;

/** One message: of a topic, or direct from one peer to this one (`protocol`). */
export class Message<T = undefined> {
	private constructor();
	/** Undefined for a direct message. */
	readonly topic: string | undefined;
	/** The payload, without a copy: it keeps the whole batch that it came in alive, unless the
	 * reader was made with `copy: true`. */
	readonly data: Buffer;
	/** The author's peer id; undefined in networks without signatures. */
	readonly source: string | undefined;
	/** The peer id of the peer that forwarded it. */
	readonly via: string | undefined;
	/** Message id; the default one is decimal text. */
	readonly id: Buffer | undefined;
	/** Protocol of a direct message. */
	readonly protocol: string | undefined;
	readonly seqno: bigint | undefined;
	/** When it arrived. */
	readonly time: Date;
	/** Of the verdict; 0 when none is wanted. */
	readonly token: number;
	/** What the topic's codec has made of the payload. */
	readonly value: T;
	/** The payload as UTF-8 text. */
	text(): string;
	/** The payload parsed as JSON. */
	json(): unknown;
	/** The same message with memory of its own. */
	copy(): Message<T>;
	/** Forward it. False when it is too late, or the topic is not validated. */
	accept(): boolean;
	/** Do not forward it, and count it against the peer. */
	reject(): boolean;
	/** Do not forward it. */
	ignore(): boolean;
	toJSON(): object;
}

/** How values of a topic become bytes and back. What `encode` throws fails the publish; a message
 * that `decode` throws on never reaches a reader, and is rejected where the topic is validated. */
export interface Codec<T> {
	encode(value: T): Data;
	decode(data: Buffer): T;
}

/** Values as JSON in UTF-8. */
export const json: Codec<any>;

export interface Abortable {
	signal?: AbortSignal | undefined;
}

export interface WaitOptions extends Abortable {
	/** Undefined: as long as it takes; 0: do not wait. */
	timeoutMs?: number | undefined;
}

export interface PublishOptions extends WaitOptions {
	/** Resolve with the message's fate, when that is known. */
	confirm?: boolean | undefined;
}

export interface Published {
	id: Buffer;
	/** How many peers it was queued for. */
	peers: number;
}

export interface TopicOptions {
	/** Messages wait for accept, reject or ignore before they are forwarded. */
	validate?: boolean | undefined;
	/** Own messages come back as well. */
	self?: boolean | undefined;
}

export interface ReaderOptions extends Abortable {
	/** Messages with memory of their own: for those that are kept for long. */
	copy?: boolean | undefined;
}

export interface TopicReaderOptions<T = undefined> extends ReaderOptions, TopicOptions {
	topic: string;
	codec?: Pick<Codec<T>, 'decode'> | undefined;
	/** Told of messages that the codec can not decode. */
	onInvalid?: ((message: Message, error: unknown) => void) | undefined;
}

/** Reads one inbox. Several readers of one compete: each message goes to one of them. Iteration ends
 * when the node is closed or the topic unsubscribed, and all is read; `break` ends only this one. */
export interface Reader<T = undefined> extends AsyncIterableIterator<Message<T>> {
	/** Undefined: the topics without a reader of their own, and direct messages. */
	readonly topic: string | undefined;
	/** Resolves once the topic is subscribed. */
	readonly ready: Promise<this>;
	/** Messages lost because nobody took them in time. */
	readonly dropped: number;
	/** Messages that the codec could not decode. */
	readonly invalid: number;
	next(): Promise<IteratorResult<Message<T>, undefined>>;
	return(value?: undefined): Promise<IteratorResult<Message<T>, undefined>>;
	throw(error?: unknown): Promise<IteratorResult<Message<T>, undefined>>;
	/** The next message. Ending it early loses none. */
	recv(options?: WaitOptions): Promise<Message<T>>;
	/** Up to n messages (256). Waits for the first only; none when no message came in time. */
	recvBatch(n?: number, options?: WaitOptions): Promise<Message<T>[]>;
	[Symbol.asyncDispose](): Promise<void>;
}

/** A topic name with a codec. */
export class Topic<T> {
	private constructor();
	readonly name: string;
	publish(value: T, options: PublishOptions & { confirm: true }): Promise<Published>;
	publish(value: T, options?: PublishOptions): Promise<Published | undefined>;
	tryPublish(value: T): boolean;
	messages(options?: ReaderOptions & TopicOptions): Reader<T>;
}

export interface TypedTopicOptions<T> extends Codec<T> {
	name: string;
	onInvalid?: ((message: Message, error: unknown) => void) | undefined;
}

/** One connected peer. */
export interface PeerInfo {
	peer: string;
	addrs: string[];
	direction: string;
	agent: string;
	rtt_us: number | null;
	topics: string[];
	mesh: string[];
	score: number;
	connections: number;
}

/** One subscribed topic. */
export interface TopicInfo {
	topic: string;
	mesh: number;
	subscribers: number;
	inbox: number;
}

export interface NodeEvents {
	/** Of the topics without a reader of their own, and direct messages without a handler. */
	message: [message: Message];
	/** A peer has come or gone. */
	peer: [event: { peer: string; address: string; connected: boolean; reason: string | undefined }];
	/** Messages were lost because nobody took them in time; topic: undefined for those of recv(). */
	dropped: [event: { count: number; topic: string | undefined }];
	/** A message published without `confirm` was not sent: nobody subscribed in time, or the like. */
	failed: [error: KarakP2PError & { topic: string; id: Buffer | undefined }];
	/** Only with `events: ['log']`. */
	log: [event: { level: 'error' | 'warn' | 'info' | 'debug'; text: string; time: Date }];
	/** Only with `events: ['stats']`. */
	stats: [stats: Record<string, number>];
	listening: [event: { address: string }];
	/** A listener or handler has thrown, or its promise was rejected. Delivery goes on. */
	error: [error: unknown];
	close: [];
}

/** One peer of the network. A started node keeps the process alive until close() or unref(). */
export class Node extends EventEmitter implements AsyncIterable<Message> {
	/** A node that is not started yet. */
	constructor(options?: Config);
	/** A started node. */
	static create(options?: Config): Promise<Node>;

	start(): Promise<this>;
	/** Says goodbye, for at most timeoutMs (2000), and ends the node. Every call gives the same
	 * promise. */
	close(options?: { timeoutMs?: number | undefined }): Promise<void>;
	[Symbol.asyncDispose](): Promise<void>;
	ref(): this;
	unref(): this;

	/** Joins a topic; its messages come with recv(), the node's iterator and 'message'. */
	subscribe(topic: string, options?: TopicOptions & WaitOptions): Promise<void>;
	/** Leaves a topic, however it was joined. Its readers end. */
	unsubscribe(topic: string, options?: WaitOptions): Promise<void>;
	/** A reader of a topic, which is joined, with an inbox of its own. */
	messages<T = undefined>(options: TopicReaderOptions<T>): Reader<T>;
	/** A reader of the topics without one of their own, and of direct messages. */
	messages(options?: ReaderOptions): Reader;
	[Symbol.asyncIterator](): Reader;
	recv(options?: WaitOptions): Promise<Message>;
	recvBatch(n?: number, options?: WaitOptions): Promise<Message[]>;
	/** Messages of recv() that were lost because nobody took them in time. */
	readonly dropped: number;

	/** A typed topic; a name alone is one of JSON. */
	topic(name: string): Topic<any>;
	topic<T>(options: TypedTopicOptions<T>): Topic<T>;

	/** Waits for room in the send queue, in the order of the calls; `confirm` tells the fate. */
	publish(topic: string, data: Data, options: PublishOptions & { confirm: true }): Promise<Published>;
	publish(topic: string, data: Data, options?: PublishOptions): Promise<Published | undefined>;
	/** Never waits: false when the send queue is full. */
	tryPublish(topic: string, data: Data): boolean;
	/** How many were accepted: all, unless the time was over. */
	publishBatch(topic: string, messages: readonly Data[], options?: WaitOptions): Promise<number>;

	/** A direct message to a connected peer; resolves when it was written. */
	send(peer: string, protocol: string, data: Data, options?: WaitOptions): Promise<void>;
	/** Accepts direct messages of a protocol, for the handler or, without one, for recv(). */
	handle(protocol: string, handler?: (message: Message) => unknown): Promise<void>;
	readonly protocols: string[];

	/** The round trip to a connected peer in milliseconds. */
	ping(peer: string, options?: WaitOptions): Promise<number>;
	/** Connects to a multiaddress or a peer id; the peer id. */
	connect(address: string, options?: WaitOptions): Promise<string>;
	disconnect(peer: string, options?: WaitOptions): Promise<void>;
	/** Addresses of a peer, looked up in the DHT. */
	findPeer(peer: string, options?: WaitOptions): Promise<string[]>;

	readonly peerId: string;
	/** Where others can reach this node: what `bootstrap` takes. */
	addresses(): string[];
	peers(): PeerInfo[];
	topics(): TopicInfo[];
	/** The peer ids of a topic's mesh. */
	mesh(topic: string): string[];
	/** All counters and gauges by name. */
	stats(): Record<string, number>;

	on<K extends keyof NodeEvents>(event: K, listener: (...args: NodeEvents[K]) => void): this;
	on(event: string | symbol, listener: (...args: any[]) => void): this;
	once<K extends keyof NodeEvents>(event: K, listener: (...args: NodeEvents[K]) => void): this;
	once(event: string | symbol, listener: (...args: any[]) => void): this;
	off<K extends keyof NodeEvents>(event: K, listener: (...args: NodeEvents[K]) => void): this;
	off(event: string | symbol, listener: (...args: any[]) => void): this;
}
