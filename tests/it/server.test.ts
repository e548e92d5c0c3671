// The server as a program: its command line, configuration, data directory, signals, and a disk that fills up.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { eventually, sleep } from './lib/random.js';
import { Server, cleanEnv, makeTempDir, serverBinary, toToml, type Config } from './lib/server.js';
import { Socket } from './lib/ws.js';

function run(args: string[], env: Record<string, string> = {}, dir = makeTempDir()) {
  const r = spawnSync(serverBinary, args, { cwd: dir, env: cleanEnv(dir, env), encoding: 'utf8', timeout: 10_000 });
  return { status: r.status, out: r.stdout, err: r.stderr };
}
function withConfig(config: Config | string, env: Record<string, string> = {}) {
  const dir = makeTempDir();
  const file = join(dir, 'server.toml');
  writeFileSync(file, typeof config === 'string' ? config : toToml(config));
  return run(['--config', file, '--data', join(dir, 'data'), '--listen', '127.0.0.1:0'], env, dir);
}

describe('command line', () => {
  test('--help and --version', () => {
    const help = run(['--help']);
    assert.equal(help.status, 0);
    for (const word of ['--config', '--data', '--listen', 'KALAMDB_JWT_SECRET', 'server.port', 'auth.jwt_secret']) {
      assert.ok(help.out.includes(word), word);
    }
    const version = run(['--version']);
    assert.equal(version.status, 0);
    assert.match(version.out, /\d+\.\d+\.\d+/);
  });
  test('wrong usage', () => {
    for (const args of [['--wibble'], ['--listen'], ['--listen', 'nonsense'], ['--listen', '127.0.0.1:99999'], ['extra'], ['--data', ''], ['--data', 'a', '--data', 'b']]) {
      const r = run(args);
      assert.ok(r.status === 1 || r.status === 2, `${args}: ${r.status}`);
      assert.notEqual(r.err.trim(), '', args.join(' '));
      assert.ok(r.err.trim().split('\n').length <= 3, r.err);
    }
  });
});

