'use strict';
// Packed records (kp2p_node_poll_packed) and what is made of them: messages, and events for the node
// itself. A message is a position in the buffer that its whole batch came in; its fields are decoded
// when they are asked for.

const { inspect } = require('node:util');

const { fail } = require('./errors.js');

// event types
const MESSAGE = 1;
const VALIDATE = 2;
const PUBLISHED = 3;
const PEER_UP = 4;
const PEER_DOWN = 5;
const LISTEN = 6;
const COMPLETE = 7;
const DROPPED = 8;
const LOG = 9;
const STATS = 10;

// byte fields, in the order of their lengths
const F_TOPIC = 0;
const F_PAYLOAD = 1;
const F_FROM = 2;
const F_VIA = 3;
const F_ID = 4;
const F_PROTOCOL = 5;
const F_ADDR = 6;
const F_TEXT = 9;

// 32-bit words of a record's head
const W_SIZE = 0;
const W_HEAD_TYPE = 1;
const W_FLAGS = 2;
const W_CODE = 3;
const W_TOKEN = 4;
const W_SEQ = 6;
const W_TIME = 8;
const W_COUNT = 10;
const W_LENGTHS = 12;

const FLAG_MORE = 1;
const FLAG_NO_SEQ = 2;

const ACCEPT = 0;
const REJECT = 1;
const IGNORE = 2;

// The records of one poll: bytes of its own, so that messages may keep them.
class Batch {
	constructor(bytes, core) {
		this.bytes = bytes;
		this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
		this.core = core;
		this.at = 0; // the next record
	}

	get ended() {
		return this.at >= this.bytes.length;
	}

	// Where the next record begins; moves on to the one behind it.
	next() {
		const at = this.at;
		this.at = at + this.words[at >> 2];
		return at;
	}

	type(at) {
		return this.words[(at >> 2) + W_HEAD_TYPE] >>> 16;
	}

	flags(at) {
		return this.words[(at >> 2) + W_FLAGS] & 0xffff;
	}

	// A 64-bit word: exact below 2^53.
	number(at, word) {
		const i = (at >> 2) + word;
		return (this.words[i] >>> 0) + this.words[i + 1] * 2 ** 32;
	}

	bigint(at, word) {
		const i = (at >> 2) + word;
		return (BigInt(this.words[i + 1]) << 32n) | BigInt(this.words[i] >>> 0);
	}

	// The bytes of a field, undefined when it is missing.
	field(at, field) {
		const i = at >> 2;
		const length = this.words[i + W_LENGTHS + field];
		if (length < 0) {
			return undefined;
		}
		let start = at + (this.words[i + W_HEAD_TYPE] & 0xffff);
		for (let f = 0; f < field; f++) {
			start += Math.max(this.words[i + W_LENGTHS + f], 0);
		}
		return this.bytes.subarray(start, start + length);
	}

	text(at, field) {
		return this.field(at, field)?.utf8Slice();
	}

	// The same record in a batch of its own.
	copy(at) {
		const size = this.words[at >> 2];
		const bytes = Buffer.allocUnsafeSlow(size);
		this.bytes.copy(bytes, 0, at, at + size);
		return new Batch(bytes, this.core);
	}
}

// One message of a topic, or from one peer to this one (`protocol`).
class Message {
	#batch;
	#at;
	#data;
	#value;

	constructor(batch, at) {
		this.#batch = batch;
		this.#at = at;
	}

	get topic() {
		return this.#batch.text(this.#at, F_TOPIC);
	}

	get data() {
		return (this.#data ??= this.#batch.field(this.#at, F_PAYLOAD) ?? Buffer.alloc(0));
	}

	get source() {
		return this.#batch.text(this.#at, F_FROM);
	}

	get via() {
		return this.#batch.text(this.#at, F_VIA);
	}

	get id() {
		return this.#batch.field(this.#at, F_ID);
	}

	get protocol() {
		return this.#batch.text(this.#at, F_PROTOCOL);
	}

	get seqno() {
		const missing = this.#batch.flags(this.#at) & FLAG_NO_SEQ;
		return missing ? undefined : BigInt.asUintN(64, this.#batch.bigint(this.#at, W_SEQ));
	}

	get time() {
		return new Date(this.#batch.number(this.#at, W_TIME) / 1e6);
	}

	get token() {
		return this.#batch.number(this.#at, W_TOKEN);
	}

	get value() {
		return this.#value;
	}

	// Decodes the payload into `value`; what the codec throws is thrown.
	static decode(message, codec) {
		message.#value = codec.decode(message.data);
	}

	text() {
		return this.data.utf8Slice();
	}

	json() {
		return JSON.parse(this.text());
	}

	copy() {
		const made = new Message(this.#batch.copy(this.#at), 0);
		made.#value = this.#value;
		return made;
	}

	accept() {
		return this.#verdict(ACCEPT);
	}

	reject() {
		return this.#verdict(REJECT);
	}

	ignore() {
		return this.#verdict(IGNORE);
	}

	#verdict(verdict) {
		const token = this.token;
		return token !== 0 && this.#batch.core.verdict(token, verdict);
	}

	toJSON() {
		const { topic, protocol, source, via, data } = this;
		return { topic, protocol, source, via, data: data.toString('base64') };
	}

	[inspect.custom](depth, options) {
		const { topic, protocol, source, data } = this;
		return `Message ${inspect({ topic, protocol, source, data }, options)}`;
	}
}

// An event that is no message, as a plain object.
function readEvent(batch, at) {
	return {
		type: batch.type(at),
		more: (batch.flags(at) & FLAG_MORE) !== 0,
		code: batch.words[(at >> 2) + W_CODE],
		token: batch.number(at, W_TOKEN),
		count: batch.number(at, W_COUNT),
		topic: batch.text(at, F_TOPIC),
		peer: batch.text(at, F_FROM),
		address: batch.text(at, F_ADDR),
		text: batch.text(at, F_TEXT),
		id: batch.field(at, F_ID),
		time: batch.number(at, W_TIME) / 1e6,
	};
}

// The error that a COMPLETE or PUBLISHED event tells of.
function eventError(event, strerror) {
	let text = event.text || strerror(event.code);
	if (event.topic !== undefined && !text.includes(event.topic)) {
		text = `publish to "${event.topic}": ${text}`;
	}
	return fail(event.code, text);
}

module.exports = {
	Batch, COMPLETE, DROPPED, LISTEN, LOG, MESSAGE, Message, PEER_DOWN, PEER_UP, PUBLISHED, STATS,
	VALIDATE, W_SIZE, eventError, readEvent,
};
