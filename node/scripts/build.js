'use strict';
// Builds the addon: `npm run build`.
//
// thin      build/Release/karakp2p.node and libkarakp2p.so.1, against the system's libraries
// --bundled prebuilds/PLATFORM/karakp2p.glibc.node, with everything inside (scripts/bundle-deps of
//           the repository makes the static libraries)
// --asan    build/asan: the thin one under AddressSanitizer and UBSan (run_tests.sh --asan)

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const repository = path.join(root, '..');

function has(command) {
	return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

function run(command, ...args) {
	execFileSync(command, args, { cwd: root, stdio: 'inherit' });
}

// The folder of node_api.h: of node-api-headers, else of this Node.
function headers() {
	const folders = [];
	try {
		folders.push(require('node-api-headers').include_dir);
	} catch {
		// not installed
	}
	const prefix = path.join(path.dirname(process.execPath), '..');
	folders.push(path.join(prefix, 'include', 'node'));
	const found = folders.find((folder) => fs.existsSync(path.join(folder, 'node_api.h')));
	if (found === undefined) {
		throw new Error('no node_api.h: run npm install --ignore-scripts in ' + root);
	}
	return found;
}

function build(folder, options) {
	if (!has('cmake')) {
		throw new Error('building karakp2p needs cmake, a C compiler, and libuv, c-ares and OpenSSL ' +
			'with their headers (Debian: scripts/deps build)');
	}
	const compiler = has('ccache') ? ['-DCMAKE_C_COMPILER_LAUNCHER=ccache'] : [];
	const generator = has('ninja') ? ['-G', 'Ninja'] : [];
	run('cmake', '-S', '.', '-B', folder, ...generator, ...compiler,
		`-DNODE_API_INCLUDE=${headers()}`, ...options);
	run('cmake', '--build', folder, '--target', 'addon', '--parallel');
}

function buildBundled() {
	const prefix = execFileSync(path.join(repository, 'scripts', 'bundle-deps'),
		{ encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
	build('build/bundled', ['-DKP2P_BUNDLED=ON', `-DKP2P_DEPS_PREFIX=${prefix}`]);
	const folder = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
	fs.mkdirSync(folder, { recursive: true });
	const file = path.join(folder, 'karakp2p.glibc.node');
	fs.copyFileSync(path.join(root, 'build', 'bundled', 'karakp2p.node'), file);
	run('strip', '--strip-unneeded', file);
}

function main(args) {
	if (args.includes('--bundled')) {
		buildBundled();
	} else if (args.includes('--asan')) {
		build('build/asan', ['-DKP2P_SANITIZE=address,undefined']);
	} else {
		build('build/Release', []);
	}
}

module.exports = { main };
if (require.main === module) {
	main(process.argv.slice(2));
}