describe('configuration', () => {
  test('what is wrong is named', () => {
    const cases: [Config | string, RegExp, Record<string, string>?][] = [
      [{ 'server.wibble': 1 }, /server\.wibble/],
      [{ 'wibble.x': 1 }, /wibble/],
      [{ 'auth.bcrypt_cost': 99 }, /auth\.bcrypt_cost/],
      [{ 'auth.bcrypt_cost': 'x' }, /auth\.bcrypt_cost/],
      [{ 'storage.durability': 'maybe' }, /storage\.durability/],
      [{ 'execution.executor': 'x' }, /execution\.executor/],
      ['[server\nport = 1', /server\.toml|line/],
      ['[server]\nport = 1\nport = 2', /port/],
      [{ 'cluster.peers': ['a'] }, /cluster\.peers/],
      [{}, /KALAMDB_SERVER_WORKERS|server\.workers/, { KALAMDB_SERVER_WORKERS: 'many' }],
      [{ 'websocket.heartbeat_interval_secs': 20, 'websocket.client_timeout_secs': 10 }, /heartbeat_interval_secs|client_timeout_secs/],
      [{ 'security.cors.allow_credentials': true }, /allow_credentials|allowed_origins/],
    ];
    for (const [config, pattern, env] of cases) {
      const r = withConfig(config, env);
      assert.ok(r.status === 1 || r.status === 2, `${JSON.stringify(config)}: ended with ${r.status}: ${r.err}`);
      assert.match(r.err, pattern);
      assert.equal(r.out.includes('listening on'), false);
    }
    const missing = run(['--config', '/nonexistent/server.toml']);
    assert.equal(missing.status, 1);
    assert.match(missing.err, /nonexistent/);
  });
  test('beyond loopback only with a secret', () => {
    const listen = (secret?: string) => run(['--listen', '0.0.0.0:0'], secret === undefined ? {} : { KALAMDB_JWT_SECRET: secret });
    for (const secret of [undefined, 'short', 'CHANGE_ME_IN_PRODUCTION', 'your-secret-key-at-least-32-chars-change-me-in-production', 'kalamdb-dev-secret-key-change-in-production']) {
      const r = listen(secret);
      assert.equal(r.status, 1, `${secret}: ${r.status}`);
      assert.match(r.err, /jwt_secret/);
      assert.ok(secret === undefined || !r.err.includes(secret) || secret === 'short', 'not shown');
    }
  });
  test('a key of the reference without a meaning here is a warning', async () => {
    const s = await Server.start({ config: { 'server.api_version': 'v1', 'jobs.max_retries': 3 } });
    await s.stop();
    assert.match(s.log(), /server\.api_version/);
    assert.match(s.log(), /jobs\.max_retries/);
  });
  test('the sample file starts a server', async () => {
    const dir = makeTempDir();
    const sample = join(import.meta.dirname, '../../docs/server.toml.example');
    const child = spawn(serverBinary, ['--config', sample, '--data', join(dir, 'data'), '--listen', '127.0.0.1:0'], { cwd: dir, env: cleanEnv(dir), stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    child.stdout.on('data', (d) => (out += d));
    await eventually(() => assert.match(out, /^listening on http:\/\/127\.0\.0\.1:\d+$/m));
    child.kill('SIGTERM');
    assert.equal(await new Promise((done) => child.once('exit', done)), 0);
  });
  test('environment over file', async () => {
    const s = await Server.start({ config: { 'logging.level': 'error' }, env: { KALAMDB_LOG_LEVEL: 'info' } });
    assert.deepEqual(await s.root().rows("SELECT value FROM system.settings WHERE name = 'logging.level'"), [['info']]);
    await s.stop();
  });
});

describe('life', () => {
  test('two servers never share a data directory or an address', async () => {
    const s = await Server.start();
    const r = run(['--data', s.dataDir, '--listen', '127.0.0.1:0']);
    assert.equal(r.status, 1);
    assert.match(r.err, new RegExp(s.dataDir));
    const busy = run(['--listen', `127.0.0.1:${s.port}`]);
    assert.equal(busy.status, 1);
    assert.match(busy.err, new RegExp(String(s.port)));
    await s.root().ok('SELECT 1');
    assert.ok(existsSync(s.tokenFile), 'the refused server did not take the token file away');
    await s.stop();
  });
  test('the token file is private, new, and gone at the end', async () => {
    const s = await Server.start();
    assert.equal(statSync(s.tokenFile).mode & 0o777, 0o600);
    const token = readFileSync(s.tokenFile, 'utf8');
    const file = s.tokenFile;
    await s.stop();
    assert.equal(existsSync(file), false);
    await s.start();
    assert.notEqual(readFileSync(s.tokenFile, 'utf8'), token);
    await s.stop();
  });
  test('SIGTERM and SIGINT under load lose nothing', { timeout: 60_000 }, async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const s = await Server.start();
      const root = s.root();
      await root.all("CREATE NAMESPACE d; CREATE TABLE d.t (id BIGINT PRIMARY KEY) WITH (TYPE='USER')");
      const acked: number[] = [];
      const refused: string[] = [];
      let id = 0;
      const writers = Array.from({ length: 8 }, async () => {
        for (;;) {
          const mine = id++;
          try {
            const r = await root.sql(`INSERT INTO d.t VALUES (${mine})`);
            if (r.status !== 'success') {
              refused.push(r.error!.code);
              return;
            }
            acked.push(mine);
          } catch {
            return;
          }
        }
      });
      const socket = await Socket.open(root);
      await sleep(300);
      process.kill(s.pid, signal);
      await Promise.all(writers);
      const end = await s.wait();
      assert.deepEqual(end, { code: 0, signal: null }, s.log());
      assert.equal((await socket.waitClosed()).code, 1001);
      assert.ok(refused.every((c) => c === 'OVERLOADED'), refused.join());
      await s.start();
      const there = new Set((await s.root().rows('SELECT id FROM d.t')).map((r) => Number(r[0])));
      assert.ok(acked.length > 10);
      assert.deepEqual(acked.filter((a) => !there.has(a)), []);
      await s.stop();
    }
  });
  test('idle memory and processor time are small', async () => {
    const s = await Server.start();
    await s.root().ok('SELECT 1');
    const status = readFileSync(`/proc/${s.pid}/status`, 'utf8');
    const rss = Number(/VmRSS:\s+(\d+)/.exec(status)![1]);
    const ticks = () => readFileSync(`/proc/${s.pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13).reduce((a, b) => a + Number(b), 0);
    const before = ticks();
    await sleep(2000);
    assert.ok(ticks() - before <= 2, `${ticks() - before} ticks in two idle seconds`);
    if (!/asan|tsan|debug/.test(serverBinary)) {
      assert.ok(rss < 25 * 1024, `${rss} KB`);
    }
    await s.stop();
  });
  test('damaged data is refused with a message', async () => {
    const s = await Server.start();
    await s.root().all("CREATE NAMESPACE d; CREATE TABLE d.t (id BIGINT PRIMARY KEY) WITH (TYPE='USER'); INSERT INTO d.t VALUES (1)");
    await s.stop();
    writeFileSync(join(s.dataDir, 'rocksdb', 'CURRENT'), 'MANIFEST-999999\n');
    const r = run(['--data', s.dataDir, '--listen', '127.0.0.1:0']);
    assert.equal(r.status, 1);
    assert.match(r.err, new RegExp(s.dataDir));
  });
  test('a data directory that cannot be made or written', { skip: process.getuid?.() === 0 ? 'root may write anywhere' : false }, () => {
    const r = run(['--data', '/proc/nope', '--listen', '127.0.0.1:0']);
    assert.equal(r.status, 1);
  });
  test('a data directory that is a file', () => {
    const dir = makeTempDir();
    writeFileSync(join(dir, 'file'), 'x');
    const r = run(['--data', join(dir, 'file'), '--listen', '127.0.0.1:0'], {}, dir);
    assert.equal(r.status, 1);
    assert.match(r.err, /file/);
  });
});

function canMount(dir: string): boolean {
  if (process.getuid?.() !== 0) {
    return false;
  }
  try {
    mkdirSync(dir, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', dir], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('a full disk: writes are refused, nothing acknowledged is lost', { timeout: 120_000 }, async (t) => {
  const dir = makeTempDir();
  const small = join(dir, 'small');
  if (!canMount(small)) {
    t.skip('needs to mount a small tmpfs');
    return;
  }
  const s = await Server.start({ dir, dataDir: join(small, 'data'), config: { 'storage.write_buffer_bytes': 4194304 } });
  try {
    const root = s.root();
    await root.all("CREATE NAMESPACE d; CREATE TABLE d.t (id BIGINT PRIMARY KEY, v BYTES) WITH (TYPE='USER')");
    const acked: number[] = [];
    let refusal: string | undefined;
    for (let id = 0; id < 400 && refusal === undefined; id++) {
      const r = await root.sql(`INSERT INTO d.t VALUES (${id}, '\\x${randomBytes(200_000).toString('hex')}')`);
      if (r.status === 'success') {
        acked.push(id);
      } else {
        refusal = `${r.http} ${r.error!.code} ${r.error!.message}`;
        assert.ok(r.http >= 500, refusal);
      }
    }
    assert.ok(refusal !== undefined, 'the disk was never full');
    assert.ok(s.alive(), s.log());
    const still = await root.sql('SELECT COUNT(*) FROM d.t');
    assert.equal(still.status, 'success', 'reads go on');
    await s.kill();
    writeFileSync(join(small, 'more'), '');
    execFileSync('mount', ['-o', 'remount,size=256m', small]);
    await s.start();
    const there = new Set((await s.root().rows('SELECT id FROM d.t')).map((r) => Number(r[0])));
    assert.deepEqual(acked.filter((a) => !there.has(a)), []);
    await s.root().ok("INSERT INTO d.t VALUES (100000, NULL)");
    await s.stop();
  } finally {
    if (s.alive()) {
      await s.kill().catch(() => undefined);
    }
    execFileSync('umount', [small]);
  }
});
