/**
 * One network namespace: made, entered and taken down with everything that runs in it. Hosts, guests, the underlay and
 * the controller's place are such namespaces; the root namespace is never given a link, an address or a route.
 */
import type { ChildProcess } from 'node:child_process';
import { type CommandOptions, type CommandResult, run, runAny, start } from './command.ts';

export interface NamespaceOptions {
  /** Guests speak IPv6; hosts and the underlay stay silent, so that captures show guests' traffic alone. */
  readonly ipv6: boolean;
}

export class Namespace {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  static async create(name: string, options: NamespaceOptions): Promise<Namespace> {
    await run(['ip', 'netns', 'add', name]);
    const namespace = new Namespace(name);
    const settings = options.ipv6
      ? ['conf/all/accept_dad=0', 'conf/default/accept_dad=0', 'conf/default/dad_transmits=0']
      : ['conf/all/disable_ipv6=1', 'conf/default/disable_ipv6=1'];
    const write = settings.map((setting) => {
      const [path = '', value = ''] = setting.split('=');
      return `echo ${value} > /proc/sys/net/ipv6/${path}`;
    });
    await namespace.run(['sh', '-c', write.join(' && ')]);
    await namespace.ip(['link set lo up']);
    return namespace;
  }

  /** The command line that runs a command in here. */
  command(command: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...command];
  }

  run(command: readonly string[], options: CommandOptions = {}): Promise<string> {
    return run(this.command(command), options);
  }

  runAny(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runAny(this.command(command), options);
  }

  start(command: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    return start(this.command(command), env);
  }

  /** Several lines of ip(8) at once, without the leading `ip`. */
  async ip(lines: readonly string[]): Promise<void> {
    await run(['ip', '-n', this.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** The MAC address of an interface in here, as text. */
  async macOf(link: string): Promise<string> {
    const [shown] = JSON.parse(await run(['ip', '-n', this.name, '-j', 'link', 'show', 'dev', link])) as {
      address: string;
    }[];
    return shown?.address ?? '';
  }
}
