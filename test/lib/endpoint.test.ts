/** Addresses of peers in Open vSwitch's spelling. */
import { describe, expect, test } from 'vitest';
import { endpointText, parseEndpoint } from '../../src/lib/endpoint.ts';

describe('parseEndpoint', () => {
  test.each([
    ['tcp:127.0.0.1:6653', { kind: 'tcp', host: '127.0.0.1', port: 6653 }],
    ['ssl:[fd00::1]:6640', { kind: 'ssl', host: 'fd00::1', port: 6640 }],
    ['tcp:node1.example:0', { kind: 'tcp', host: 'node1.example', port: 0 }],
    ['unix:/run/openvswitch/br-int.mgmt', { kind: 'unix', path: '/run/openvswitch/br-int.mgmt' }],
  ] as const)('%s, and back', (text, endpoint) => {
    expect(parseEndpoint(text)).toEqual(endpoint);
    expect(endpointText(endpoint)).toBe(text);
  });

  test('the default port stands in where none is named', () => {
    expect(parseEndpoint('tcp:127.0.0.1', { defaultPort: 6653 })).toMatchObject({ port: 6653 });
  });

  test.each([
    ['', 'it begins with none of tcp:, ssl:, unix:'],
    ['udp:1.2.3.4:5', 'it begins with none of tcp:, ssl:, unix:'],
    ['unix:', 'the path is missing'],
    ['tcp:127.0.0.1', 'the port is missing'],
    ['tcp:127.0.0.1:65536', 'port 65536 is above 65535'],
    ['tcp:fd00::1:6653', 'expected ADDRESS:PORT, an IPv6 address in brackets'],
    ['tcp::6653', 'expected ADDRESS:PORT, an IPv6 address in brackets'],
  ])('%s is refused: %s', (text, why) => {
    expect(() => parseEndpoint(text)).toThrow(why);
    expect(() => parseEndpoint(text)).toThrow(expect.objectContaining({ code: 'BAD_ENDPOINT' }));
  });
});
