// The package: its names, types, table of keys, symbols; packed and installed in the ways there are;
// under other versions of Node.js, Bun, Deno and a bundler.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import karakp2p from '../index.mjs';
import { LISTEN, PACKAGE, REPOSITORY, run } from './kit.mjs';

const require = createRequire(import.meta.url);
const TOOLS = process.env.KP2P_NODE_TOOLS ?? path.join(PACKAGE, 'node_modules');
const tool = (...names) => path.join(TOOLS, ...names);
const without = (name) => (fs.existsSync(tool(name)) ? false : `no ${name}: node/run_tests.sh gets it`);

async function ok(command, args, options) {
	const result = await run(command, args, { timeout: 400000, ...options });
	assert.equal(result.code, 0, `${command} ${args.join(' ')}\n${result.out}${result.err}`);
	return result.out;
}

function folder(t) {
	const made = fs.mkdtempSync(path.join(os.tmpdir(), 'karakp2p-'));
	t.after(() => fs.rmSync(made, { recursive: true, force: true }));
	return made;
}

// A program that anybody could write: two nodes, one message, one handshake.
const PROGRAM = `
const [a, b] = [await Node.create({ listen: '${LISTEN}', topic: 't', kadMode: 'off' }),
	await Node.create({ kadMode: 'off' })];
await b.connect(a.addresses()[0]);
await b.publish('t', 'hello');
for await (const m of a) {
	console.log(m.text(), version);
	break;
}
if (!(await a.ping(b.peerId) > 0)) throw new Error('ping');
await b.close();
await a.close();
`;
const ESM = `import { Node, version } from 'karakp2p';${PROGRAM}`;
const CJS = `const { Node, version } = require('karakp2p'); (async () => {${PROGRAM}})();`;

test('configuration is that of the library', async () => {
	await ok('python3', [path.join(PACKAGE, 'tools', 'gen_config.py'), '--check']);
	const { KEYS } = require('../lib/config.js');
	const keys = [...KEYS.values()].map(([key]) => key);
	assert.equal(new Set(keys).size, keys.length);
	for (const [option, [key]] of KEYS) {
		assert.equal(option, key.replace(/[._](\w)/g, (_, letter) => letter.toUpperCase()));
	}
	const addon = require('../lib/load.js');
	const known = Object.keys(JSON.parse(new addon.Core([], () => {}).info('config')));
	assert.deepEqual(keys.sort(), known.sort());
	assert.equal(new Set(keys.map((key) => key.replace(/[._]/g, '').toLowerCase())).size, keys.length);
});

