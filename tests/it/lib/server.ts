// A real server in a directory of its own: start on a free port, stop, kill, restart.
//
// Nothing of the machine's configuration reaches it: the environment is cleaned, HOME and XDG_RUNTIME_DIR are in the temporary
// directory, so that the local root token is found there. The binary is $KALAMDB_BUILD/kalamdb-server (build/release).
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from './http.js';

const root = resolve(fileURLToPath(import.meta.url), '../../../..');
export const build = resolve(root, process.env.KALAMDB_BUILD ?? 'build/release');
export const serverBinary = join(build, 'kalamdb-server');
export const cliBinary = join(build, 'kalam');

export type ConfigValue = string | number | boolean | string[];
export type Config = Record<string, ConfigValue>;

export interface StartOptions {
  config?: Config;
  env?: Record<string, string>;
  dir?: string; // holds data/, run/, server.toml and server.log; made when not given
  dataDir?: string;
  port?: number;
  wrapper?: string[]; // a command that runs the one after it
}

// Tests make many cheap logins and many requests from one address.
const testConfig: Config = {
  'auth.bcrypt_cost': 4,
  'rate_limit.max_queries_per_sec': 0,
  'rate_limit.max_messages_per_sec': 0,
  'rate_limit.max_auth_requests_per_ip_per_sec': 0,
  'logging.level': 'warn',
};

export function toToml(config: Config): string {
  const sections = new Map<string, string[]>();
  for (const [path, value] of Object.entries(config)) {
    const dot = path.lastIndexOf('.');
    const section = dot < 0 ? '' : path.slice(0, dot);
    const lines = sections.get(section) ?? [];
    lines.push(`${path.slice(dot + 1)} = ${JSON.stringify(value)}`);
    sections.set(section, lines);
  }
  let text = (sections.get('') ?? []).join('\n') + '\n';
  for (const [section, lines] of sections) {
    if (section !== '') {
      text += `[${section}]\n${lines.join('\n')}\n`;
    }
  }
  return text;
}

const running = new Set<ChildProcess>();
const directories = new Set<string>();
process.on('exit', () => {
  for (const child of running) {
    child.kill('SIGKILL');
  }
  if (!process.env.KL_IT_KEEP) {
    for (const dir of directories) {
      rmSync(dir, { recursive: true, force: true });
    }
  }
});

export function makeTempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'kalamdb-it-'));
  directories.add(dir);
  return dir;
}

export function cleanEnv(dir: string, more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { PATH: process.env.PATH, HOME: dir, XDG_RUNTIME_DIR: join(dir, 'run'), LANG: 'C.UTF-8', TMPDIR: tmpdir() };
  for (const name of ['ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS', 'LSAN_OPTIONS', 'LD_LIBRARY_PATH']) {
    if (process.env[name]) {
      env[name] = process.env[name];
    }
  }
  return { ...env, ...more };
}

export class Server {
  readonly dir: string;
  url = '';
  private child!: ChildProcess;
  private exited!: Promise<{ code: number | null; signal: string | null }>;
  private constructor(private readonly options: StartOptions) {
    this.dir = options.dir ?? makeTempDir();
  }

  static async start(options: StartOptions = {}): Promise<Server> {
    const server = new Server(options);
    mkdirSync(join(server.dir, 'run'), { recursive: true, mode: 0o700 });
    await server.launch();
    return server;
  }

  get dataDir(): string {
    return this.options.dataDir ?? join(this.dir, 'data');
  }
  get logFile(): string {
    return join(this.dir, 'server.log');
  }
  get port(): number {
    return Number(new URL(this.url).port);
  }
  get pid(): number {
    return this.child.pid!;
  }
  get tokenFile(): string {
    return join(this.dir, 'run', 'kalamdb', `${this.port}.token`);
  }

