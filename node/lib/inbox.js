'use strict';
// Inboxes: a numbered one of the library with the one batch that was taken from it and not handed
// out yet, and those who wait for its messages.

const { checkOptions, checkSignal, checkMs, checkCount } = require('./args.js');
const { AbortError, E, fail } = require('./errors.js');
const { Fifo } = require('./fifo.js');
const { Batch, MESSAGE, Message, VALIDATE, readEvent } = require('./record.js');

const TURN = 256; // messages, before the event loop has its turn
const SCRATCH = 128 * 1024; // about as many records of 400 bytes
const SCRATCH_KEPT = 1024 * 1024;
const DIRECT_MAX = 65536; // direct messages that may wait, as inbox.maxMessages
const DIRECT_BYTES_MAX = 64 * 1024 * 1024; // and inbox.maxBytes by default

let scratch = Buffer.alloc(SCRATCH);

const turn = () => new Promise((resolve) => setImmediate(resolve));

// Polls an inbox once: a Batch, null when nothing is at hand, undefined when the node is closed and
// all is read.
function poll(core, number) {
	let used = core.poll(number, scratch);
	if (used < -1) { // one record larger than the scratch
		const small = scratch;
		scratch = Buffer.alloc(-used);
		used = core.poll(number, scratch);
		const large = scratch;
		if (scratch.length > SCRATCH_KEPT) {
			scratch = small;
		}
		return used > 0 ? take(core, large, used) : null;
	}
	if (used <= 0) {
		return used === 0 ? null : undefined;
	}
	return take(core, scratch, used);
}

// Its own copy of what was polled, of the exact size, because messages keep it alive.
function take(core, from, used) {
	const bytes = Buffer.allocUnsafeSlow(used);
	from.copy(bytes, 0, 0, used);
	return new Batch(bytes, core);
}

class Inbox {
	#host;
	#core;
	#batch = null;
	#direct = []; // messages from one peer, which have no inbox of their own in the library
	#directAt = 0;
	#directBytes = 0;

	// host: { dispatch(event, inbox), raised(where, error) }
	constructor(host, core, number, topic) {
		this.#host = host;
		this.#core = core;
		this.number = number;
		this.topic = topic;
		this.validate = false;
		this.self = false;
		this.codec = undefined;
		this.onInvalid = undefined;
		this.dropped = 0;
		this.invalid = 0;
		this.over = false; // unsubscribed, or the node is closed: what is here is the last
		this.joined = undefined; // promise of the subscription
		this.waiters = new Fifo();
	}

	// The next message, undefined when none is at hand.
	take() {
		for (;;) {
			const batch = this.#batch;
			if (batch === null || batch.ended) {
				if (this.#directAt < this.#direct.length) {
					return this.#takeDirect();
				}
				if (!this.#fill()) {
					return undefined;
				}
				continue;
			}
			const at = batch.next();
			const type = batch.type(at);
			if (type !== MESSAGE && type !== VALIDATE) {
				this.#host.dispatch(readEvent(batch, at), this);
				continue;
			}
			const message = new Message(batch, at);
			if (this.codec === undefined || this.#decode(message)) {
				return message;
			}
		}
	}

	#fill() {
		this.#batch = null;
		if (this.over) {
			return false;
		}
		const batch = poll(this.#core, this.number);
		if (batch === undefined) {
			this.over = true;
			this.#host.settled();
		}
		this.#batch = batch ?? null;
		return this.#batch !== null;
	}

