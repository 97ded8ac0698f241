/**
 * The command line: which commands there are, with their options (a contract: docs of scripts use them). Each command has a
 * file of its own, loaded when it is called, so that `heddle check` does not pay for the controller.
 */
import { Argument, Command, CommanderError, Option } from 'commander';
import { HeddleError } from '../lib/errors.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { paint, type Terminal } from './output.ts';

function processTerminal(): Terminal {
  // A reader that has seen enough (`heddle flows FILE | head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.success);
    throw error;
  });
  return {
    out: (text) => process.stdout.write(text),
    talk: (text) => process.stderr.write(text),
    isColoured: process.stdout.isTTY === true && !process.env.NO_COLOR,
  };
}

/** Run one command; never throws. */
export async function runCommandLine(
  commandLine: readonly string[],
  terminal: Terminal = processTerminal(),
): Promise<ExitStatus> {
  let status: ExitStatus = EXIT.success;
  const program = buildProgram(terminal, (result) => {
    status = result;
  });
  try {
    await program.parseAsync(commandLine, { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.success : EXIT.usage;
    if (!(error instanceof HeddleError)) throw error;
    terminal.talk(`${paint(terminal, 'red', 'heddle:')} ${error.message}\n`);
    return EXIT.finding;
  }
}

function buildProgram(terminal: Terminal, finish: (status: ExitStatus) => void): Command {
  const program = new Command('heddle')
    .description('an Open vSwitch controller: a topology in the words of Neutron, compiled to OpenFlow flows')
    .version('0.1.0')
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.talk })
    .showHelpAfterError('(heddle --help, or heddle COMMAND --help, shows how)')
    .addHelpText('after', example('heddle check topology.yaml && heddle run topology.yaml'));
  addController(program, terminal, finish);
  addOffline(program, terminal, finish);
  addTools(program, terminal, finish);
  return program;
}

const example = (text: string): string => `\nExample:\n  $ ${text}`;
const collect = (value: string, earlier: readonly string[] | undefined): string[] => [...(earlier ?? []), value];
const control = (): Option => new Option('--control <socket>', 'control socket of the controller');
const privateKey = (): Option => new Option('--private-key <file>', 'PEM, our key for ssl:');
const certificate = (): Option => new Option('--certificate <file>', 'PEM, our certificate for ssl:');
const caCert = (): Option => new Option('--ca-cert <file>', 'PEM, whom to trust over ssl:');
const json = (): Option => new Option('--json', 'print data as JSON');

