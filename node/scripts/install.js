'use strict';
// The install script. From the npm package there is nothing to do where a shipped addon opens. A clone
// (npm install ./node) is linked, gets no dependencies by itself, and is built here.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

function opens() {
	try {
		require('../lib/load.js');
		return true;
	} catch {
		return false;
	}
}

const isClone = fs.existsSync(path.join(root, '..', 'abi', 'include', 'karakp2p.h'));
if (isClone || !opens()) {
	if (isClone && !fs.existsSync(path.join(root, 'node_modules', 'node-api-headers'))) {
		const npm = process.env.npm_execpath;
		const [command, ...args] = npm ? [process.execPath, npm] : ['npm'];
		execFileSync(command, [...args, 'install', '--ignore-scripts', '--no-save', '--no-audit',
			'--no-fund', '--prefix', root], { cwd: root, stdio: 'inherit' });
	}
	require('./build.js').main([]);
}
