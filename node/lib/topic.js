'use strict';
// Typed topics: a name with a codec.

const { checkCodec, checkFunction, checkOptions, checkString } = require('./args.js');
const { typeError } = require('./errors.js');

const utf8 = new TextDecoder('utf-8', { fatal: true });

// Values as JSON in UTF-8.
const json = Object.freeze({
	encode(value) {
		const text = JSON.stringify(value);
		if (text === undefined) {
			throw typeError('value', 'something that JSON can say', value);
		}
		return Buffer.from(text);
	},
	decode(data) {
		return JSON.parse(utf8.decode(data));
	},
});

class Topic {
	#node;
	#codec;
	#onInvalid;

	constructor(node, options) {
		const given = typeof options === 'string' ? { name: options, ...json } : checkOptions(options);
		checkString(given.name, 'name');
		checkCodec(given);
		checkFunction(given.encode, 'encode');
		if (given.onInvalid !== undefined) {
			checkFunction(given.onInvalid, 'onInvalid');
		}
		this.#node = node;
		this.#codec = { encode: given.encode, decode: given.decode };
		this.#onInvalid = given.onInvalid;
		Object.defineProperty(this, 'name', { value: given.name, enumerable: true });
	}

	// Encodes the value, then as node.publish.
	async publish(value, options) {
		return this.#node.publish(this.name, this.#codec.encode(value), options);
	}

	tryPublish(value) {
		return this.#node.tryPublish(this.name, this.#codec.encode(value));
	}

	// As node.messages of this topic: message.value is the decoded value.
	messages(options) {
		return this.#node.messages({
			...checkOptions(options), topic: this.name, codec: this.#codec,
			onInvalid: this.#onInvalid,
		});
	}
}

module.exports = { Topic, json };
