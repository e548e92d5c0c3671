// kalam, the program: what it prints, where, and with which exit code.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from './lib/random.js';
import { Server, cleanEnv, cliBinary } from './lib/server.js';

let server: Server;
before(async () => {
  server = await Server.start();
  const root = server.root();
  await root.all(`CREATE NAMESPACE c; CREATE TABLE c.t (id BIGINT PRIMARY KEY, body TEXT, n INT, at TIMESTAMP) WITH (TYPE='USER');
    INSERT INTO c.t VALUES (1, 'a,"b"', 5, '2026-01-01 10:00:00'), (2, NULL, NULL, NULL)`);
  await server.createUser('uma');
});
after(async () => {
  await server.stop();
});

interface Run {
  status: number | null;
  out: string;
  err: string;
}
function kalam(args: string[], input = '', env: Record<string, string> = {}): Run {
  const r = spawnSync(cliBinary, ['-p', String(server.port), ...args], { env: cleanEnv(server.dir, env), input, encoding: 'utf8', timeout: 15_000 });
  assert.equal(r.signal, null, `kalam ${args.join(' ')} ended by ${r.signal}: ${r.stderr}`);
  return { status: r.status, out: r.stdout, err: r.stderr };
}
const lines = (text: string) => text.split('\n').filter((l) => l !== '');

describe('one-shot', () => {
  test('--help, --version, wrong usage', () => {
    const help = kalam(['--help']);
    assert.equal(help.status, 0);
    for (const flag of ['--url', '--host', '--port', '--user', '--password', '--token', '--command', '--file', '--format', '--json', '--csv', '--no-color', '--timeout', '--subscribe', '--subscription-timeout', '--version']) {
      assert.ok(help.out.includes(flag), flag);
    }
    assert.match(kalam(['--version']).out, /\d+\.\d+\.\d+/);
    assert.equal(kalam(['--wibble']).status, 2);
    assert.equal(kalam(['--format', 'xml', '-c', 'SELECT 1']).status, 2);
  });
  test('-c prints every result in order', () => {
    const r = kalam(['-c', "SELECT 1 AS one; INSERT INTO c.t (id) VALUES (100); DELETE FROM c.t WHERE id = 100; SELECT 'zwei' AS two"]);
    assert.equal(r.status, 0, r.err);
    const at = ['one', '1', 'Inserted 1 row(s)', 'Deleted 1 row(s)', 'two', 'zwei'].map((w) => r.out.indexOf(w));
    assert.ok(at.every((x, i) => x >= 0 && (i === 0 || x > at[i - 1])), r.out);
    assert.equal(r.err, '');
  });
  test('tables for people', () => {
    const r = kalam(['-c', 'SELECT id, body, n, at FROM c.t ORDER BY id']);
    assert.match(r.out, /2026-01-01 10:00:00/);
    assert.match(r.out, /NULL/);
    assert.match(r.out, /\(2 rows\)/);
    assert.ok(!r.out.includes('\x1b'), 'no colours when it is not a terminal');
  });
  test('--json', () => {
    const r = kalam(['--json', '-c', 'SELECT id, body, n FROM c.t ORDER BY id; DELETE FROM c.t WHERE id = 77']);
    const [rows, done] = lines(r.out).map((l) => JSON.parse(l));
    assert.deepEqual(rows.rows, [['1', 'a,"b"', 5], ['2', null, null]]);
    assert.deepEqual(rows.columns.map((c: any) => c.name), ['id', 'body', 'n']);
    assert.equal(done.message, 'Deleted 0 row(s)');
  });
  test('--csv', () => {
    assert.equal(kalam(['--csv', '-c', "SELECT id, body, n FROM c.t ORDER BY id"]).out, 'id,body,n\r\n1,"a,""b""",5\r\n2,,\r\n');
    assert.equal(kalam(['--format', 'csv', '-c', "SELECT '' AS e, E'a\\nb' AS l"]).out, 'e,l\r\n"","a\nb"\r\n');
  });
  test('-f, standard input, backslash commands in a script', () => {
    const file = join(server.dir, 'script.sql');
    writeFileSync(file, "-- a comment; with a semicolon\nSELECT 'one; two' AS a;\n\\dt\nSELECT $$x;y$$ AS b;\n");
    const r = kalam(['-f', file]);
    assert.equal(r.status, 0, r.err);
    assert.match(r.out, /one; two/);
    assert.match(r.out, /x;y/);
    const piped = kalam([], 'SELECT 5 AS five;\nSELECT 6\n AS six');
    assert.equal(piped.status, 0, piped.err);
    assert.match(piped.out, /five/);
    assert.match(piped.out, /six/);
    assert.equal(kalam(['-f', '-'], 'SELECT 7').status, 0);
    assert.equal(kalam(['-f', '/nonexistent.sql']).status, 1);
  });
  test('an error: place, code, exit code, nothing after it', () => {
    const r = kalam(['-c', 'SELECT 1 AS before_it;\nSELECT id, nope FROM c.t; SELECT 2 AS after_it']);
    assert.equal(r.status, 1);
    assert.match(r.out, /before_it/);
    assert.doesNotMatch(r.out, /after_it/);
    assert.match(r.err, /SQL_EXECUTION_ERROR/);
    assert.match(r.err, /nope/);
    const [line, caret] = r.err.split('\n').slice(1);
    assert.match(line, /^LINE 2: SELECT id, nope FROM c\.t/);
    assert.equal(caret.indexOf('^'), line.indexOf('nope'), r.err);
    const file = join(server.dir, 'bad.sql');
    writeFileSync(file, 'SELECT 1;\n\nSELECT nope2\n  FROM c.t;\n');
    assert.match(kalam(['-f', file]).err, /bad\.sql:3.*nope2/);
    assert.equal(kalam([], 'SELECT 1/0;').status, 1);
    assert.equal(kalam(['-c', "SELECT 'open"]).status, 1);
  });
});

