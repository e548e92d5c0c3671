// PostgreSQL as the reference: a private instance of Debian's package in a directory of its own, reached over a Unix socket with
// the simple query protocol, which is all that comparing answers needs.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { sleep } from './random.js';

export interface PgError {
  code: string; // SQLSTATE
  message: string;
}
export interface PgReply {
  columns: { name: string; oid: number }[];
  rows: (string | null)[][];
  tag: string; // "UPDATE 3"
  error?: PgError;
}

// One connection. Queries wait for each other.
export class PgClient {
  private pending: Buffer = Buffer.alloc(0);
  private reply: PgReply = { columns: [], rows: [], tag: '' };
  private done: { resolve: (r: PgReply) => void; reject: (e: Error) => void } | undefined;
  private last: Promise<unknown> = Promise.resolve();
  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk) => this.take(chunk));
    socket.on('close', () => this.done?.reject(new Error('PostgreSQL closed the connection')));
    socket.on('error', (e) => this.done?.reject(e));
  }

  static async connect(path: string): Promise<PgClient> {
    const client = new PgClient(createConnection(path));
    await client.send(() => {
      const words = Buffer.from('user\0postgres\0database\0postgres\0client_encoding\0UTF8\0\0');
      const head = Buffer.alloc(8);
      head.writeInt32BE(8 + words.length, 0);
      head.writeInt32BE(3 << 16, 4);
      client.socket.write(Buffer.concat([head, words]));
    });
    return client;
  }

  // The result of the last statement in it; its columns only when it has rows to give.
  async query(sql: string): Promise<PgReply> {
    const turn = this.last.then(() =>
      this.send(() => {
        const text = Buffer.from(sql + '\0');
        const head = Buffer.alloc(5);
        head.write('Q');
        head.writeInt32BE(4 + text.length, 1);
        this.socket.write(Buffer.concat([head, text]));
      }),
    );
    this.last = turn.catch(() => undefined);
    return await turn;
  }
  async ok(sql: string): Promise<PgReply> {
    const reply = await this.query(sql);
    if (reply.error) {
      throw new Error(`PostgreSQL: ${reply.error.code} ${reply.error.message}\nstatement: ${sql.slice(0, 1000)}`);
    }
    return reply;
  }
  close(): void {
    this.done = undefined;
    this.socket.destroy();
  }

  private send(write: () => void): Promise<PgReply> {
    return new Promise((resolve, reject) => {
      this.reply = { columns: [], rows: [], tag: '' };
      this.done = { resolve, reject };
      write();
    });
  }
  private take(chunk: Buffer): void {
    this.pending = this.pending.length > 0 ? Buffer.concat([this.pending, chunk]) : chunk;
    let at = 0;
    while (this.pending.length - at >= 5) {
      const length = this.pending.readInt32BE(at + 1);
      if (this.pending.length - at < 1 + length) {
        break;
      }
      this.message(String.fromCharCode(this.pending[at]), this.pending.subarray(at + 5, at + 1 + length));
      at += 1 + length;
    }
    this.pending = this.pending.subarray(at);
  }
  private message(kind: string, body: Buffer): void {
    if (kind === 'T') {
      this.reply.columns = readColumns(body);
      this.reply.rows = [];
    } else if (kind === 'D') {
      this.reply.rows.push(readRow(body));
    } else if (kind === 'C') {
      this.reply.tag = body.toString('utf8', 0, body.length - 1);
    } else if (kind === 'E') {
      this.reply.error = readError(body);
    } else if (kind === 'Z') {
      const done = this.done;
      this.done = undefined;
      done?.resolve(this.reply);
    }
  }
}

