'use strict';
// The errors: one class, told apart by `code`, as Node's own.

const NAMES = {
	'-1': 'INTERNAL', '-2': 'INVAL', '-3': 'NOMEM', '-4': 'AGAIN', '-5': 'TIMEDOUT', '-6': 'INTR',
	'-7': 'CLOSED', '-8': 'CANCELED', '-9': 'FORKED', '-10': 'STATE', '-11': 'NOTFOUND',
	'-12': 'TOOBIG', '-13': 'DUPLICATE', '-14': 'NOPEERS', '-15': 'EXPIRED', '-16': 'UNREACHABLE',
	'-17': 'PROTO', '-18': 'ADDRINUSE', '-19': 'ACCES', '-20': 'LIMIT', '-21': 'NOTSUP',
	'-22': 'PEERID',
};
const E = Object.fromEntries(Object.entries(NAMES).map(([errno, name]) => [name, Number(errno)]));

// A call failed: `code` is ERR_KP2P_ and the C library's name without its E, `errno` its number.
class KarakP2PError extends Error {
	constructor(errno, message) {
		super(message);
		this.errno = errno;
		this.code = `ERR_KP2P_${NAMES[errno] ?? -errno}`;
	}
}
Object.defineProperty(KarakP2PError.prototype, 'name', {
	value: 'KarakP2PError', writable: true, configurable: true,
});

class AbortError extends Error {
	constructor(signal) {
		super('The operation was aborted', { cause: signal.reason });
		this.code = 'ABORT_ERR';
	}
}
Object.defineProperty(AbortError.prototype, 'name', {
	value: 'AbortError', writable: true, configurable: true,
});

const fail = (errno, message) => new KarakP2PError(errno, message);

// What Node throws for an argument of a wrong type.
function typeError(name, wanted, given) {
	const is = given === null ? 'null' : typeof given;
	const error = new TypeError(`${name} must be ${wanted}, not ${is}`);
	error.code = 'ERR_INVALID_ARG_TYPE';
	return error;
}

module.exports = { AbortError, E, KarakP2PError, NAMES, fail, typeError };
