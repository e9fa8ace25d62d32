'use strict';
// A queue whose entries can also leave from the middle: those who wait for a message or for room.

class Fifo {
	#head = null;
	#tail = null;
	size = 0;

	// Puts an entry, an object that is in no other queue, at the end.
	push(entry) {
		entry.fifo = this;
		entry.before = this.#tail;
		entry.after = null;
		if (this.#tail === null) {
			this.#head = entry;
		} else {
			this.#tail.after = entry;
		}
		this.#tail = entry;
		this.size++;
	}

	get first() {
		return this.#head;
	}

	// Takes an entry out; false when it was not in.
	remove(entry) {
		if (entry.fifo !== this) {
			return false;
		}
		if (entry.before === null) {
			this.#head = entry.after;
		} else {
			entry.before.after = entry.after;
		}
		if (entry.after === null) {
			this.#tail = entry.before;
		} else {
			entry.after.before = entry.before;
		}
		entry.fifo = entry.before = entry.after = null;
		this.size--;
		return true;
	}

	shift() {
		const entry = this.#head;
		if (entry !== null) {
			this.remove(entry);
		}
		return entry;
	}
}

module.exports = { Fifo };