test('everything is declared, and what is declared is there', () => {
	const types = fs.readFileSync(path.join(PACKAGE, 'index.d.ts'), 'utf8');
	for (const name of Object.keys(karakp2p)) {
		assert.match(types, new RegExp(`export (class|const|function) ${name}\\b`));
	}
	const declared = (name) => {
		const [, body] = new RegExp(`export class ${name}\\b[^{]*{\n([^]*?)\n}`).exec(types);
		return new Set([...body.matchAll(/^\t(?:static |readonly |private )*(\w+)[<(:?]/gm)]
			.map(([, member]) => member));
	};
	for (const name of ['Node', 'Message', 'Topic', 'Key']) {
		const { prototype } = karakp2p[name];
		const members = Object.getOwnPropertyNames(prototype)
			.filter((member) => !/^(addListener|prependListener)$/.test(member));
		for (const member of members) {
			assert.ok(declared(name).has(member), `${name}.${member} is not declared`);
		}
		for (const member of declared(name)) {
			assert.ok(member in prototype || member in karakp2p[name] ||
				['name', 'peerId'].includes(member), `${name}.${member} is not there`);
		}
	}
});

test('types', { skip: without('typescript') }, async (t) => {
	const dir = folder(t);
	const modules = path.join(dir, 'node_modules');
	fs.mkdirSync(modules);
	fs.symlinkSync(PACKAGE, path.join(modules, 'karakp2p'));
	fs.symlinkSync(tool('@types'), path.join(modules, '@types'));
	fs.symlinkSync(tool('undici-types'), path.join(modules, 'undici-types'));
	for (const name of ['types.mts', 'types.cts']) {
		fs.copyFileSync(path.join(PACKAGE, 'tests', 'types.ts'), path.join(dir, name));
	}
	fs.copyFileSync(path.join(REPOSITORY, 'examples/node/service.mjs'), path.join(dir, 'service.mjs'));
	const readme = fs.readFileSync(path.join(PACKAGE, 'README.md'), 'utf8');
	const blocks = [...readme.matchAll(/```js\n([^]*?)```/g)].map(([, code]) => code);
	assert.ok(blocks.length >= 2);
	blocks.forEach((code, i) => fs.writeFileSync(path.join(dir, `readme${i}.mjs`),
		code.includes('import ') ? code : `import { Node, json } from 'karakp2p';
			const node = await Node.create(); ${code}`));
	await ok(process.execPath, [tool('typescript', 'bin', 'tsc'), '--strict', '--noEmit', '--module',
		'nodenext', '--target', 'es2022', '--lib', 'es2023,esnext.disposable', '--types', 'node',
		'--preserveSymlinks', '--allowJs', '--checkJs', 'types.mts', 'types.cts', 'service.mjs',
		...blocks.map((_, i) => `readme${i}.mjs`)], { cwd: dir });
});

test('the addon exports its two names alone', async () => {
	const file = process.env.KARAKP2P_ADDON ?? path.join(PACKAGE, 'build/Release/karakp2p.node');
	const out = await ok('nm', ['-D', '--defined-only', file]);
	assert.deepEqual(out.trim().split('\n').map((line) => line.split(' ').at(-1)).sort(),
		['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
});

test('the readme\'s first program', async (t) => {
	const readme = fs.readFileSync(path.join(PACKAGE, 'README.md'), 'utf8');
	const [, code] = /<!-- test: first-program.mjs -->\n```js\n([^]*?)```/.exec(readme);
	const dir = folder(t);
	fs.mkdirSync(path.join(dir, 'node_modules'));
	fs.symlinkSync(PACKAGE, path.join(dir, 'node_modules', 'karakp2p'));
	const file = path.join(dir, 'first-program.mjs');
	fs.writeFileSync(file, code);
	fs.writeFileSync(path.join(dir, 'second.mjs'), code.replace('hello', 'howdy'));
	let second;
	const heard = [];
	const first = run(process.execPath, [file], {
		timeout: 30000,
		onLine(line, child) {
			const address = /listening on (\S+)/.exec(line)?.[1];
			if (address !== undefined) {
				second ??= run(process.execPath, [path.join(dir, 'second.mjs'), address], {
					timeout: 30000,
					onLine(said, other) {
						if (said.endsWith('says hello')) {
							heard.push(said);
							other.kill('SIGINT');
						}
					},
				});
			}
			if (line.endsWith('says howdy')) {
				heard.push(line);
				child.kill('SIGINT');
			}
		},
	});
	const { code: status, err } = await first;
	assert.equal(status, 0, err);
	assert.equal((await second).code, 0);
	assert.equal(heard.length, 2);
});

test('the example service: three instances agree', async (t) => {
	const dir = folder(t);
	fs.mkdirSync(path.join(dir, 'node_modules'));
	fs.symlinkSync(PACKAGE, path.join(dir, 'node_modules', 'karakp2p'));
	const file = path.join(dir, 'service.mjs');
	fs.copyFileSync(path.join(REPOSITORY, 'examples/node/service.mjs'), file);
	const start = (...args) => {
		const made = { lines: [], child: undefined };
		made.ended = run(process.execPath, [file, '--listen', LISTEN, ...args], {
			stdio: ['pipe', 'pipe', 'pipe'], timeout: 60000,
			onLine(line, child) {
				made.child = child;
				made.lines.push(line);
				made.changed?.();
			},
		});
		made.expect = async (begin) => {
			for (;;) {
				const found = made.lines.find((line) => line.startsWith(begin));
				if (found !== undefined) {
					return found;
				}
				await new Promise((resolve) => {
					made.changed = resolve;
				});
			}
		};
		return made;
	};
	const first = start('--key', path.join(dir, 'key'));
	const address = (await first.expect('listening on')).split(' ').at(-1);
	const second = start('--bootstrap', address);
	await second.expect('listening on');
	first.child.stdin.write('colour=blue\n');
	await second.expect('colour = blue');
	second.child.stdin.write('colour=red\npeers\ncolour\n');
	await first.expect('colour = red');
	await second.expect('red');
	const third = start('--bootstrap', address);
	await third.expect('colour = red'); // from the snapshot
	first.child.kill('SIGINT');
	second.child.kill('SIGTERM');
	third.child.stdin.end();
	for (const one of [first, second, third]) {
		const { code, err } = await one.ended;
		assert.equal(code, 0, err);
		assert.doesNotMatch(err, /^ +at /m); // no stack
	}
	assert.equal(fs.statSync(path.join(dir, 'key')).mode & 0o777, 0o600);
});

test('without an addon, require says how to build it', async (t) => {
	const dir = folder(t);
	for (const name of ['index.js', 'lib', 'package.json']) {
		fs.cpSync(path.join(PACKAGE, name), path.join(dir, name), { recursive: true });
	}
	const result = await run(process.execPath, ['-e', 'require("./index.js")'], { cwd: dir });
	assert.equal(result.code, 1);
	assert.match(result.err, /ERR_KP2P_NO_ADDON/);
	assert.match(result.err, new RegExp(`Build it: npm run build --prefix .*${path.basename(dir)}`));
	assert.match(result.err, /Tried:\n.*build\/Release\/karakp2p.node: not there/);
});

test('installed from a clone: npm install ./node', async (t) => {
	const dir = folder(t);
	fs.writeFileSync(path.join(dir, 'package.json'), '{ "private": true }');
	await ok('npm', ['install', '--no-audit', '--no-fund', PACKAGE], { cwd: dir });
	const out = await ok(process.execPath, ['--input-type=module', '-e', ESM], { cwd: dir });
	assert.match(out, /^hello \S+ libuv/);
	assert.match(await ok(process.execPath, ['-e', CJS], { cwd: dir }), /^hello/);
});

// --- the package as npm ships it --------------------------------------------------------------------

test('packed', { timeout: 600000 }, async (t) => {
	const dir = folder(t);
	const env = { ...process.env, NODE_PATH: TOOLS };
	await ok('npm', ['pack', '--pack-destination', dir], { cwd: PACKAGE, env });
	const [tarball] = fs.readdirSync(dir);
	const app = path.join(dir, 'app');
	fs.mkdirSync(app);
	fs.writeFileSync(path.join(app, 'package.json'), '{ "private": true }');
	await ok('npm', ['install', '--ignore-scripts', '--offline', '--no-audit', '--no-fund',
		path.join(dir, tarball)], { cwd: app });
	const installed = path.join(app, 'node_modules', 'karakp2p');
	const addon = path.join(installed, 'prebuilds', `linux-${process.arch}`, 'karakp2p.glibc.node');
	fs.writeFileSync(path.join(app, 'program.mjs'), ESM);

	await t.test('loads without scripts, with everything inside', async () => {
		assert.ok(!fs.existsSync(path.join(installed, 'build')));
		const out = await ok(process.execPath, ['program.mjs'], { cwd: app });
		assert.match(out, /^hello \S+ libuv\/\S+ openssl\/\S+ .*bundled/);
		assert.match(await ok(process.execPath, ['-e', CJS], { cwd: app }), /^hello/);
		const needed = await ok('readelf', ['-d', addon]);
		for (const [, name] of needed.matchAll(/NEEDED.*\[(.*)\]/g)) {
			assert.match(name, /^(libc\.so|libm\.so|libdl|libpthread|ld-linux)/);
		}
		const symbols = await ok('nm', ['-D', '--defined-only', addon]);
		assert.equal(symbols.trim().split('\n').length, 2);
		const wanted = await ok('nm', ['-D', '--undefined-only', addon]);
		assert.doesNotMatch(wanted, / (uv_|ares_|EVP_|OPENSSL_|CRYPTO_|sodium_|crypto_)/);
	});

	for (const version of ['18', '22', '24']) {
		await t.test(`Node.js ${version}`, { skip: without(`node${version}`) }, async () => {
			const node = tool(`node${version}`, 'bin', 'node');
			assert.match(await ok(node, ['--version'], {}), new RegExp(`^v${version}\\.`));
			const out = await ok(node, ['program.mjs'], { cwd: app });
			const own = JSON.parse(await ok(node, ['-p', 'JSON.stringify(process.versions)'], {}));
			assert.match(out, /^hello/);
			const [, uv, openssl] = /libuv\/(\S+) openssl\/(\S+)/.exec(out);
			assert.notEqual(`${uv} ${openssl}`, `${own.uv} ${own.openssl}`);
			await ok(node, ['-e', CJS], { cwd: app });
		});
	}

	const trials = async (command, ...args) => {
		fs.copyFileSync(path.join(PACKAGE, 'tests/runtimes.mjs'), path.join(app, 'runtimes.mjs'));
		for (const what of ['close', 'unref', 'exit', 'traffic', 'workers']) {
			const out = await ok(command, [...args, 'runtimes.mjs', what], { cwd: app, timeout: 60000 });
			assert.match(out, new RegExp(`^${what}$`, 'm'));
		}
	};
	await t.test('this Node.js', () => trials(process.execPath));

	await t.test('Bun', { skip: without('bun') }, async () => {
		const bun = fs.readdirSync(tool('@oven')).map((name) => tool('@oven', name, 'bin', 'bun'))
			.find((file) => fs.existsSync(file) && !file.includes('musl'));
		await trials(bun);
	});

	await t.test('Deno', { skip: without('deno') }, async () => {
		const deno = fs.readdirSync(tool('@deno')).map((name) => tool('@deno', name, 'deno'))
			.find((file) => fs.existsSync(file));
		await trials(deno, 'run', '-A');
	});

	await t.test('bundled by esbuild', { skip: without('esbuild') }, async () => {
		const out = path.join(app, 'dist');
		const esbuild = require(tool('esbuild'));
		for (const [format, name] of [['cjs', 'bundle.cjs'], ['esm', 'bundle.mjs']]) {
			const source = format === 'cjs' ? CJS.replace('(async', '\n(async') : ESM;
			await esbuild.build({
				stdin: { contents: source, resolveDir: app }, bundle: true, platform: 'node', format,
				outfile: path.join(out, name), logLevel: 'silent',
				banner: format === 'esm' ? { js: 'import { createRequire as cr } from "node:module";' +
					'const require = cr(import.meta.url);' } : {},
			});
			// the package is found from the program
			assert.match(await ok(process.execPath, [path.join(out, name)], { cwd: dir }), /^hello/);
		}
		// and beside it, where somebody has copied the addon
		const alone = folder(t);
		fs.copyFileSync(path.join(out, 'bundle.cjs'), path.join(alone, 'bundle.cjs'));
		const lost = await run(process.execPath, ['bundle.cjs'], { cwd: alone });
		assert.match(lost.err, /Tried:/);
		fs.mkdirSync(path.join(alone, 'prebuilds', `linux-${process.arch}`), { recursive: true });
		fs.copyFileSync(addon, path.join(alone, 'prebuilds', `linux-${process.arch}`,
			'karakp2p.glibc.node'));
		assert.match(await ok(process.execPath, ['bundle.cjs'], { cwd: alone }), /^hello/);
	});

	await t.test('two in one process', async () => {
		const code = CJS.replace('(async', `process.env.KARAKP2P_ADDON = ${JSON.stringify(
			path.join(PACKAGE, 'build/Release/karakp2p.node'))};
			const other = require(${JSON.stringify(path.join(PACKAGE, 'index.js'))});
			console.error(other.version); (async`);
		const { err, out, code: status } = await run(process.execPath, ['-e', code], { cwd: app });
		assert.equal(status, 0, err);
		assert.match(out, /bundled/);
		assert.doesNotMatch(err, /bundled/);
	});

	await t.test('builds from its own source where no addon opens', async () => {
		fs.rmSync(path.join(installed, 'prebuilds'), { recursive: true });
		await ok('npm', ['rebuild', 'karakp2p', '--foreground-scripts'], { cwd: app, env });
		const out = await ok(process.execPath, ['program.mjs'], { cwd: app });
		assert.match(out, /^hello/);
		assert.doesNotMatch(out, /bundled/);
		assert.ok(fs.existsSync(path.join(installed, 'build/Release/libkarakp2p.so.1')));
	});
});