	#decode(message) {
		try {
			Message.decode(message, this.codec);
			return true;
		} catch (error) {
			this.invalid++;
			try {
				this.onInvalid?.(message, error);
			} catch (thrown) {
				this.#host.raised('onInvalid', thrown);
			}
			message.reject(); // nothing without validation, or after another verdict
			return false;
		}
	}

	#takeDirect() {
		const message = this.#direct[this.#directAt];
		this.#direct[this.#directAt++] = undefined;
		this.#directBytes -= message.data.length;
		if (this.#directAt >= 1024 && this.#directAt * 2 >= this.#direct.length) {
			this.#direct.splice(0, this.#directAt);
			this.#directAt = 0;
		}
		return message;
	}

	// A direct message that nobody handles: kept for the readers, within bounds. How many older
	// ones were dropped for it.
	putDirect(message) {
		const kept = message.copy();
		this.#direct.push(kept);
		this.#directBytes += kept.data.length;
		let dropped = 0;
		while (this.#direct.length - this.#directAt > DIRECT_MAX ||
		       this.#directBytes > DIRECT_BYTES_MAX) {
			this.#takeDirect();
			dropped++;
		}
		return dropped;
	}

	// Whether everything was read and nothing can follow.
	get isDrained() {
		return this.over && this.#batch === null && this.#directAt >= this.#direct.length;
	}

	// Looks whether anything is at hand, without handing it out.
	look() {
		if (this.#batch === null || this.#batch.ended) {
			this.#fill();
		}
	}

	// Hands messages to those who wait, in their order.
	serve() {
		while (this.waiters.size > 0) {
			const message = this.take();
			if (message === undefined) {
				break;
			}
			this.waiters.shift().give(message);
		}
		if (this.over) {
			this.end();
		}
	}

	// Nothing follows: ends all waits.
	end() {
		for (let waiter; (waiter = this.waiters.shift()) !== null;) {
			waiter.end();
		}
	}

	// The topic was left: empties the library's inbox, so that its number can be used again.
	forget() {
		while (!this.over && poll(this.#core, this.number)) {
			// dropped
		}
		this.#batch = null;
		this.over = true;
		this.end();
	}
}

// Reads an inbox: an async iterator, and recv. Several readers of one inbox compete.
class Reader {
	#inbox;
	#host;
	#signal;
	#copy;
	#done = false;
	#streak = 0; // messages handed out since the event loop last ran
	#waits = new Set(); // of next(), for return()
	#onAbort;
	#isReady = false;
	#aborted = false; // to be told by the next next()

	// host: { waiting(), settled(), closedError(inbox), needStart() }
	constructor(host, inbox, ready, { signal, copy } = {}) {
		this.#host = host;
		this.#inbox = inbox;
		this.#signal = signal;
		this.#copy = copy === true;
		this.ready = ready.then(() => {
			this.#isReady = true;
			return this;
		});
		this.ready.catch(() => {}); // next() tells it too
		if (signal !== undefined) {
			this.#onAbort = () => this.#abort();
			signal.addEventListener('abort', this.#onAbort, { once: true });
		}
	}

	get topic() {
		return this.#inbox.topic;
	}

	get dropped() {
		return this.#inbox.dropped;
	}

	get invalid() {
		return this.#inbox.invalid;
	}

	#take() {
		const message = this.#inbox.take();
		if (message === undefined) {
			return undefined;
		}
		this.#streak++;
		return this.#copy ? message.copy() : message;
	}

	// --- iteration ---

	next() {
		if (!this.#done && !this.#aborted && this.#streak < TURN) {
			try {
				const value = this.#take();
				if (value !== undefined) {
					return Promise.resolve({ value, done: false });
				}
			} catch (error) {
				return Promise.reject(error);
			}
		}
		return this.#next();
	}

	async #next() {
		if (this.#aborted && !this.#done) {
			this.#finish();
			throw new AbortError(this.#signal);
		}
		if (!this.#done && this.#streak >= TURN) {
			this.#streak = 0;
			await turn();
		}
		if (this.#done) {
			return { value: undefined, done: true };
		}
		const value = this.#take();
		if (value !== undefined) {
			return { value, done: false };
		}
		if (this.#inbox.over) {
			this.#finish();
			return { value: undefined, done: true };
		}
		return this.#wait();
	}

