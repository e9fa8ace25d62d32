'use strict';
// What `npm pack` ships besides the files of this folder: the bundled addon, the core as one source
// file, the licences. --clean takes them away again.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const repository = path.join(root, '..');
const core = path.join(root, 'core');
const licences = ['LICENSE', 'LICENSE-APACHE', 'LICENSE-MIT']
	.filter((name) => fs.existsSync(path.join(repository, name)));

function clean() {
	fs.rmSync(core, { recursive: true, force: true });
	fs.rmSync(path.join(root, 'prebuilds'), { recursive: true, force: true });
	for (const name of licences) {
		fs.rmSync(path.join(root, name), { force: true });
	}
}

if (process.argv.includes('--clean')) {
	clean();
} else {
	require('./build.js').main(['--bundled']);
	fs.mkdirSync(core, { recursive: true });
	execFileSync(path.join(repository, 'scripts', 'amalgamate'), [core], { stdio: 'inherit' });
	for (const name of licences) {
		fs.copyFileSync(path.join(repository, name), path.join(root, name));
	}
}
