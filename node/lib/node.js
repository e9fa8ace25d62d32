'use strict';
// Node: one peer of the network.
//
// The library wakes this thread by one call, however much has happened; then #onWake looks wherever
// somebody waits. Inbox 0 (answers, reports, direct messages) is always drained, and every topic is
// routed to another one, so that answers never wait behind messages.

const { EventEmitter } = require('node:events');
const { inspect } = require('node:util');

const addon = require('./load.js');
const {
	bytesOf, checkBoolean, checkCodec, checkFunction, checkMs, checkOptions, checkSignal,
	checkString,
} = require('./args.js');
const { Calls } = require('./calls.js');
const { E, KarakP2PError, fail, typeError } = require('./errors.js');
const { Inbox, Reader, TURN, poll } = require('./inbox.js');
const { readOptions } = require('./options.js');
const { Publishers } = require('./publishers.js');
const record = require('./record.js');
const { Topic } = require('./topic.js');

addon.setErrors((errno, text) => new KarakP2PError(errno, text));

const OP_CONNECT = 1;
const OP_DISCONNECT = 2;
const OP_PING = 3;
const OP_SUBSCRIBE = 4;
const OP_UNSUBSCRIBE = 5;
const OP_ADD_PROTOCOL = 6;
const OP_FIND_PEER = 7;

const INBOXES = 1024;
const DEFAULT_INBOX = 1; // of topics without a reader of their own, and of direct messages
const CLOSE_MS = 2000;
const NOTHING = Buffer.alloc(0);
const SNAPSHOT = ['addresses', 'peers', 'topics', 'stats'];
const LOG_LEVELS = ['error', 'warn', 'info', 'debug'];

// Nodes for which somebody waits or listens: these are in use, though nobody may hold them.
const inUse = new Set();

const leaked = new FinalizationRegistry(({ core, peerId, life }) => {
	if (life.started) {
		process.emitWarning(`a Node (${peerId}) was garbage collected without close()`,
			{ type: 'KarakP2PWarning', code: 'KP2P_UNCLOSED' });
	}
	core.close(CLOSE_MS, false);
	core.release();
});

class Node extends EventEmitter {
	#core;
	#peerId;
	#life = { started: false, closing: false, over: false }; // over: inbox 0 has said CLOSED
	#calls;
	#publishers;
	#default;
	#inboxes = new Map(); // by number
	#topics = new Map(); // inboxes by topic
	#handlers = new Map(); // by protocol
	#reader; // of recv and recvBatch
	#closed; // promise of close()
	#last; // what there is to know about a closed node
	#onOver; // ends its wait
	#isRef = true;
	#again = false; // #onWake is due once more
	#pumping = false;
	#host;