function readColumns(body: Buffer): { name: string; oid: number }[] {
  const columns = [];
  let at = 2;
  for (let n = body.readInt16BE(0); n > 0; n--) {
    const end = body.indexOf(0, at);
    columns.push({ name: body.toString('utf8', at, end), oid: body.readInt32BE(end + 7) });
    at = end + 19;
  }
  return columns;
}
function readRow(body: Buffer): (string | null)[] {
  const row: (string | null)[] = [];
  let at = 2;
  for (let n = body.readInt16BE(0); n > 0; n--) {
    const length = body.readInt32BE(at);
    row.push(length < 0 ? null : body.toString('utf8', at + 4, at + 4 + length));
    at += 4 + Math.max(length, 0);
  }
  return row;
}
function readError(body: Buffer): PgError {
  const fields = new Map<string, string>();
  for (const field of body.toString('utf8').split('\0')) {
    fields.set(field.slice(0, 1), field.slice(1));
  }
  return { code: fields.get('C') ?? '', message: fields.get('M') ?? '' };
}

const instances = new Set<Postgres>();
process.on('exit', () => instances.forEach((p) => p.discard()));

export class Postgres {
  private clients: PgClient[] = [];
  private constructor(
    private readonly dir: string,
    private readonly child: ChildProcess,
    readonly version: string,
  ) {}

  // Why there is no PostgreSQL here; undefined when there is one. `make test` installs it.
  static missing(): string | undefined {
    if (binaries() === undefined) {
      return 'PostgreSQL 15 is not installed in /usr/lib/postgresql/15 (apt-get install postgresql-15)';
    }
    return process.getuid!() === 0 && owner() === undefined ? 'root may not run PostgreSQL, and there is no user "postgres"' : undefined;
  }

  // Text compares by bytes, lower() knows Unicode, as here. Nothing has to outlive the test.
  static async start(): Promise<Postgres> {
    const bin = binaries()!;
    const who = process.getuid!() === 0 ? owner() : undefined;
    const dir = mkdtempSync('/tmp/kalamdb-pg-'); // short: a socket's path has little room
    if (who !== undefined) {
      chownSync(dir, who.uid, who.gid);
    }
    const options = { ...who, cwd: dir, env: { PATH: process.env.PATH, HOME: dir, LC_ALL: 'C.UTF-8' } };
    const data = join(dir, 'data');
    const made = spawnSync(join(bin, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--lc-ctype=C.UTF-8', '--no-sync'], { ...options, encoding: 'utf8' });
    if (made.status !== 0) {
      rmSync(dir, { recursive: true, force: true });
      throw new Error(`initdb: ${made.stdout}${made.stderr}`);
    }
    const settings = ['listen_addresses=', `unix_socket_directories=${dir}`, 'fsync=off', 'timezone=UTC', 'statement_timeout=20s', 'jit=off', 'max_parallel_workers_per_gather=0'];
    const child = spawn(join(bin, 'postgres'), ['-D', data, ...settings.flatMap((s) => ['-c', s])], { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    const version = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
    const instance = new Postgres(dir, child, version);
    instances.add(instance);
    await instance.ready();
    return instance;
  }

  private async ready(): Promise<void> {
    let log = '';
    this.child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (log = (log + chunk).slice(-4000)));
    for (let wait = 0; wait < 600; wait++) {
      if (this.child.exitCode !== null) {
        throw new Error(`PostgreSQL ended: ${log}`);
      }
      if (existsSync(this.socket) && /ready to accept connections/.test(log)) {
        return;
      }
      await sleep(50);
    }
    throw new Error(`PostgreSQL is not ready after 30 s: ${log}`);
  }
  private get socket(): string {
    return join(this.dir, '.s.PGSQL.5432');
  }

  async connect(): Promise<PgClient> {
    const client = await PgClient.connect(this.socket);
    this.clients.push(client);
    return client;
  }
  async stop(): Promise<void> {
    this.clients.forEach((c) => c.close());
    const ended = new Promise((done) => this.child.once('exit', done));
    this.child.kill('SIGQUIT');
    await ended;
    this.discard();
  }
  discard(): void {
    instances.delete(this);
    this.child.kill('SIGQUIT');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function binaries(): string | undefined {
  const found = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : [];
  return found.includes('15') ? '/usr/lib/postgresql/15/bin' : undefined;
}
function owner(): { uid: number; gid: number } | undefined {
  const line = readFileSync('/etc/passwd', 'utf8').split('\n').find((l) => l.startsWith('postgres:'));
  return line === undefined ? undefined : { uid: Number(line.split(':')[2]), gid: Number(line.split(':')[3]) };
}
