'use strict';
// Finds and opens the addon: what an installation built here, else what the package ships for this
// platform. Bundlers move this file, and Electron packs it into an archive that nothing can be
// opened from: then the package is looked for from the program's own place.

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const BUILD = 'npm run build --prefix';

// Folders that may be this package's, the nearest first.
function roots() {
	const found = [];
	if (typeof __dirname === 'string') {
		found.push(path.join(__dirname, '..'), __dirname);
	}
	for (const from of [process.argv[1], path.join(process.cwd(), 'x')]) {
		try {
			found.push(path.dirname(createRequire(from).resolve('karakp2p/package.json')));
		} catch {
			// not from there
		}
	}
	if (process.resourcesPath) {
		found.push(path.join(process.resourcesPath, 'app.asar.unpacked', 'node_modules', 'karakp2p'));
	}
	return found.map((root) => root.replace(/\.asar(?=[\\/]|$)/, '.asar.unpacked'));
}

function candidates() {
	const given = process.env.KARAKP2P_ADDON;
	const found = given ? [path.resolve(given)] : [];
	for (const root of roots()) {
		const shipped = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
		found.push(path.join(root, 'build', 'Release', 'karakp2p.node'),
			path.join(shipped, 'karakp2p.glibc.node'), path.join(shipped, 'karakp2p.musl.node'));
	}
	return [...new Set(found)];
}

function load() {
	const tried = [];
	for (const file of candidates()) {
		if (!fs.existsSync(file)) {
			tried.push(`${file}: not there`);
			continue;
		}
		try {
			return createRequire(file)(file); // so that no bundler follows it
		} catch (error) {
			tried.push(`${file}: ${error.message}`);
		}
	}
	const root = typeof __dirname === 'string' ? path.join(__dirname, '..') : '.';
	const error = new Error(`karakp2p has no addon for ${process.platform}-${process.arch} that ` +
		`opens. Build it: ${BUILD} ${root}\nTried:\n  ${tried.join('\n  ')}`);
	error.code = 'ERR_KP2P_NO_ADDON';
	throw error;
}

const addon = load();
module.exports = addon;
