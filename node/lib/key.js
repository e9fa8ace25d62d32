'use strict';
// Keys and peer ids.

const { inspect } = require('node:util');

const addon = require('./load.js');
const { checkString } = require('./args.js');

const ED25519 = 1;

// A node's private key: what the option `identity` takes, and what gives it a fixed peer id. The text
// is that of a key file of the karakp2p command; inspecting or printing a Key does not show it.
class Key {
	#text;

	constructor(text) {
		checkString(text, 'key');
		this.#text = text.trim();
		Object.defineProperty(this, 'peerId', {
			value: addon.keyPeerId(this.#text), enumerable: true,
		});
	}

	static generate() {
		return new Key(addon.keyGenerate(ED25519));
	}

	// The text, to be kept in a secret place.
	export() {
		return this.#text;
	}

	[inspect.custom]() {
		return `Key of ${this.peerId}`;
	}
}

// A peer id in base58, given in base58 or as a CIDv1.
function peerId(text) {
	checkString(text, 'peer id');
	return addon.peerIdParse(text);
}

module.exports = { Key, peerId };
