'use strict';
// What waits for an answer of the library: requests, direct messages and confirmed publishes, each
// with a token of its own. Every token gets exactly one final event.

const { AbortError, E, fail } = require('./errors.js');
const { eventError } = require('./record.js');

class Calls {
	#core;
	#strerror;
	#pending = new Map();
	#next = 1;

	constructor(core, strerror) {
		this.#core = core;
		this.#strerror = strerror;
	}

	get size() {
		return this.#pending.size;
	}

	// Starts something by start(token), which may return a promise, and resolves with its events.
	// `signal` and `limit` (milliseconds) end it early. onEnd is called at once when it has ended.
	run(start, signal, limit, what, onEnd) {
		return new Promise((resolve, reject) => {
			const token = this.#next++;
			let timer;
			const onAbort = () => call.end(new AbortError(signal), true);
			const call = {
				events: [],
				end: (error, cancel) => {
					if (!this.#pending.delete(token)) {
						return;
					}
					clearTimeout(timer);
					signal?.removeEventListener('abort', onAbort);
					onEnd?.();
					if (cancel) {
						this.#cancel(token);
					}
					if (error === undefined) {
						resolve(call.events);
					} else {
						reject(error);
					}
				},
			};
			this.#pending.set(token, call);
			signal?.addEventListener('abort', onAbort, { once: true });
			if (limit > 0) {
				timer = setTimeout(() => call.end(
					fail(E.TIMEDOUT, `${what}: not finished within ${limit} ms`), true), limit);
			}
			try {
				start(token)?.catch((error) => call.end(error));
			} catch (error) {
				call.end(error);
			}
		});
	}

	// Nobody waits for it any more: it may have ended meanwhile, or not have begun.
	#cancel(token) {
		try {
			this.#core.cancel(token);
		} catch (error) {
			if (error.errno !== E.NOTFOUND && error.errno !== E.CLOSED) {
				throw error;
			}
		}
	}

	// An event with a token.
	onEvent(event) {
		const call = this.#pending.get(event.token);
		if (call === undefined) {
			return;
		}
		if (event.code !== 0) {
			call.end(eventError(event, this.#strerror));
			return;
		}
		call.events.push(event);
		if (!event.more) {
			call.end();
		}
	}

	// The node is closed: no event follows.
	endAll() {
		for (const call of [...this.#pending.values()]) {
			call.end(fail(E.CLOSED, 'the node is closed'));
		}
	}
}

module.exports = { Calls };