	#wait() {
		this.#streak = 0;
		return new Promise((resolve, reject) => {
			const waiter = {
				give: (message) => {
					this.#waits.delete(waiter);
					resolve({ value: this.#copy ? message.copy() : message, done: false });
				},
				end: () => {
					this.#finish();
					resolve({ value: undefined, done: true });
				},
				fail: reject,
			};
			this.#waits.add(waiter);
			this.#inbox.waiters.push(waiter);
			this.#host.waiting();
			this.#unlessReady((error) => {
				if (this.#inbox.waiters.remove(waiter)) {
					this.#finish();
					reject(error);
				}
			});
		});
	}

	// Calls failed(error) when the topic could not be subscribed.
	#unlessReady(failed) {
		if (!this.#isReady) {
			this.ready.catch(failed);
		}
	}

	// Ends this reader, and no other. Those of its next() that wait come to their end too.
	#finish() {
		this.#done = true;
		this.#signal?.removeEventListener('abort', this.#onAbort);
		const waits = [...this.#waits];
		this.#waits.clear();
		for (const waiter of waits) {
			if (this.#inbox.waiters.remove(waiter)) {
				waiter.end();
			}
		}
		this.#host.settled();
	}

	#abort() {
		const error = new AbortError(this.#signal);
		for (const waiter of this.#waits) {
			if (this.#inbox.waiters.remove(waiter)) {
				waiter.fail(error);
				this.#waits.clear();
				this.#finish();
				return;
			}
		}
		this.#aborted = true;
	}

	return(value) {
		this.#finish();
		return Promise.resolve({ value, done: true });
	}

	throw(error) {
		this.#finish();
		return Promise.reject(error);
	}

	[Symbol.asyncIterator]() {
		return this;
	}

	async [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
		this.#finish();
	}

	// --- one at a time, and in batches ---

	async recv(options) {
		const { signal, timeoutMs } = checkOptions(options);
		checkSignal(signal);
		const limit = checkMs(timeoutMs, 'timeoutMs');
		if (this.#streak >= TURN && limit !== 0) {
			this.#streak = 0;
			await turn();
		}
		const message = this.#take();
		if (message !== undefined) {
			return message;
		}
		if (this.#inbox.over) {
			throw this.#host.closedError(this.#inbox);
		}
		if (limit === 0) {
			throw fail(E.TIMEDOUT, 'recv: no message at hand');
		}
		this.#host.needStart('recv');
		return this.#recvWait(signal, limit);
	}

	#recvWait(signal, limit) {
		this.#streak = 0;
		return new Promise((resolve, reject) => {
			const inbox = this.#inbox;
			let timer;
			const settle = () => {
				clearTimeout(timer);
				signal?.removeEventListener('abort', onAbort);
			};
			const leave = (error) => {
				if (inbox.waiters.remove(waiter)) {
					settle();
					reject(error());
					this.#host.settled();
				}
			};
			const onAbort = () => leave(() => new AbortError(signal));
			const waiter = {
				give: (message) => {
					settle();
					resolve(this.#copy ? message.copy() : message);
				},
				end: () => {
					settle();
					reject(this.#host.closedError(inbox));
				},
			};
			inbox.waiters.push(waiter);
			this.#host.waiting();
			signal?.addEventListener('abort', onAbort, { once: true });
			this.#unlessReady((error) => leave(() => error));
			if (limit !== undefined) {
				timer = setTimeout(leave, limit,
					() => fail(E.TIMEDOUT, `recv: no message within ${limit} ms`));
			}
		});
	}

	// Up to n messages: waits as recv for the first only; none when no message came in time.
	async recvBatch(n = TURN, options) {
		checkCount(n, 'n');
		const batch = [];
		try {
			batch.push(await this.recv(options));
		} catch (error) {
			if (error.errno !== E.TIMEDOUT) {
				throw error;
			}
			return batch;
		}
		for (let message; batch.length < n && (message = this.#take()) !== undefined;) {
			batch.push(message);
		}
		return batch;
	}
}

module.exports = { Inbox, Reader, TURN, poll };