describe('who and where', () => {
  test('no option: root by the token file', () => {
    assert.match(kalam(['--csv', '-c', 'SELECT CURRENT_USER(), CURRENT_ROLE()']).out, /root,system/);
  });
  test('--user', () => {
    assert.match(kalam(['--user', 'uma', '--password', 'Long-Enough-7!', '--csv', '-c', 'SELECT CURRENT_USER()']).out, /uma/);
    assert.match(kalam(['--user', 'uma', '--csv', '-c', 'SELECT CURRENT_USER()'], '', { KALAMDB_PASSWORD: 'Long-Enough-7!' }).out, /uma/);
    const wrong = kalam(['--user', 'uma', '--password', 'wrong', '-c', 'SELECT 1']);
    assert.equal(wrong.status, 1);
    assert.match(wrong.err, /Invalid credentials/);
  });
  test('--token and --url', async () => {
    const uma = await server.login('uma');
    const r = spawnSync(cliBinary, ['--url', server.url, '--token', uma.token, '--csv', '-c', 'SELECT CURRENT_USER()'], { env: cleanEnv(server.dir), encoding: 'utf8' });
    assert.match(r.stdout, /uma/);
    assert.equal(kalam(['--token', 'a.b.c', '-c', 'SELECT 1']).status, 1);
  });
  test('no server, no token: said clearly', () => {
    const none = spawnSync(cliBinary, ['-p', '1', '-c', 'SELECT 1'], { env: cleanEnv(server.dir), encoding: 'utf8' });
    assert.equal(none.status, 1);
    assert.match(none.stderr, /127\.0\.0\.1|localhost/);
    const lost = spawnSync(cliBinary, ['-p', String(server.port), '-c', 'SELECT 1'], { env: { ...cleanEnv(server.dir), XDG_RUNTIME_DIR: '/nonexistent', HOME: '/nonexistent' }, encoding: 'utf8' });
    assert.equal(lost.status, 1);
    assert.match(lost.stderr, /token/i);
  });
  test('\\as', () => {
    assert.match(kalam(['--csv', '-c', '\\as uma SELECT CURRENT_USER()']).out, /uma/);
  });
});

describe('live', () => {
  test('last rows, then changes, until the time is over', async () => {
    const child = spawn(cliBinary, ['-p', String(server.port), '-c', 'SUBSCRIBE TO c.t WHERE id < 50 OPTIONS (last_rows = 20)', '--subscription-timeout', '3'], { env: cleanEnv(server.dir), stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    child.stdout.on('data', (d) => (out += d));
    const ended = new Promise<number | null>((done) => child.once('exit', done));
    await eventually(() => assert.match(out, /2 rows/));
    const root = server.root();
    await root.ok("INSERT INTO c.t (id, body) VALUES (10, 'fresh')");
    await root.ok("UPDATE c.t SET body = 'changed' WHERE id = 10");
    await root.ok("INSERT INTO c.t (id, body) VALUES (60, 'unseen')");
    await root.ok('DELETE FROM c.t WHERE id >= 10');
    await eventually(() => assert.match(out, /\+ .*fresh[^]*~ .*changed[^]*- .*/), 2500);
    assert.equal(await ended, 0);
    assert.doesNotMatch(out, /unseen/);
  });
  test('it survives a restart of the server', { timeout: 30_000 }, async () => {
    const fixed = await Server.start({ port: 20000 + Math.floor(Math.random() * 20000) });
    const root = fixed.root();
    await root.all("CREATE NAMESPACE c; CREATE TABLE c.t (id INT PRIMARY KEY, body TEXT) WITH (TYPE='USER'); INSERT INTO c.t VALUES (1, 'first')");
    const uma = await fixed.createUser('uma');
    await uma.ok("INSERT INTO c.t VALUES (1, 'hers')");
    const child = spawn(cliBinary, ['-p', String(fixed.port), '--user', 'uma', '--password', 'Long-Enough-7!', '--json', '--subscribe', 'SELECT * FROM c.t', '--subscription-timeout', '12'], { env: cleanEnv(fixed.dir), stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (d) => (out += d));
    child.stderr.on('data', (d) => (err += d));
    await eventually(() => assert.match(out, /hers/));
    await fixed.restart();
    const again = await fixed.login('uma');
    await again.ok("INSERT INTO c.t VALUES (2, 'after the restart')");
    await eventually(() => assert.match(out, /after the restart/, err), 10_000);
    child.kill('SIGINT');
    await new Promise((done) => child.once('exit', done));
    await fixed.stop();
  });
  test('Ctrl+C ends with 130 or 0', async () => {
    const child = spawn(cliBinary, ['-p', String(server.port), '--subscribe', 'SELECT * FROM c.t'], { env: cleanEnv(server.dir), stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    child.stdout.on('data', (d) => (out += d));
    await eventually(() => assert.match(out, /rows/));
    child.kill('SIGINT');
    const code = await new Promise((done) => child.once('exit', done));
    assert.ok(code === 130 || code === 0, String(code));
  });
  test('a closed pipe is no crash', () => {
    const r = spawnSync('sh', ['-c', `"${cliBinary}" -p ${server.port} -c "SELECT repeat('x', 100000); SELECT repeat('y', 100000)" | head -c 10`], { env: cleanEnv(server.dir), encoding: 'utf8' });
    assert.equal(r.status, 0);
    assert.doesNotMatch(r.stderr, /Broken pipe|signal/i);
  });
});
