#!/usr/bin/env node
/**
 * The `heddle` command. It needs Node 24 and runs on whatever Node a machine has: an older one hands over to the Node 24
 * that a checkout brings along (the npm package `node`). A package runs its compiled sources, a checkout the sources themselves.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NODE_MAJOR = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, 'src', 'main.ts');
const entry = existsSync(source) ? source : join(root, 'dist', 'main.js');

if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) {
  await import(pathToFileURL(entry).href);
} else {
  let node;
  try {
    node = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node');
  } catch {
    process.stderr.write(
      `heddle: needs Node ${NODE_MAJOR} or later, this is ${process.version}; install it, or run \`npm ci\` in the checkout\n`,
    );
    process.exit(1);
  }
  // Wait for the child instead of blocking on it, so that a signal to this process reaches the controller behind it.
  const child = spawn(node, [entry, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, 'exit');
  process.exit(code ?? 1);
}
