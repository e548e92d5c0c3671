// The catalogue of errors: every code of api/errors.def with what brings it about over HTTP, its status, message and position, or with
// the reason why a client cannot bring it about. A code that is added there must be added here.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Client, Reply } from './lib/http.js';
import { Server, type StartOptions } from './lib/server.js';

const root = join(import.meta.dirname, '../..');
interface Code {
  wire: string;
  http: number;
  retryable: boolean;
}
const codes = new Map<string, Code>();
for (const m of readFileSync(join(root, 'api/errors.def'), 'utf8').matchAll(/^KL_ERROR\((\w+), "(\w+)", (\d+), ([01])\)/gm)) {
  codes.set(m[1], { wire: m[2], http: Number(m[3]), retryable: m[4] === '1' });
}

// What the answer must say. `at` is the text of the statement that `position` points to; without it there is none.
interface Failing {
  sql: string;
  message: RegExp;
  at?: string | number;
  hint?: RegExp;
  params?: unknown[];
  as?: 'user';
}
type Provoked = Failing[] | ((t: Tools) => Promise<void>) | { never: string };
interface Tools {
  server: Server;
  root: Client;
  user: Client;
  isolated(options: StartOptions, run: (s: Server) => Promise<void>): Promise<void>;
  check(name: string, reply: Reply, failing: Failing): void;
}

function position(failing: Failing): number | undefined {
  if (typeof failing.at !== 'string') {
    return failing.at;
  }
  const index = failing.sql.indexOf(failing.at);
  assert.ok(index >= 0, `${failing.at} is not in ${failing.sql}`);
  return Buffer.byteLength(failing.sql.slice(0, index)) + 1;
}

function check(name: string, reply: Reply, failing: Failing): void {
  const code = codes.get(name)!;
  const where = `${name}: ${reply.http} ${JSON.stringify(reply.error)}\n${failing.sql.slice(0, 300)}`;
  assert.equal(reply.http, code.http, where);
  assert.equal(reply.status, 'error', where);
  assert.deepEqual(reply.results, [], where);
  assert.equal(typeof reply.took, 'number', where);
  const error = reply.error!;
  assert.equal(error.code, code.wire, where);
  assert.match(error.message, failing.message, where);
  assert.equal(error.position, position(failing), where);
  assert.equal((error as { retryable?: boolean }).retryable ?? false, code.retryable, where);
  if (failing.hint !== undefined) {
    assert.match(error.hint ?? '', failing.hint, where);
  }
  const known = new Set(['code', 'message', 'position', 'hint', 'retryable', 'details']);
  assert.deepEqual(Object.keys(error).filter((k) => !known.has(k)), [], where);
  if (code.http === 503 || code.http === 429) {
    assert.match(reply.headers.get('retry-after') ?? '', /^\d+$/, where);
  }
}

const secret = 'a-secret-of-the-error-tests-0123456789';
async function sqlWith(server: Server, headers: Record<string, string>, body = '{"sql":"SELECT 1"}'): Promise<Reply> {
  const reply = await fetch(`${server.url}/v1/api/sql`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  return { http: reply.status, headers: reply.headers, ...((await reply.json()) as Omit<Reply, 'http' | 'headers'>) };
}
const basic = (id: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${id}:${password}`).toString('base64')}` });
const request1 = { sql: 'SELECT 1' };