	// A node that is not started yet: see Node.create.
	constructor(options) {
		super({ captureRejections: true });
		const { pairs, topics } = readOptions(options);
		const self = new WeakRef(this); // the addon must not keep a leaked node alive
		this.#core = new addon.Core(pairs, () => {
			const node = self.deref();
			if (node !== undefined) {
				node.#onWake();
			}
		});
		this.#peerId = this.#core.info('peer_id');
		leaked.register(this,
			{ core: this.#core, peerId: this.#peerId, life: this.#life }, this.#life);
		this.#host = this.#makeHost();
		this.#calls = new Calls(this.#core, addon.strerror);
		this.#publishers = new Publishers(this.#host);
		this.#default = new Inbox(this.#host, this.#core, DEFAULT_INBOX, undefined);
		this.#inboxes.set(DEFAULT_INBOX, this.#default);
		this.#reader = this.messages();
		for (const topic of topics) {
			this.#core.request(OP_SUBSCRIBE, topic, Buffer.from(`inbox=${DEFAULT_INBOX}`), 0, 0);
		}
	}

	// A started node.
	static async create(options) {
		const node = new Node(options);
		try {
			return await node.start();
		} catch (error) {
			await node.close({ timeoutMs: 0 });
			throw error;
		}
	}

	// What the parts of this node call it for.
	#makeHost() {
		return {
			waiting: () => this.#use(),
			settled: () => this.#settle(),
			dispatch: (event, inbox) => this.#dispatch(event, inbox),
			raised: (where, error) => this.#raised(where, error),
			closedError: (inbox) => (inbox.topic === undefined || this.#life.closing
				? fail(E.CLOSED, 'the node is closed')
				: fail(E.CLOSED, `the topic "${inbox.topic}" was unsubscribed`)),
			needStart: (what) => this.#needStart(what),
		};
	}

	// --- life ---

	// Binds the listeners, so that addresses() knows them, and joins the network.
	async start() {
		this.#core.start();
		this.#life.started = true;
		return this.#isRef ? this.ref() : this;
	}

	// Says goodbye, for at most timeoutMs, and ends the node. Every call gives the same promise.
	close(options) {
		let drain;
		try {
			drain = checkMs(checkOptions(options).timeoutMs ?? CLOSE_MS, 'timeoutMs') ?? -1;
		} catch (error) {
			return Promise.reject(error);
		}
		if (this.#closed === undefined) {
			this.#closed = this.#close(drain);
		} else if (!this.#life.over) {
			this.#core.close(drain, false); // it can only become shorter
		}
		return this.#closed;
	}

	async #close(drain) {
		this.#life.closing = true;
		inUse.add(this);
		this.#publishers.endAll();
		const closed = this.#core.close(drain, false) || this.#life.over;
		if (!closed) {
			this.#core.ref(); // also after unref(): somebody waits for the end
		}
		await (closed ? null : new Promise((resolve) => {
			this.#onOver = resolve;
		}));
		this.#core.close(drain, true); // only joins
		while (!this.#life.over && this.#drainZero()) {
			// what was left
		}
		this.#life.over = true;
		this.#core.release();
		leaked.unregister(this.#life);
		this.#calls.endAll();
		for (const inbox of this.#inboxes.values()) {
			inbox.serve();
			inbox.look();
		}
		inUse.delete(this);
		this.#last = new Map(SNAPSHOT.map((what) => [what, this.#core.info(what)]));
		this.#reap();
		this.#emit('close');
	}

	// Gives the library's node up once it is closed and everything is read.
	#reap() {
		if (this.#last !== undefined &&
		    [...this.#inboxes.values()].every((inbox) => inbox.isDrained)) {
			this.#core.free();
		}
	}

	[Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
		return this.close();
	}

	// Whether a started node keeps the process alive: it does, until unref().
	ref() {
		this.#isRef = true;
		if (this.#life.started) {
			this.#core.ref();
		}
		return this;
	}

	unref() {
		this.#isRef = false;
		this.#core.unref();
		return this;
	}

	#needStart(what) {
		if (!this.#life.started) {
			throw fail(E.STATE, `${what}: the node has not been started`);
		}
	}

	#use() {
		if (!this.#life.over) {
			inUse.add(this);
		}
	}

	// Forgets that the node is in use when nothing waits for it any more.
	#settle() {
		this.#reap();
		if (this.#life.closing || this.#calls.size > 0 || this.#publishers.size > 0 ||
		    this.#handlers.size > 0 || this.eventNames().length > 0) {
			return;
		}
		for (const inbox of this.#inboxes.values()) {
			if (inbox.waiters.size > 0) {
				return;
			}
		}
		inUse.delete(this);
	}

	// --- listeners: all ways to add one come through these ---

	on(name, listener) {
		super.on(name, listener);
		return this.#onListener(name);
	}

	addListener(name, listener) {
		return this.on(name, listener);
	}

	prependListener(name, listener) {
		super.prependListener(name, listener);
		return this.#onListener(name);
	}

	#onListener(name) {
		this.#use();
		if (name === 'message') {
			this.#pump();
		}
		return this;
	}

	// --- what has happened ---

	#onWake() {
		const more = this.#drainZero();
		for (const inbox of this.#inboxes.values()) {
			if (inbox.waiters.size > 0) {
				inbox.serve();
			}
		}
		this.#publishers.retry();
		this.#pump();
		if (this.#life.over) {
			this.#onOver?.();
		} else if (more && !this.#again) {
			this.#again = true;
			setImmediate(() => {
				this.#again = false;
				this.#onWake();
			});
		}
		this.#settle();
	}

	// Takes one batch of inbox 0; whether there may be more.
	#drainZero() {
		if (this.#life.over) {
			return false;
		}
		const batch = poll(this.#core, 0);
		if (batch === undefined) {
			this.#life.over = true;
		}
		if (!batch) {
			return false;
		}
		while (!batch.ended) {
			const at = batch.next();
			if (batch.type(at) === record.MESSAGE) {
				this.#onDirect(new record.Message(batch, at));
			} else {
				this.#dispatch(record.readEvent(batch, at));
			}
		}
		return true;
	}

	#onDirect(message) {
		const handler = this.#handlers.get(message.protocol);
		if (handler === undefined) {
			const dropped = this.#default.putDirect(message);
			if (dropped > 0) {
				this.#onDropped(dropped, this.#default);
			}
			this.#default.serve();
			return;
		}
		try {
			handler(message)?.then?.(undefined, (error) => this.#raised('handler', error));
		} catch (error) {
			this.#raised('handler', error);
		}
	}

	#dispatch(event, inbox) {
		const { type, token } = event;
		if (type === record.COMPLETE || (type === record.PUBLISHED && token !== 0)) {
			this.#calls.onEvent(event);
		} else if (type === record.DROPPED) {
			this.#onDropped(event.count, inbox);
		} else if (type === record.PUBLISHED) {
			const error = record.eventError(event, addon.strerror);
			this.#emit('failed', Object.assign(error, { topic: event.topic, id: event.id }));
		} else if (type === record.PEER_UP || type === record.PEER_DOWN) {
			const { peer, address, text: reason } = event;
			this.#emit('peer', { peer, address, connected: type === record.PEER_UP, reason });
		} else if (type === record.LISTEN) {
			this.#emit('listening', { address: event.address });
		} else if (type === record.LOG) {
			const level = LOG_LEVELS[event.code] ?? 'debug';
			this.#emit('log', { level, text: event.text, time: new Date(event.time) });
		} else if (type === record.STATS) {
			this.#emit('stats', JSON.parse(event.text));
		}
	}

	// inbox: undefined for reports of inbox 0, which nobody reads.
	#onDropped(count, inbox) {
		if (inbox !== undefined) {
			inbox.dropped += count;
		}
		this.#emit('dropped', { count, topic: inbox?.topic });
	}

	// Emits the messages of the default inbox while somebody listens for them.
	#pump() {
		if (this.#pumping || this.listenerCount('message') === 0) {
			return;
		}
		this.#pumping = true;
		setImmediate(() => {
			this.#pumping = false;
			for (let i = 0; i < TURN; i++) {
				const message = this.listenerCount('message') > 0 ? this.#default.take() : undefined;
				if (message === undefined) {
					return;
				}
				this.#emit('message', message);
			}
			this.#pump();
		});
	}

	// A listener that throws is reported; the others, and what follows, are not affected.
	#emit(name, ...args) {
		try {
			this.emit(name, ...args);
		} catch (error) {
			this.#raised(name, error);
		}
	}

	// As 'error', or as a warning when nobody listens for that, or the listener itself has failed.
	#raised(where, error) {
		if (where !== 'error' && this.listenerCount('error') > 0) {
			try {
				this.emit('error', error);
				return;
			} catch (thrown) {
				error = thrown;
			}
		}
		process.emitWarning(`${where} of a Node threw: ${error?.stack ?? inspect(error)}`,
			{ type: 'KarakP2PWarning', code: 'KP2P_HANDLER' });
	}

	[Symbol.for('nodejs.rejection')](error, name) {
		this.#raised(String(name), error);
	}

	// --- requests ---

	// The events of an operation. Before start, when nothing can be told, none.
	async #request(op, arg, data = '', options, what) {
		const { signal, timeoutMs } = checkOptions(options);
		checkSignal(signal);
		const limit = checkMs(timeoutMs, 'timeoutMs');
		const bytes = data === '' ? NOTHING : Buffer.from(data);
		if (limit === 0) {
			throw fail(E.TIMEDOUT, `${what}: not finished within 0 ms`);
		}
		const start = (token) => this.#core.request(op, arg, bytes, limit ?? 0, token);
		if (!this.#life.started) {
			start(0);
			return [];
		}
		const events = this.#calls.run(start, signal, undefined, what);
		this.#use();
		return events;
	}

	// --- topics ---

	// Joins a topic. Its messages come with those of the topics given at the start; messages({topic})
	// gives it a reader of its own.
	async subscribe(topic, options) {
		const { validate, self } = checkOptions(options);
		checkString(topic, 'topic');
		checkBoolean(validate, 'validate');
		checkBoolean(self, 'self');
		const own = this.#topics.get(topic);
		if (own !== undefined) {
			own.validate = validate ?? own.validate;
			own.self = self ?? own.self;
		}
		await this.#route(own ?? { number: DEFAULT_INBOX, validate, self }, topic, options);
	}

	#route({ number, validate = false, self = false }, topic, options) {
		const text = `validate=${+validate} self=${+self} inbox=${number}`;
		return this.#request(OP_SUBSCRIBE, topic, text, options, `subscribe "${topic}"`);
	}

	// Leaves a topic, however it was joined. Messages not read yet are gone, its readers end.
	async unsubscribe(topic, options) {
		checkString(topic, 'topic');
		await this.#request(OP_UNSUBSCRIBE, topic, '', options, `unsubscribe "${topic}"`);
		const inbox = this.#topics.get(topic);
		if (inbox !== undefined) {
			this.#topics.delete(topic);
			inbox.forget();
			this.#inboxes.delete(inbox.number);
			this.#settle();
		}
	}

	#inboxFor(topic) {
		const known = this.#topics.get(topic);
		if (known !== undefined) {
			return known;
		}
		for (let number = DEFAULT_INBOX + 1; number < INBOXES; number++) {
			if (!this.#inboxes.has(number)) {
				const inbox = new Inbox(this.#host, this.#core, number, topic);
				this.#inboxes.set(number, inbox);
				this.#topics.set(topic, inbox);
				return inbox;
			}
		}
		throw fail(E.LIMIT, `messages: all ${INBOXES - 2} inboxes are in use`);
	}

	// A reader: of one topic, which is joined, or of those that have none of their own.
	messages(options) {
		const { topic, signal, copy, validate, self, codec, onInvalid } = checkOptions(options);
		checkSignal(signal);
		checkBoolean(copy, 'copy');
		checkBoolean(validate, 'validate');
		checkBoolean(self, 'self');
		checkCodec(codec);
		if (onInvalid !== undefined) {
			checkFunction(onInvalid, 'onInvalid');
		}
		if (topic === undefined) {
			if (codec !== undefined || validate !== undefined || self !== undefined) {
				throw fail(E.INVAL, 'messages: codec, validate and self belong to a topic');
			}
			return new Reader(this.#host, this.#default, Promise.resolve(), { signal, copy });
		}
		checkString(topic, 'topic');
		const ready = this.#readTopic(topic, { validate, self, codec, onInvalid });
		return new Reader(this.#host, this.#topics.get(topic), ready, { signal, copy });
	}

	// Gives the topic an inbox and these options; those that are undefined stay as they are.
	#readTopic(topic, { validate, self, codec, onInvalid }) {
		const isNew = !this.#topics.has(topic);
		if (this.#life.closing) {
			throw fail(E.CLOSED, 'messages: the node is closed');
		}
		const inbox = this.#inboxFor(topic);
		const changed = (validate !== undefined && validate !== inbox.validate) ||
			(self !== undefined && self !== inbox.self);
		inbox.codec = codec ?? inbox.codec;
		inbox.onInvalid = onInvalid ?? inbox.onInvalid;
		inbox.validate = validate ?? inbox.validate;
		inbox.self = self ?? inbox.self;
		if (!isNew && !changed) {
			return inbox.joined;
		}
		inbox.joined = this.#route(inbox, topic);
		inbox.joined.catch(() => {
			if (isNew && this.#topics.get(topic) === inbox) {
				this.#topics.delete(topic);
				this.#inboxes.delete(inbox.number);
			}
		});
		return inbox.joined;
	}

	[Symbol.asyncIterator]() {
		return this.messages();
	}

	// The next message of the topics without a reader of their own.
	recv(options) {
		return this.#reader.recv(options);
	}

	recvBatch(n, options) {
		return this.#reader.recvBatch(n, options);
	}

	// Messages of recv(), the iterator and 'message' that were lost because nobody took them in time.
	get dropped() {
		return this.#default.dropped;
	}

	// A typed topic; a name alone is one of JSON.
	topic(options) {
		return new Topic(this, options);
	}

	// --- sending ---

	// Resolves when the message is accepted, waiting for room; with confirm, when its fate is known,
	// with { id, peers }.
	async publish(topic, data, options) {
		const { signal, timeoutMs, confirm } = checkOptions(options);
		checkString(topic, 'topic');
		let bytes = bytesOf(data);
		checkSignal(signal);
		const limit = checkMs(timeoutMs, 'timeoutMs');
		const keep = () => {
			bytes = Buffer.from(bytes);
		};
		if (!checkBoolean(confirm, 'confirm')) {
			await this.#publishers.run(() => this.#core.publish(topic, bytes, 0), signal, limit, keep);
			return undefined;
		}
		this.#needStart('publish: confirm');
		const [event] = await this.#send((token) => this.#core.publish(topic, bytes, token), signal,
			limit, keep, 'publish');
		return { id: event.id, peers: event.count };
	}

	// Something that waits for room and then for its end: the events of its token.
	#send(attempt, signal, limit, keep, what) {
		const waits = new AbortController(); // an end of the call ends the wait for room as well
		const events = this.#calls.run(
			(token) => this.#publishers.run(() => attempt(token), waits.signal,
				limit === 0 ? 0 : undefined, keep),
			signal, limit, what, () => waits.abort());
		this.#use();
		return events;
	}

	// publish() without waiting: false when the queue is full, or others wait for room.
	tryPublish(topic, data) {
		checkString(topic, 'topic');
		const bytes = bytesOf(data);
		return this.#publishers.isFree && this.#core.publish(topic, bytes, 0);
	}

	// Publishes several messages in one go, in order; how many were accepted (all, unless the time
	// was over).
	async publishBatch(topic, messages, options) {
		const { signal, timeoutMs } = checkOptions(options);
		checkString(topic, 'topic');
		if (!Array.isArray(messages)) {
			throw typeError('messages', 'an array', messages);
		}
		const parts = messages.map((data) => bytesOf(data));
		checkSignal(signal);
		const limit = checkMs(timeoutMs, 'timeoutMs');
		const bytes = Buffer.concat(parts);
		const lengths = Uint32Array.from(parts, (part) => part.length);
		let done = 0;
		let at = 0;
		const attempt = () => {
			const n = this.#core.publishBatch(topic, bytes.subarray(at), lengths.subarray(done));
			for (let i = 0; i < n; i++) {
				at += lengths[done++];
			}
			return done === parts.length;
		};
		try {
			await this.#publishers.run(attempt, signal, limit, () => {});
		} catch (error) {
			if (done === 0 || error.code === 'ABORT_ERR') {
				throw error;
			}
		}
		return done;
	}

	// A direct message to one connected peer that handles the protocol; resolves when it was written.
	async send(peer, protocol, data, options) {
		const { signal, timeoutMs } = checkOptions(options);
		checkString(peer, 'peer');
		checkString(protocol, 'protocol');
		let bytes = bytesOf(data);
		checkSignal(signal);
		const limit = checkMs(timeoutMs, 'timeoutMs');
		this.#needStart('send');
		await this.#send((token) => this.#core.send(peer, protocol, bytes, token), signal, limit,
			() => {
				bytes = Buffer.from(bytes);
			}, 'send');
	}

	// Accepts direct messages of a protocol. They go to the handler, or with those of recv().
	async handle(protocol, handler) {
		checkString(protocol, 'protocol');
		if (handler !== undefined) {
			checkFunction(handler, 'handler');
		}
		const isNew = !this.#handlers.has(protocol);
		this.#handlers.set(protocol, handler);
		this.#use();
		if (!isNew) {
			return;
		}
		try {
			await this.#request(OP_ADD_PROTOCOL, protocol, '', undefined, `handle "${protocol}"`);
		} catch (error) {
			this.#handlers.delete(protocol);
			this.#settle();
			throw error;
		}
	}

	// The protocols of handle().
	get protocols() {
		return [...this.#handlers.keys()];
	}

	// --- peers ---

	// The round trip to a connected peer, in milliseconds.
	async ping(peer, options) {
		checkString(peer, 'peer');
		this.#needStart('ping');
		const events = await this.#request(OP_PING, peer, '', options, 'ping');
		return events.at(-1).count / 1000;
	}

	// Connects to a multiaddress or a peer id; the peer id.
	async connect(address, options) {
		checkString(address, 'address');
		this.#needStart('connect');
		return (await this.#request(OP_CONNECT, address, '', options, 'connect')).at(-1).peer;
	}

	async disconnect(peer, options) {
		checkString(peer, 'peer');
		this.#needStart('disconnect');
		await this.#request(OP_DISCONNECT, peer, '', options, 'disconnect');
	}

	// The addresses of a peer, looked up in the DHT.
	async findPeer(peer, options) {
		checkString(peer, 'peer');
		this.#needStart('findPeer');
		const events = await this.#request(OP_FIND_PEER, peer, '', options, 'findPeer');
		return events.map((event) => event.address).filter((address) => address !== undefined);
	}

	// --- a look at the node: each takes at most one turn of the library's thread ---

	get peerId() {
		return this.#peerId;
	}

	// Where others can reach this node, each with /p2p/PEERID: what `bootstrap` takes.
	addresses() {
		return this.#info('addresses');
	}

	peers() {
		return this.#info('peers');
	}

	topics() {
		return this.#info('topics');
	}

	// The peer ids of a topic's mesh.
	mesh(topic) {
		checkString(topic, 'topic');
		return this.peers().filter((peer) => peer.mesh.includes(topic)).map(({ peer }) => peer);
	}

	// All counters and gauges by name; after close, the last values.
	stats() {
		return this.#info('stats');
	}

	#info(what) {
		return JSON.parse(this.#last?.get(what) ?? this.#core.info(what));
	}

	[inspect.custom]() {
		const { started, closing } = this.#life;
		return `Node ${this.#peerId} ${closing ? 'closed' : started ? 'running' : 'new'}`;
	}
}

module.exports = { Node };
