/** Text from one guest to another and back, over TCP or UDP and either family, in one datagram or stream of whatever size. */
import { eventually } from '../../scripts/support/lab/command.ts';
import type { Guest } from '../../scripts/support/lab/guest.ts';

export interface ExchangeOptions {
  readonly from: Guest;
  readonly to: Guest;
  /** An address of `to`. */
  readonly address: string;
  readonly protocol: 'tcp' | 'udp';
  /** Bytes of payload each way. */
  readonly size: number;
  readonly port?: number;
}

/** Sends back what it gets, once; says so when it listens. */
const SERVER = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET
kind = socket.SOCK_STREAM if sys.argv[1] == 'tcp' else socket.SOCK_DGRAM
server = socket.socket(family, kind)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.settimeout(20)
server.bind((sys.argv[2], int(sys.argv[3])))
if kind == socket.SOCK_DGRAM:
    data, peer = server.recvfrom(65535)
    server.sendto(data, peer)
else:
    server.listen(1)
    peer, _ = server.accept()
    left = int(sys.argv[4])
    while left > 0:
        data = peer.recv(65536)
        left -= len(data)
        peer.sendall(data)
    peer.close()
`;

const CLIENT = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET
kind = socket.SOCK_STREAM if sys.argv[1] == 'tcp' else socket.SOCK_DGRAM
client = socket.socket(family, kind)
client.settimeout(5)
client.connect((sys.argv[2], int(sys.argv[3])))
sent = bytes(index % 251 for index in range(int(sys.argv[4])))
client.sendall(sent)
got = b''
while len(got) < len(sent):
    data = client.recv(65535)
    if not data:
        break
    got += data
print(len(got) if got == sent else -1)
`;

/** Bytes that came back as they were sent; -1: others. Throws when nothing comes within five seconds. */
export async function exchange({ from, to, address, protocol, size, port = 5003 }: ExchangeOptions): Promise<number> {
  const args = [protocol, address, `${port}`, `${size}`];
  to.namespace.start(['/usr/bin/python3', '-c', SERVER, ...args]);
  const flag = protocol === 'tcp' ? '-Hltn' : '-Hlun';
  await eventually(`something listens on ${protocol} port ${port}`, async () =>
    (await to.run('ss', flag, `sport = :${port}`)).includes(`${port}`),
  );
  return Number(await from.run('/usr/bin/python3', '-c', CLIENT, ...args));
}