const catalogue: Record<string, Provoked> = {
  OK: { never: 'is no error' },
  INVALID_INPUT: [
    { sql: "EXECUTE AS USER 'u' SELECT 1", message: /^EXECUTE AS USER must wrap SQL in parentheses$/, at: 'SELECT' },
    { sql: "EXECUTE AS USER '' (SELECT 1)", message: /^EXECUTE AS USER username cannot be empty$/, at: "''" },
  ],
  EMPTY_SQL: [
    { sql: '', message: /^SQL statement is required$/ },
    { sql: ' \n ', message: /^SQL statement is required$/ },
    { sql: '-- nothing\n;;', message: /./ },
  ],
  INVALID_SQL: [
    { sql: 'SELECT id FROM e.t UNION SELECT n, n FROM e.t', message: /each UNION query must have the same number of columns$/, at: 'n, n' },
    { sql: 'SELECT (SELECT id, n FROM e.t)', message: /subquery must return only one column$/, at: '(SELECT' },
    { sql: 'SELECT 1 FROM e.t WHERE id IN (SELECT id, n FROM e.t)', message: /subquery has too many columns$/, at: 'IN' },
    { sql: 'SELECT 1 FROM e.t WHERE (id, n) IN (SELECT id FROM e.t)', message: /subquery has too few columns$/, at: 'IN' },
    { sql: 'INSERT INTO e.t (id, n) VALUES (1, 2, 3)', message: /INSERT has more expressions than target columns$/, at: '3)' },
    { sql: 'INSERT INTO e.t (id, n) SELECT 7', message: /INSERT has more target columns than expressions$/, at: 'n)' },
    { sql: 'SELEC 1', message: /^syntax error at or near "SELEC"$/, at: 'SELEC' },
    { sql: 'SELECT 1 +', message: /^syntax error at end of input$/, at: 11 },
    { sql: 'SELECT 1;\nSELECT FROM WHERE', message: /^syntax error/, at: 'WHERE' },
    { sql: "SELECT 'ä';SELEC 1", message: /^syntax error at or near "SELEC"$/, at: 13 },
    { sql: 'UPDATE e.t SET n = 1', message: /^UPDATE requires a WHERE clause/ },
    { sql: 'DELETE FROM e.t', message: /^DELETE requires a WHERE clause/ },
    { sql: 'CREATE TABLE e.x (id INT, ID TEXT)', message: /Duplicate column name 'id'/, at: 'ID TEXT' },
    { sql: 'CREATE TABLE e.x (id WIBBLE)', message: /Unsupported data type: WIBBLE/, at: 'WIBBLE' },
    { sql: 'CREATE TABLE e.x (id INT) WITH (WIBBLE = 1)', message: /Unknown table option 'WIBBLE'/, at: 'WIBBLE' },
    { sql: "CREATE USER x WITH PASSWORD 'Long-Enough-7!' ROLE 'wibble'", message: /^Unknown role 'wibble'/, at: "'wibble'" },
    { sql: 'SELECT max(max(n)) FROM e.t', message: /cannot be nested/, at: 'max(max' },
  ],
  BATCH_PARSE: [
    { sql: "SELECT 1; SELECT 'open", message: /^Unterminated quoted string in SQL batch$/, at: "'open" },
    { sql: 'SELECT "open', message: /^Unterminated quoted string in SQL batch$/, at: '"open' },
    { sql: 'SELECT 1 /* open', message: /^Unterminated block comment in SQL batch$/, at: '/*' },
  ],
  PARAMS_WITH_BATCH: [{ sql: 'SELECT $1; SELECT 2', params: [1], message: /^Parameters not supported with multi-statement batches$/ }],
  INVALID_PARAMETER: [
    { sql: 'SELECT id, $1 FROM e.t', message: /\$1/, at: '$1' },
    { sql: 'SELECT $1 || $3', params: ['a', 'b'], message: /\$3/, at: '$3' },
    { sql: 'SELECT 1', params: Array(51).fill(1), message: /^Parameter count exceeded: maximum 50 parameters allowed, got 51$/ },
    { sql: 'SELECT $1', params: ['x'.repeat(524289)], message: /^Parameter size exceeded: parameter at index 0 is 524289 bytes \(max 524288 bytes\)$/ },
  ],
  EXEC: [
    { sql: 'SELECT 1 FROM e.t a, e.t b WHERE n = 1', message: /column reference "n" is ambiguous$/, at: 'n = 1' },
    { sql: 'SELECT 1 / 0', message: /^Statement 1 failed: division by zero$/ },
    { sql: 'SELECT 1; SELECT n / 0 FROM e.t', message: /^Statement 2 failed: division by zero$/ },
    { sql: 'ALTER TABLE e.t DROP COLUMN id', message: /Column 'id' is a PRIMARY KEY and cannot be dropped/ },
    { sql: 'DROP NAMESPACE system', message: /'system' is reserved/ },
    { sql: 'SELECT 1; COMMIT', message: /^Statement 2 failed: COMMIT requires an active explicit SQL transaction$/ },
    { sql: 'BEGIN; DELETE FROM e.t WHERE TRUE', message: /^Request completed with an open explicit transaction; rolled back automatically$/ },
    { sql: 'BEGIN; DELETE FROM e.t WHERE TRUE; SELECT 1 / 0; COMMIT', message: /^Statement 3 failed: division by zero$/ },
  ],
  NOT_FOUND: [
    { sql: 'SELECT nope FROM e.t a, e.t b', message: /column "nope" does not exist$/, at: 'nope' },
    { sql: 'SELECT count(*) FROM e.t GROUP BY nope', message: /column "nope" does not exist$/, at: 'nope' },
    { sql: 'SELECT id FROM e.t UNION SELECT nope FROM e.t', message: /column "nope" does not exist$/, at: 'nope' },
    { sql: 'WITH c AS (SELECT id FROM e.t) SELECT c.nope FROM c', message: /column c\.nope does not exist$/, at: 'c.nope' },
    { sql: 'UPDATE e.t SET n = q.nope FROM (SELECT id AS k FROM e.t) q WHERE q.k = id', message: /column q\.nope does not exist$/, at: 'q.nope' },
    { sql: 'SELECT nope FROM e.t', message: /column "nope" does not exist$/, at: 'nope' },
    { sql: 'SELECT 1; SELECT id FROM e.nope', message: /Table not found: e\.nope$/, at: 'e.nope' },
    { sql: 'SELECT id FROM nope.t', message: /Table not found: nope\.t$/, at: 'nope.t' },
    { sql: 'SELECT nope(1)', message: /function nope\(.*does not exist/, at: 'nope' },
    { sql: 'SELECT x.id FROM e.t', message: /missing FROM-clause entry for table "x"$/, at: 'x.id' },
    { sql: 'UPDATE e.t SET nope = 1 WHERE id = 1', message: /column "nope" does not exist$/, at: 'nope' },
    { sql: 'INSERT INTO e.t (id, nope) VALUES (1, 1)', message: /Column 'nope' does not exist$/, at: 'nope' },
    { sql: 'USE nope', message: /^Namespace 'nope' does not exist$/, at: 'nope' },
    { sql: 'DROP NAMESPACE nope', message: /Not found: Namespace 'nope' not found$/ },
    { sql: 'DROP TABLE e.nope', message: /Not found: Table 'nope' not found in namespace 'e'$/, at: 'e.nope' },
    { sql: 'CREATE TABLE nope.t (id INT PRIMARY KEY)', message: /Namespace 'nope' does not exist\. Create it first with CREATE NAMESPACE nope$/ },
    { sql: 'ALTER TABLE e.t DROP COLUMN nope', message: /Column 'nope' does not exist$/, at: 'nope' },
    { sql: 'CREATE INDEX i ON e.t (nope)', message: /column "nope" does not exist$/, at: 'nope' },
    { sql: 'CREATE INDEX i ON e.nope (a)', message: /Table not found: e\.nope$/, at: 'e.nope' },
    { sql: 'DROP INDEX e.nope', message: /index "e\.nope" does not exist$/, at: 'e.nope' },
    { sql: 'DROP VIEW e.nope', message: /View 'e\.nope' does not exist$/, at: 'e.nope' },
    { sql: 'CREATE VIEW e.v AS SELECT nope FROM e.t', message: /column "nope" does not exist$/, at: 'nope' },
    { sql: 'EXPLAIN SELECT nope FROM e.t', message: /column "nope" does not exist$/, at: 'nope' },
    { sql: 'INSERT INTO e.t (id, n) VALUES (1, 1) ON CONFLICT (nope) DO NOTHING', message: /column "nope" does not exist$/, at: '(nope' },
    { sql: 'INSERT INTO e.t (id, n) VALUES (2, 1) RETURNING nope', message: /column "nope" does not exist$/, at: 'nope' },
    { sql: 'DROP USER nope', message: /User 'nope' not found$/ },
  ],
  EXISTS: [
    { sql: 'CREATE NAMESPACE e', message: /Already exists: Namespace 'e' already exists$/ },
    { sql: 'CREATE TABLE e.t (id INT PRIMARY KEY)', message: /Table e\.t already exists$/ },
    { sql: 'ALTER TABLE e.t ADD COLUMN v TEXT', message: /Column 'v' already exists$/ },
    { sql: "CREATE USER root WITH PASSWORD 'Long-Enough-7!' ROLE 'user'", message: /User 'root' already exists$/ },
  ],
  CONSTRAINT: [
    { sql: 'INSERT INTO e.t (id, n) VALUES (1, 2)', message: /^Statement 1 failed: Primary key violation: value '1' already exists in column 'id'$/ },
    { sql: 'SELECT 1; INSERT INTO e.t (id, n) VALUES (2, 2), (3, NULL)', message: /^Statement 2 failed: NOT NULL constraint violation: column 'n' cannot be NULL \(row 2\)$/ },
    { sql: 'INSERT INTO e.t (id) VALUES (2)', message: /NOT NULL constraint violation: column 'n'/ },
    { sql: 'UPDATE e.t SET n = NULL WHERE id = 1', message: /NOT NULL constraint violation: column 'n'/ },
    { sql: 'INSERT INTO e.u VALUES (2, 5, 1)', message: /Unique constraint violation: value '5' already exists in column 'k' \(duplicate key, index "u_k_key"\)$/ },
    { sql: 'UPDATE e.u SET n = 0 WHERE id = 1', message: /Check constraint violation: new row violates check constraint "positive" of table e\.u$/ },
    { sql: 'INSERT INTO e.u VALUES (3, 6, -1)', message: /violates check constraint "positive"/ },
    { sql: 'CREATE UNIQUE INDEX once ON e.twice (v)', message: /could not create unique index "once"/ },
    { sql: 'ALTER TABLE e.t ALTER COLUMN m SET NOT NULL', message: /Column 'm' of table e\.t contains NULL values and cannot be NOT NULL$/ },
    { sql: 'ALTER TABLE e.t ADD CONSTRAINT c CHECK (n > 5)', message: /check constraint "c" of table e\.t is violated by some row$/ },
    { sql: 'ALTER TABLE e.t ALTER COLUMN v TYPE INT', message: /Column 'v' of table e\.t cannot become INT: the value 'x' does not fit/ },
    { sql: 'UPDATE e.t SET id = 2 WHERE id = 1', message: /UPDATE cannot modify primary key column 'id'$/, at: 'id = 2' },
  ],
  TYPE: [
    { sql: "SELECT 'x'::INT", message: /invalid input syntax for type integer: "x"$/, at: "'x'" },
    { sql: "SELECT 'a' + 1", message: /invalid input syntax for type bigint: "a"$/, at: "'a'" },
    { sql: "SELECT 1 + 'a'", message: /invalid input syntax for type bigint: "a"$/, at: "'a'" },
    { sql: 'SELECT id FROM e.t WHERE 1 + id', message: /argument of WHERE must be type boolean, not type bigint$/, at: '1 + id' },
    { sql: 'SELECT a.id FROM e.t a, e.t b WHERE a.n', message: /argument of WHERE must be type boolean, not type integer$/, at: 'a.n' },
    { sql: 'SELECT id FROM e.t WHERE v + 1 > 2', message: /operator does not exist: text \+ bigint$/, at: '+', hint: /explicit type casts/ },
    { sql: 'SELECT 1 + true', message: /operator does not exist: bigint \+ boolean$/, at: '+', hint: /explicit type casts/ },
    { sql: 'SELECT 9223372036854775807 + 1', message: /bigint out of range$/ },
    { sql: 'INSERT INTO e.t (id, n) VALUES (2147483648, 1)', message: /integer out of range$/ },
    { sql: "INSERT INTO e.t (id, n) VALUES (2, 'x')", message: /invalid input syntax for type integer: "x"$/ },
    { sql: "INSERT INTO e.t (id, n, m) VALUES (2, 1, '12345.6')", message: /out of range/ },
  ],
  UNSUPPORTED: [
    { sql: 'VACUUM', message: /^VACUUM is not available in this version$/ },
    { sql: "COPY e.t TO '/tmp/x'", message: /^COPY is not available in this version$/ },
    { sql: 'CREATE TABLE e.x (id INT PRIMARY KEY REFERENCES e.t (id))', message: /^REFERENCES is not available in this version$/, at: 'REFERENCES', hint: /Foreign keys/ },
    { sql: 'SET wibble = 5', message: /^SET wibble is not available in this version$/, at: 'wibble', hint: /statement_timeout/ },
    { sql: 'GRANT SELECT ON e.t TO u', message: /^GRANT is not available in this version$/ },
    { sql: "UPDATE e.s SET v = 'x' WHERE id = 1", message: /^UPDATE not supported for STREAM tables$/ },
  ],
  TOO_LARGE: [
    { sql: "SELECT repeat('x', 2000000000)", message: /memory budget|too large/ },
    { sql: "SELECT repeat('x', 60000000) || repeat('y', 60000000)", message: /memory budget|too large|max_result_bytes/ },
  ],
  async TIMEOUT({ isolated }) {
    await isolated({ config: { 'execution.statement_timeout_ms': 1000 } }, async (s) => {
      await s.root().all('CREATE NAMESPACE e; CREATE TABLE e.t (id INT PRIMARY KEY)');
      for (let from = 0; from < 20_000; from += 1000) { // the timeout is for these too
        await s.root().ok(`INSERT INTO e.t VALUES ${Array.from({ length: 1000 }, (_, i) => `(${from + i})`).join(',')}`);
      }
      const sql = "SELECT count(*) FROM e.t a, e.t b, e.t c WHERE (a.id + b.id + c.id)::TEXT = 'x'";
      check('TIMEOUT', await s.root().sql(sql), { sql, message: /time/i });
    });
  },
  CANCELLED: { never: 'the client that cancelled is no longer there to be told' },

  async MISSING_AUTHORIZATION({ server }) {
    check('MISSING_AUTHORIZATION', await sqlWith(server, {}), { ...request1, message: /^Authentication required$/ });
  },
  async INVALID_CREDENTIALS({ server }) {
    for (const headers of [{ authorization: 'Bearer x.y.z' }, { authorization: 'Wibble x' }, basic('uma', 'wrong'), basic('nobody', 'x')]) {
      check('INVALID_CREDENTIALS', await sqlWith(server, headers), { ...request1, message: /^Invalid credentials$|^Invalid username or password$/ });
    }
  },
  async TOKEN_EXPIRED({ server }) {
    const part = (x: unknown) => Buffer.from(JSON.stringify(x)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const claims = { sub: 'uma', iss: 'kalamdb', exp: now - 3600, iat: now - 7200, email: null, role: 'user', token_type: 'access' };
    const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
    const token = `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
    check('TOKEN_EXPIRED', await sqlWith(server, { authorization: `Bearer ${token}` }), { ...request1, message: /./ });
  },
  async ACCOUNT_LOCKED({ server }) {
    await server.createUser('lou');
    let reply = await sqlWith(server, basic('lou', 'wrong'));
    for (let i = 0; i < 20 && reply.error!.code === 'INVALID_CREDENTIALS'; i++) {
      reply = await sqlWith(server, basic('lou', 'wrong'));
    }
    check('ACCOUNT_LOCKED', reply, { ...request1, message: /^Account locked/ });
  },
  async SETUP_REQUIRED({ server }) {
    check('SETUP_REQUIRED', await sqlWith(server, basic('root', '')), { ...request1, message: /setup/i });
  },
  // Only a login can be from elsewhere; the routes of authentication have an envelope of their own.
  async REMOTE_ACCESS_DENIED({ server }) {
    const reply = await fetch(`${server.url}/v1/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.9' },
      body: JSON.stringify({ user: 'root', password: 'anything' }),
    });
    assert.equal(reply.status, codes.get('REMOTE_ACCESS_DENIED')!.http);
    assert.deepEqual(await reply.json(), { error: 'forbidden', message: 'Remote access denied: root has no password' });
  },
  PERMISSION_DENIED: [
    { sql: 'CREATE NAMESPACE mine', as: 'user', message: /^Admin privileges \(DBA or System role\) required for namespace operations$/ },
    { sql: 'SELECT 1; DROP TABLE e.t', as: 'user', message: /privileges/ },
    { sql: 'SELECT * FROM system.users', as: 'user', message: /cannot access table 'system\.users'/ },
    { sql: "EXECUTE AS USER 'root' (SELECT 1)", as: 'user', message: /EXECUTE AS USER is not authorized: actor 'uma' with role user cannot target 'root'/i },
  ],
  async RATE_LIMIT({ isolated }) {
    await isolated({ config: { 'rate_limit.max_queries_per_sec': 2 } }, async (s) => {
      const r = s.root();
      const refused = (await Promise.all(Array.from({ length: 20 }, () => r.sql('SELECT 1')))).filter((x) => x.status === 'error');
      assert.ok(refused.length > 0);
      check('RATE_LIMIT', refused[0], { ...request1, message: /^Too many queries per second\. Please slow down\.$/ });
    });
  },

  async OVERLOADED({ isolated }) {
    await isolated({ config: { 'stream.max_memory_bytes': 1048576 } }, async (s) => {
      const uma = await s.createUser('uma');
      await s.root().all("CREATE NAMESPACE e; CREATE TABLE e.s (v TEXT) WITH (TYPE='STREAM', TTL_SECONDS=600)");
      const sql = `INSERT INTO e.s VALUES ('${'x'.repeat(700_000)}')`;
      await s.root().ok(sql);
      check('OVERLOADED', await uma.sql(sql), { sql, message: /^Statement 1 failed: memory of stream tables is full \(1048576 bytes\)/ });
    });
  },
  async SHUTTING_DOWN({ isolated }) {
    await isolated({ config: { 'execution.statement_timeout_ms': 2000 } }, async (s) => {
      await s.root().all('CREATE NAMESPACE e; CREATE TABLE e.t (id INT PRIMARY KEY)');
      await s.root().ok(`INSERT INTO e.t VALUES ${Array.from({ length: 20_000 }, (_, i) => `(${i})`).join(',')}`);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const token = s.root().token;
      const ask = () =>
        new Promise<Reply>((done, fail) => {
          const r = request(`${s.url}/v1/api/sql`, { method: 'POST', agent, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } }, (res) => {
            let text = '';
            res.on('data', (d) => (text += d)).on('end', () => done({ http: res.statusCode!, headers: new Headers(res.headers as Record<string, string>), ...JSON.parse(text) }));
          });
          r.on('error', fail);
          r.end('{"sql":"SELECT 1"}');
        });
      assert.equal((await ask()).http, 200);
      const slow = s.root().sql("SELECT count(*) FROM e.t a, e.t b, e.t c WHERE (a.id + b.id + c.id)::TEXT = 'x'").catch(() => undefined);
      await new Promise((done) => setTimeout(done, 200));
      const stopping = s.stop();
      // what comes on an open connection while the slow statement is waited for
      let reply = await ask();
      for (let i = 0; i < 50 && reply.http === 200; i++) {
        reply = await ask();
      }
      agent.destroy();
      check('SHUTTING_DOWN', reply, { ...request1, message: /^the server is shutting down$/i });
      await slow;
      await stopping;
    });
  },
  NOT_LEADER: { never: 'one server has no followers' },
  NOMEM: { never: 'the machine would have to be out of memory; what a client sends is bounded before (TOO_LARGE)' },
  // No file may grow: what RocksDB writes first is refused.
  async IO({ isolated }) {
    await isolated({ wrapper: ['sh', '-c', "trap '' XFSZ; exec \"$@\"", 'sh'] }, async (s) => {
      await s.root().all('CREATE NAMESPACE e; CREATE TABLE e.t (id INT PRIMARY KEY)');
      const uma = await s.createUser('uma');
      assert.equal(spawnSync('prlimit', ['--pid', String(s.pid), '--fsize=1:1']).status, 0);
      const sql = 'INSERT INTO e.t VALUES (1)';
      check('IO', await s.root().sql(sql), { sql, message: /^Statement 1 failed: / });
      check('IO', await s.root().sql(sql), { sql, message: /^Statement 1 failed: / }); // and stays so until a restart
      await uma.ok('SELECT 1');
      await s.kill();
    });
  },
  // Bytes of a data file change while the server is down. Others than admins learn a request id only.
  async CORRUPT({ isolated }) {
    await isolated({}, async (s) => {
      await s.root().all("CREATE NAMESPACE e; CREATE TABLE e.t (id INT PRIMARY KEY, v TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC')");
      await s.createUser('uma');
      for (let i = 0; i < 40; i++) {
        const noise = Array.from({ length: 2000 }, () => Math.random().toString(36).slice(2)).join('');
        await s.root().ok(`INSERT INTO e.t VALUES (${i}, '${noise}')`);
      }
      await s.restart(); // what was in the log is now in a data file
      await s.stop();
      const files = (readdirSync(s.dataDir, { recursive: true }) as string[]).filter((f) => f.endsWith('.sst')).map((f) => join(s.dataDir, f));
      const largest = files.sort((a, b) => statSync(b).size - statSync(a).size)[0];
      const bytes = readFileSync(largest);
      for (let i = Math.floor(bytes.length / 3); i < Math.floor((bytes.length * 2) / 3); i += 512) {
        bytes[i] ^= 0xff;
      }
      writeFileSync(largest, bytes);
      await s.start();
      const sql = 'SELECT count(v) FROM e.t';
      check('CORRUPT', await s.root().sql(sql), { sql, message: /^Statement 1 failed: / });
      const reply = await (await s.login('uma')).sql(sql);
      check('CORRUPT', reply, { sql, message: /^The server could not run this request \(request id [^ ]+\)$/ });
      assert.equal(reply.error!.details, undefined);
      await s.root().ok('SELECT 1');
      await s.kill();
    });
  },
  INTERNAL: { never: 'says that a program error was caught; the ones that are known are mended' },
  STALE_PLAN: { never: 'makes the server plan again' },
  AGAIN: { never: 'is between parts of the server' },
  END: { never: 'is between parts of the server' },
};

