'use strict';
// Options of a node, as the C library takes them: keys and texts.

const { checkOptions, checkString } = require('./args.js');
const { KEYS } = require('./config.js');
const { E, fail, typeError } = require('./errors.js');
const { Key } = require('./key.js');

// One value of a key.
function textOf(name, kind, value) {
	switch (typeof value) {
	case 'string':
		return value;
	case 'boolean':
	case 'bigint':
		return String(value);
	case 'number':
		if (kind !== 'duration') {
			return String(value);
		}
		if (!(value >= 0 && value < Infinity)) {
			throw fail(E.INVAL, `${name}: ${value} is not a time in milliseconds`);
		}
		return `${Math.round(value)}ms`;
	default:
		if (value instanceof Key) {
			return value.export();
		}
		throw typeError(name, 'a string, number, boolean, or an array of them', value);
	}
}

function textsOf(name, kind, value) {
	if (!Array.isArray(value)) {
		return [textOf(name, kind, value)];
	}
	const texts = value.map((one) => textOf(name, kind, one));
	return kind === 'set' ? [texts.join(',')] : texts;
}

// 'peer' events come always, so `events` names them.
function withPeers(pairs) {
	const given = pairs.find(([key]) => key === 'events');
	if (given === undefined) {
		pairs.push(['events', 'peers']);
	} else if (!given[1].split(',').includes('peers')) {
		given[1] = given[1] === '' ? 'peers' : `${given[1]},peers`;
	}
	return pairs;
}

// { pairs: keys and texts, topics }: the topics are subscribed apart, to have them in an inbox.
function readOptions(options) {
	const pairs = [];
	const topics = [];
	for (const [name, value] of Object.entries(checkOptions(options))) {
		if (value === undefined || value === null) {
			continue;
		}
		if (name === 'topic') {
			for (const topic of Array.isArray(value) ? value : [value]) {
				checkString(topic, 'topic');
				topics.push(topic);
			}
			continue;
		}
		const [key, kind] = KEYS.get(name) ?? [name, 'text'];
		for (const text of textsOf(name, kind, value)) {
			pairs.push([key, text]);
		}
	}
	return { pairs: withPeers(pairs), topics };
}

module.exports = { readOptions };
