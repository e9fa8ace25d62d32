'use strict';
// Those who wait for room in the library's send queue, in the order of their calls. Only the first
// tries when there may be room, so that none is overtaken.

const { AbortError, E, fail } = require('./errors.js');
const { Fifo } = require('./fifo.js');
const { TURN } = require('./inbox.js');

const DONE = Promise.resolve();

class Publishers {
	#waiting = new Fifo();
	#host;
	#unyielded = 0; // accepted at once since the event loop last ran
	#retrying = false;

	// host: { waiting(), settled(), needStart(what) }
	constructor(host) {
		this.#host = host;
	}

	get size() {
		return this.#waiting.size;
	}

	get isFree() {
		return this.#waiting.size === 0;
	}

	// Runs attempt(), which is true once it was accepted, now or when its turn has come. limit:
	// milliseconds, 0 to try only. keep() is called before it has to wait: the caller's bytes may
	// change from then on.
	run(attempt, signal, limit, keep) {
		const wasFree = this.isFree;
		if (wasFree && attempt()) {
			return this.#accepted();
		}
		if (limit === 0) {
			throw fail(E.AGAIN, 'publish: the send queue is full (outbox.max_messages, ' +
				'outbox.max_bytes)');
		}
		if (wasFree) {
			this.#host.needStart('publish: the send queue is full');
		}
		keep();
		return this.#wait(attempt, signal, limit);
	}

	// A loop that only publishes lets the event loop run now and then.
	#accepted() {
		if (++this.#unyielded < TURN) {
			return DONE;
		}
		this.#unyielded = 0;
		return new Promise((resolve) => setImmediate(resolve));
	}

	#wait(attempt, signal, limit) {
		return new Promise((resolve, reject) => {
			let timer;
			const settle = () => {
				clearTimeout(timer);
				signal?.removeEventListener('abort', onAbort);
			};
			const entry = {
				attempt,
				done: () => {
					settle();
					resolve();
				},
				fail: (error) => {
					settle();
					reject(error);
				},
			};
			const leave = (error) => {
				if (this.#waiting.remove(entry)) {
					entry.fail(error);
					this.#host.settled();
				}
			};
			const onAbort = () => leave(new AbortError(signal));
			this.#waiting.push(entry);
			this.#host.waiting();
			signal?.addEventListener('abort', onAbort, { once: true });
			if (limit !== undefined) {
				timer = setTimeout(() => leave(fail(E.TIMEDOUT, 'publish: no room in the send ' +
					`queue (outbox.max_messages, outbox.max_bytes) within ${limit} ms`)), limit);
			}
		});
	}

	// There may be room.
	retry() {
		for (let i = 0; i < TURN; i++) {
			const entry = this.#waiting.first;
			if (entry === null) {
				return;
			}
			try {
				if (!entry.attempt()) {
					return;
				}
				this.#waiting.shift();
				entry.done();
			} catch (error) {
				this.#waiting.remove(entry);
				entry.fail(error);
			}
		}
		if (!this.#retrying) {
			this.#retrying = true;
			setImmediate(() => {
				this.#retrying = false;
				this.retry();
			});
		}
	}

	// Nothing is accepted any more.
	endAll() {
		for (let entry; (entry = this.#waiting.shift()) !== null;) {
			entry.fail(fail(E.CLOSED, 'the node is closed'));
		}
	}
}

module.exports = { Publishers };