let server: Server;
let tools: Tools;
before(async () => {
  server = await Server.start({ config: { 'auth.jwt_secret': secret } });
  const r = server.root();
  await r.all(`CREATE NAMESPACE e;
    CREATE TABLE e.t (id INT PRIMARY KEY, v TEXT, n INT NOT NULL, m DECIMAL(5,2)) WITH (TYPE='USER');
    CREATE TABLE e.s (id INT, v TEXT) WITH (TYPE='STREAM', TTL_SECONDS=60);
    CREATE TABLE e.u (id INT PRIMARY KEY, k INT UNIQUE, n INT, CONSTRAINT positive CHECK (n > 0)) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC');
    INSERT INTO e.u VALUES (1, 5, 1);
    CREATE TABLE e.twice (v INT) WITH (TYPE='USER');
    INSERT INTO e.twice VALUES (1), (1);
    INSERT INTO e.t (id, v, n) VALUES (1, 'x', 1)`);
  const isolated = async (options: StartOptions, run: (s: Server) => Promise<void>) => {
    const s = await Server.start(options);
    try {
      await run(s);
      await s.stop();
    } finally {
      await s.kill().catch(() => undefined);
    }
  };
  tools = { server, root: r, user: await server.createUser('uma'), isolated, check };
});
after(async () => {
  await server.stop();
});