  private async launch(): Promise<void> {
    const config = join(this.dir, 'server.toml');
    writeFileSync(config, toToml({ ...testConfig, ...this.options.config }));
    const log = openSync(this.logFile, 'a');
    const args = ['--config', config, '--data', this.dataDir, '--listen', `127.0.0.1:${this.options.port ?? 0}`];
    const [command, ...rest] = [...(this.options.wrapper ?? []), serverBinary, ...args];
    const child = spawn(command, rest, { env: cleanEnv(this.dir, this.options.env), stdio: ['ignore', 'pipe', log], cwd: this.dir });
    closeSync(log);
    this.child = child;
    running.add(child);
    this.exited = new Promise((done) => {
      child.once('error', (e) => {
        running.delete(child);
        done({ code: -1, signal: String(e) });
      });
      child.once('exit', (code, signal) => {
        running.delete(child);
        done({ code, signal });
      });
    });
    this.url = await this.readiness(child);
  }

  private async readiness(child: ChildProcess): Promise<string> {
    let out = '';
    const line = new Promise<string>((found) => {
      child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
        out += chunk;
        const match = /^listening on (http:\/\/\S+)$/m.exec(out);
        if (match) {
          found(match[1]);
        }
      });
    });
    const ended = this.exited.then((e) => {
      throw new Error(`server ended before it was ready (${e.code ?? e.signal}):\n${out}${this.log()}`);
    });
    ended.catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, fail) => {
      timer = setTimeout(() => fail(new Error(`server is not ready after 30 s:\n${out}${this.log()}`)), 30_000);
    });
    try {
      return await Promise.race([line, ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8').slice(-8000) : '';
  }

  alive(): boolean {
    return running.has(this.child);
  }

  // A sanitizer's report or a failed assertion is a failure of whichever test stops the server.
  private checkLog(): void {
    const report = /(AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|[Aa]ssertion .*failed)[^]*/.exec(this.log());
    if (report) {
      throw new Error(`the server's log holds a report:\n${report[0].slice(0, 6000)}`);
    }
  }

  async wait(): Promise<{ code: number | null; signal: string | null }> {
    return await this.exited;
  }

  // SIGTERM; a server that is not gone in 20 s, or that ends with anything but 0, is an error.
  async stop(): Promise<void> {
    if (this.alive()) {
      this.child.kill('SIGTERM');
      const timer = setTimeout(() => this.child.kill('SIGKILL'), 20_000);
      const end = await this.exited;
      clearTimeout(timer);
      if (end.code !== 0) {
        throw new Error(`server ended with ${end.code ?? end.signal} on SIGTERM:\n${this.log()}`);
      }
    } else {
      const end = await this.exited;
      if (end.signal !== 'SIGKILL' && end.code !== 0) {
        throw new Error(`server ended by itself with ${end.code ?? end.signal}:\n${this.log()}`);
      }
    }
    this.checkLog();
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
    this.checkLog();
  }

  async start(): Promise<void> {
    await this.launch();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.launch();
  }

  // The local superuser, by the token file.
  rootToken(): string {
    return readFileSync(this.tokenFile, 'utf8').trim();
  }
  // Reads url and token anew at each request, so that it outlives restarts.
  root(): Client {
    return new Client(() => this.url, () => this.rootToken(), 'root');
  }

  async createUser(id: string, role = 'user', password = 'Long-Enough-7!'): Promise<Client> {
    await this.root().ok(`CREATE USER '${id}' WITH PASSWORD '${password}' ROLE '${role}'`);
    return await this.login(id, password);
  }

  async login(id: string, password = 'Long-Enough-7!'): Promise<Client> {
    const reply = await fetch(`${this.url}/v1/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: id, password }),
    });
    const text = await reply.text();
    if (reply.status !== 200) {
      throw new Error(`login of ${id}: ${reply.status} ${text}`);
    }
    const token = (JSON.parse(text) as { access_token: string }).access_token;
    return new Client(() => this.url, () => token, id);
  }
}