function addController(program: Command, terminal: Terminal, finish: (status: ExitStatus) => void): void {
  program
    .command('run')
    .description('the controller: bring the switches to what FILE says and keep them there')
    .argument('<file>', 'topology, YAML or JSON; read again when it changes and on SIGHUP')
    .option('--listen <tcp:ADDR:PORT>', 'where bridges connect (again for more; ssl: too)', collect)
    .option('--ovsdb-listen <tcp:ADDR:PORT>', 'where ovsdb-servers connect (again for more; ssl: too)', collect)
    .addOption(control())
    .option('--metrics <ADDR:PORT>', 'serve Prometheus metrics over HTTP')
    .option('--state <dir>', 'what must outlive the process: derived MACs and addresses, last known hosts of ports')
    .option(
      '--elect',
      'with another controller of the same site: one programs each bridge, the other takes over when it is gone',
    )
    .addOption(
      new Option('--log-level <level>', 'least level to log')
        .choices(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
        .default('info'),
    )
    .addOption(privateKey())
    .addOption(certificate())
    .addOption(caCert())
    .addHelpText('after', example('heddle run topology.yaml --listen tcp:0.0.0.0:6653'))
    .action(async (file, options) => finish(await (await import('./run.ts')).run(file, options, terminal)));
  program
    .command('status')
    .description('hosts, bridges, connections, generation on each switch, flows, last pass, drift, warnings')
    .option('--host <host>', 'this host alone')
    .addOption(control())
    .addOption(json())
    .addHelpText('after', example('heddle status --host node1'))
    .action(async (options) => finish(await (await import('./status.ts')).status(options, terminal)));
}

function addOffline(program: Command, terminal: Terminal, finish: (status: ExitStatus) => void): void {
  program
    .command('check')
    .description('validate a topology: every error with file:line:column')
    .argument('<file>', 'topology, YAML or JSON')
    .addOption(json())
    .addHelpText('after', example('heddle check topology.yaml'))
    .action(async (file, options) => finish(await (await import('./check.ts')).check(file, options, terminal)));
  program
    .command('flows')
    .description('computed flows: of FILE without a switch, or with --live those the controller holds')
    .argument('[file]', 'topology, YAML or JSON; none with --live')
    .option('--live', 'what the running controller holds, with real ofports and VLANs')
    .option('--host <host>', 'this host alone')
    .option('--bridge <bridge>', 'this bridge alone')
    .option('--table <table>', 'this table alone, by number')
    .option('--object <id>', 'flows of this network, port, host ... alone')
    .option('--names', 'ports by name (default without a switch)')
    .option('--no-names', 'ports by number')
    .option('--explain', 'add the origin of each flow: rule, object, line of the file')
    .option('--ofctl', 'print what ovs-ofctl add-flows accepts as it is')
    .addOption(control())
    .addOption(json())
    .addHelpText('after', example('heddle flows topology.yaml --host node1 --bridge br-tun --explain'))
    .action(async (file, options) => finish(await (await import('./flows.ts')).flows(file, options, terminal)));
  program
    .command('diff')
    .description('computed flows against those on a switch: missing, foreign, different, each with its origin')
    .argument('[file]', 'topology, YAML or JSON: heddle looks for itself; none with --live')
    .option('--live', 'what the running controller holds, against what it finds')
    .option('--host <host>', 'the host to look at')
    .option('--bridge <bridge>', 'this bridge alone')
    .option('--watch', 'go on looking, and tell when the difference changes')
    .option('--names', 'ports by name instead of number')
    .option('--state <dir>', 'the state directory of the controller of this site')
    .addOption(control())
    .addOption(privateKey())
    .addOption(certificate())
    .addOption(caCert())
    .addOption(json())
    .addHelpText('after', example('heddle diff --live --host node1 --watch'))
    .action(async (file, options) => finish(await (await import('./diff.ts')).diff(file, options, terminal)));
  program
    .command('plan')
    .description('the flow-mods, by host and bridge, that going from one file to another would cause; nothing is sent')
    .argument('<old>', 'topology in force')
    .argument('<new>', 'topology to come')
    .option('--host <host>', 'this host alone')
    .option('--bridge <bridge>', 'this bridge alone')
    .addOption(json())
    .addHelpText('after', example('heddle plan topology.yaml topology.new.yaml'))
    .action(async (before, after, options) =>
      finish(await (await import('./plan.ts')).plan(before, after, options, terminal)),
    );
  program
    .command('doctor')
    .description('look at the hosts of a topology: versions, datapaths, bridges, MTUs, peers; say what to do')
    .argument('<file>', 'topology, YAML or JSON')
    .addOption(privateKey())
    .addOption(certificate())
    .addOption(caCert())
    .option('--state <dir>', 'state directory of heddle run, looked at too; default as there')
    .addOption(json())
    .addHelpText('after', example('heddle doctor topology.yaml'))
    .action(async (file, options) => finish(await (await import('./doctor.ts')).doctor(file, options, terminal)));
}

function addTools(program: Command, terminal: Terminal, finish: (status: ExitStatus) => void): void {
  program
    .command('decode')
    .description('OpenFlow 1.3 bytes in hex to text')
    .argument('<hex...>', 'one or more messages; blanks and colons between digits are fine; - reads them from stdin')
    .addOption(json())
    .addHelpText('after', example('heddle decode 0405000800000001'))
    .action(async (hex, options) => finish(await (await import('./decode.ts')).decode(hex, options, terminal)));
  program
    .command('encode')
    .description('a flow as ovs-ofctl add-flow takes it, to the bytes of its FLOW_MOD in hex')
    .argument('<flow>', 'text of a flow')
    .option('--xid <n>', 'transaction id of the message', '0')
    .addOption(json())
    .addHelpText('after', example('heddle encode "table=20,priority=2,dl_vlan=1,actions=pop_vlan,output:2"'))
    .action(async (flow, options) => finish(await (await import('./encode.ts')).encode(flow, options, terminal)));
  program
    .command('ovsdb')
    .description('the OVSDB client by itself: print a table, or follow it')
    .argument('<conn>', 'unix:PATH | tcp:IP:PORT | ssl:IP:PORT')
    .addArgument(new Argument('<action>', 'print it once, or follow it').choices(['dump', 'monitor']))
    .argument('<table>', 'such as Bridge, Port, Interface')
    .argument('[column...]', 'these columns alone')
    .addOption(privateKey())
    .addOption(certificate())
    .addOption(caCert())
    .addOption(json())
    .addHelpText('after', example('heddle ovsdb unix:/run/openvswitch/db.sock dump Interface name ofport'))
    .action(async (connection, action, table, columns, options) =>
      finish(await (await import('./ovsdb.ts')).ovsdb({ connection, action, table, columns, ...options }, terminal)),
    );
}
