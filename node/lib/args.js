'use strict';
// Arguments: wrong types are refused here, before anything reaches the library.

const { AbortError, E, fail, typeError } = require('./errors.js');

const MS_MAX = 2 ** 31 - 1; // the longest timer

function checkString(value, name) {
	if (typeof value !== 'string') {
		throw typeError(name, 'a string', value);
	}
}

function checkFunction(value, name) {
	if (typeof value !== 'function') {
		throw typeError(name, 'a function', value);
	}
}

// The options of a call: undefined is none.
function checkOptions(options) {
	if (options === undefined) {
		return {};
	}
	if (options === null || typeof options !== 'object') {
		throw typeError('options', 'an object', options);
	}
	return options;
}

// The AbortSignal of a call, undefined when there is none; throws when it has fired already.
function checkSignal(signal) {
	if (signal === undefined) {
		return undefined;
	}
	if (signal === null || typeof signal !== 'object' || typeof signal.aborted !== 'boolean' ||
	    typeof signal.addEventListener !== 'function') {
		throw typeError('signal', 'an AbortSignal', signal);
	}
	if (signal.aborted) {
		throw new AbortError(signal);
	}
	return signal;
}

// Milliseconds; undefined and Infinity are no limit: undefined.
function checkMs(value, name) {
	if (value === undefined || value === Infinity) {
		return undefined;
	}
	if (typeof value !== 'number') {
		throw typeError(name, 'a number of milliseconds', value);
	}
	if (!(value >= 0)) {
		throw fail(E.INVAL, `${name} ${value}: milliseconds, 0 or more`);
	}
	return Math.min(Math.ceil(value), MS_MAX);
}

function checkCount(value, name) {
	if (typeof value !== 'number') {
		throw typeError(name, 'a number', value);
	}
	if (!Number.isSafeInteger(value) || value < 1) {
		throw fail(E.INVAL, `${name} ${value}: an integer, 1 or more`);
	}
	return value;
}

function checkBoolean(value, name) {
	if (value !== undefined && typeof value !== 'boolean') {
		throw typeError(name, 'a boolean', value);
	}
	return value;
}

// Something with encode and decode, or undefined.
function checkCodec(codec) {
	if (codec === undefined) {
		return undefined;
	}
	if (codec === null || typeof codec !== 'object' || typeof codec.decode !== 'function') {
		throw typeError('codec', 'an object with encode and decode', codec);
	}
	return codec;
}

// A payload as bytes, without a copy where there are bytes.
function bytesOf(data) {
	if (typeof data === 'string') {
		return Buffer.from(data);
	}
	if (data instanceof Uint8Array) {
		return data;
	}
	if (ArrayBuffer.isView(data)) {
		return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
	}
	const tag = Object.prototype.toString.call(data);
	if (tag === '[object ArrayBuffer]' || tag === '[object SharedArrayBuffer]') {
		return new Uint8Array(data);
	}
	throw typeError('data', 'a string, a Buffer, a typed array or an ArrayBuffer', data);
}

module.exports = {
	MS_MAX, bytesOf, checkBoolean, checkCodec, checkCount, checkFunction, checkMs, checkOptions,
	checkSignal, checkString,
};