describe('the catalogue of errors', { concurrency: false }, () => {
  test('is complete', () => {
    assert.ok(codes.size >= 33, 'api/errors.def is not read as it is written');
    assert.equal(codes.size, (readFileSync(join(root, 'api/errors.def'), 'utf8').match(/^KL_ERROR\(/gm) ?? []).length);
    assert.deepEqual(Object.keys(catalogue).sort(), [...codes.keys()].sort());
  });
  for (const [name, provoked] of Object.entries(catalogue)) {
    if (Array.isArray(provoked)) {
      test(`${name} (${provoked.length})`, async () => {
        for (const failing of provoked) {
          const client = failing.as === 'user' ? tools.user : tools.root;
          const reply = await client.sql(failing.sql, failing.params);
          check(name, reply, failing);
          // who may see the statement that failed, sees it
          if (failing.as === 'user') {
            assert.equal(reply.error!.details, undefined);
          }
        }
        assert.deepEqual(await tools.root.rows('SELECT id, v, n FROM e.t'), [[1, 'x', 1]], 'nothing was changed');
      });
    } else if (typeof provoked === 'function') {
      test(name, { timeout: 60_000 }, () => provoked(tools));
    }
  }
  test('an error of the request itself says so, without position', async () => {
    for (const body of ['{"sql": "SELECT 1"', '', '[]', '{"sql": 7}', '{"params": []}']) {
      const reply = await sqlWith(server, { authorization: `Bearer ${server.root().token}` }, body);
      check('INVALID_INPUT', reply, { sql: body, message: /^Invalid JSON payload:/ });
    }
  });
  test('positions count bytes of the whole request', async () => {
    const sql = "/* é */ SELECT 'ü', 1;\n  -- ö\n  SELECT nope FROM e.t";
    check('NOT_FOUND', await tools.root.sql(sql), { sql, message: /nope/, at: 'nope' });
  });
});
