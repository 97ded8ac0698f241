/** The control socket: one JSON line a request, one a reply (src/controller/control-socket.ts). */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askControl, type ControlServer, serveControl } from '../../src/controller/control-socket.ts';
import { HeddleError } from '../../src/lib/errors.ts';

describe('control socket', () => {
  let directory = '';
  let path = '';
  let server: ControlServer;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'heddle-control-'));
    path = join(directory, 'run', 'control.sock');
    server = await serveControl(path, {
      add: ({ left, right }) => Number(left) + Number(right),
      wide: () => ({ cookie: 2n ** 63n }),
      refuse: () => {
        throw new HeddleError('NO_HOST', 'no host "x"');
      },
    });
  });
  afterEach(async () => {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('answers, with bigints as text, and is its owner’s alone', async () => {
    expect(await askControl(path, 'add', { left: 1, right: 2 })).toBe(3);
    expect(await askControl(path, 'wide')).toEqual({ cookie: '9223372036854775808' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('passes a handler’s coded error on, and knows its methods', async () => {
    await expect(askControl(path, 'refuse')).rejects.toMatchObject({ code: 'NO_HOST', message: 'no host "x"' });
    await expect(askControl(path, 'toString')).rejects.toMatchObject({ code: 'CONTROL_METHOD' });
  });

  it('drops nothing because of a client that sends garbage', async () => {
    const replies = await new Promise<string>((resolve) => {
      const socket = connect(path, () => socket.write('{\n[]\n'));
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString();
        if (text.split('\n').length > 2) {
          socket.destroy();
          resolve(text);
        }
      });
    });
    expect(
      replies
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).error.code),
    ).toEqual(['CONTROL_REQUEST', 'CONTROL_REQUEST']);
    expect(await askControl(path, 'add', { left: 2, right: 2 })).toBe(4);
  });

  it('refuses a second controller while the first lives, and takes over a dead one’s socket', async () => {
    await expect(serveControl(path, {})).rejects.toMatchObject({ code: 'CONTROL_IN_USE' });
    await server.close();
    await expect(askControl(path, 'add')).rejects.toMatchObject({ code: 'CONTROL_UNREACHABLE' });
    server = await serveControl(path, {});
  });
});
