// The HTTP surface: envelopes, error codes, parameters, batches, authentication, roles.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Client } from './lib/http.js';
import { eventually } from './lib/random.js';
import { Server } from './lib/server.js';

const secret = 'a-secret-that-only-this-test-knows-0123456789';
let server: Server;
let root: Client;
let user: Client;
let service: Client;
let dba: Client;
before(async () => {
  server = await Server.start({ config: { 'auth.jwt_secret': secret } });
  root = server.root();
  user = await server.createUser('uma');
  service = await server.createUser('sven', 'service');
  dba = await server.createUser('dora', 'dba');
  await root.message('CREATE NAMESPACE n');
  await root.message("CREATE TABLE n.u (id BIGINT PRIMARY KEY, t TEXT NOT NULL) WITH (TYPE='USER')");
  await root.message("CREATE TABLE n.pub (id BIGINT PRIMARY KEY, t TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC')");
  await root.message("CREATE TABLE n.priv (id BIGINT PRIMARY KEY, t TEXT) WITH (TYPE='SHARED')");
  await root.message("CREATE TABLE n.adm (id BIGINT PRIMARY KEY, t TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='DBA')");
});
after(async () => {
  await server.stop();
});

function jwt(claims: Record<string, unknown>, key = secret, header: Record<string, unknown> = { alg: 'HS256', typ: 'JWT' }): string {
  const part = (x: unknown) => Buffer.from(JSON.stringify(x)).toString('base64url');
  const head = `${part(header)}.${part(claims)}`;
  return `${head}.${createHmac('sha256', key).update(head).digest('base64url')}`;
}
const bearer = (token: string, id = '?') => new Client(() => server.url, () => token, id);

async function raw(path: string, init: RequestInit): Promise<{ status: number; json: any; text: string; headers: Headers }> {
  const reply = await fetch(server.url + path, init);
  const text = await reply.text();
  let json: any;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: reply.status, json, text, headers: reply.headers };
}
async function sqlRaw(body: string | Buffer, headers: Record<string, string> = {}) {
  return await raw('/v1/api/sql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${root.token}`, ...headers },
    body: body as string,
  });
}
function isError(r: { status: number; json: any; text: string }, http: number, code: string, message?: RegExp) {
  assert.equal(r.status, http, r.text);
  assert.equal(r.json?.status, 'error', r.text);
  assert.equal(r.json.error.code, code, r.text);
  assert.deepEqual(r.json.results, [], r.text);
  assert.equal(typeof r.json.took, 'number', r.text);
  if (message) {
    assert.match(r.json.error.message, message, r.text);
  }
}

describe('envelope', () => {
  test('rows', async () => {
    const r = await sqlRaw(JSON.stringify({ sql: "SELECT 1 AS one, 'x' AS t, NULL AS n, true AS b, 1.5 AS d" }));
    assert.equal(r.status, 200);
    assert.match(r.headers.get('content-type')!, /^application\/json/);
    assert.equal(r.json.status, 'success');
    assert.ok(r.json.error === undefined || r.json.error === null);
    assert.ok(r.json.took >= 0);
    assert.match(r.text, /"took":\d+(\.\d{1,3})?[,}]/);
    const [result] = r.json.results;
    assert.deepEqual(result.schema.map((c: any) => [c.name, c.index]), [['one', 0], ['t', 1], ['n', 2], ['b', 3], ['d', 4]]);
    assert.equal(result.schema[0].data_type, 'BigInt');
    assert.deepEqual(result.rows[0].slice(0, 4), ['1', 'x', null, true]);
    assert.equal(result.row_count, 1);
    assert.equal(result.as_user, 'root');
    assert.equal('message' in result, false);
    assert.equal('flags' in result.schema[0], false);
  });
  test('no rows still carries schema and rows', async () => {
    const r = await root.ok('SELECT * FROM n.u');
    assert.deepEqual(r.rows, []);
    assert.equal(r.row_count, 0);
    assert.deepEqual(r.schema!.map((c) => [c.name, c.data_type, c.flags]), [
      ['id', 'BigInt', ['pk', 'nn', 'uq']],
      ['t', 'Text', ['nn']],
      ['_seq', 'BigInt', ['nn']],
      ['_deleted', 'Boolean', ['nn']],
    ]);
  });
  test('DML and DDL have a message and neither schema nor rows', async () => {
    const r = await sqlRaw(JSON.stringify({ sql: "INSERT INTO n.u VALUES (100, 'a'), (101, 'b')" }));
    assert.deepEqual(r.json.results, [{ row_count: 2, message: 'Inserted 2 row(s)', as_user: 'root' }]);
    assert.equal(await root.message("UPDATE n.u SET t = 'c' WHERE id = 100"), 'Updated 1 row(s)');
    assert.equal(await root.message("UPDATE n.u SET t = 'c' WHERE id = 100"), 'Updated 0 row(s)');
    assert.equal(await root.message('DELETE FROM n.u WHERE id IN (100, 101, 102)'), 'Deleted 2 row(s)');
  });
  test('request id', async () => {
    const r = await sqlRaw(JSON.stringify({ sql: 'SELECT 1' }), { 'x-request-id': 'abc-123' });
    assert.equal(r.headers.get('x-request-id'), 'abc-123');
    const made = await sqlRaw(JSON.stringify({ sql: 'SELECT 1' }));
    assert.ok(made.headers.get('x-request-id'));
    const hostile = await sqlRaw(JSON.stringify({ sql: 'SELECT 1' }), { 'x-request-id': 'x'.repeat(3000) });
    assert.notEqual(hostile.headers.get('x-request-id')?.length, 3000);
  });
  test('positions point into the request', async () => {
    const sql = 'SELECT 1;\nSELECT nope FROM n.u';
    const e = await root.fail(sql, undefined, /nope/);
    if (e.position !== undefined) {
      assert.equal(e.position, sql.indexOf('nope') + 1);
    } else {
      assert.fail(`no position: ${JSON.stringify(e)}`);
    }
  });
});

describe('errors of /v1/api/sql', () => {
  test('bad input', async () => {
    isError(await sqlRaw('{"sql": "SELECT 1"'), 400, 'INVALID_INPUT', /^Invalid JSON payload:/);
    isError(await sqlRaw(''), 400, 'INVALID_INPUT', /^Invalid JSON payload:/);
    isError(await sqlRaw('[]'), 400, 'INVALID_INPUT', /^Invalid JSON payload:/);
    isError(await sqlRaw('{"sql": 7}'), 400, 'INVALID_INPUT', /^Invalid JSON payload:/);
    isError(await sqlRaw('{"params": []}'), 400, 'INVALID_INPUT', /^Invalid JSON payload:/);
    isError(await sqlRaw('{"sql":"SELECT 1"} x'), 400, 'INVALID_INPUT', /^Invalid JSON payload:/);
    isError(await sqlRaw('{"sql":"SELECT 1","params":{}}'), 400, 'INVALID_INPUT', /^Invalid JSON payload:/);
    isError(await sqlRaw('{"sql":"SELECT 1"}', { 'content-type': 'text/plain' }), 400, 'INVALID_INPUT', /^Invalid JSON payload:/);
    isError(await sqlRaw(Buffer.from('7b2273716c223a2253454c45435420' + '27ff27227d', 'hex')), 400, 'INVALID_INPUT', /^Invalid JSON payload:/);
    isError(await sqlRaw('{"sql":"SELECT \'\\ud800\'"}'), 400, 'INVALID_INPUT');
    isError(await sqlRaw('{"sql":' + '['.repeat(100000)), 400, 'INVALID_INPUT');
  });
  test('unknown fields are ignored, null counts as absent', async () => {
    const r = await sqlRaw('{"namespace":"x","sql":"SELECT 1","params":null,"namespace_id":null,"more":{"a":[1,{"b":2}]}}');
    assert.equal(r.status, 200, r.text);
  });
  test('EMPTY_SQL', async () => {
    for (const sql of ['', '   ', ';;', '-- nothing', '/* nothing */ ;']) {
      isError(await sqlRaw(JSON.stringify({ sql })), 400, 'EMPTY_SQL');
    }
  });
  test('INVALID_SQL', async () => {
    await root.fail('SELEC 1', 'INVALID_SQL');
    await root.fail('SELECT 1 +', 'INVALID_SQL');
    await root.fail('VACUUM', ['INVALID_SQL', 'SQL_EXECUTION_ERROR']);
    await root.fail(`SELECT '${'x'.repeat(1048577)}'`, 'INVALID_SQL', /SQL query too long: \d+ bytes \(maximum 1048576 bytes\)/);
    await root.ok(`SELECT '${'x'.repeat(1048000)}'`);
  });
  test('BATCH_PARSE_ERROR', async () => {
    await root.fail("SELECT 'abc", 'BATCH_PARSE_ERROR', /Unterminated quoted string/);
    await root.fail('SELECT 1 /* open', 'BATCH_PARSE_ERROR', /Unterminated block comment/);
  });
  test('execution errors name the statement', async () => {
    const e = await root.fail('SELECT * FROM n.nope', undefined, /nope/);
    assert.equal(e.code, 'SQL_EXECUTION_ERROR');
    await root.fail('INSERT INTO n.u VALUES (1, NULL)', 'SQL_EXECUTION_ERROR', /^Statement 1 failed: .*NOT NULL/i);
    await root.fail("INSERT INTO n.u (id) VALUES (1)", 'SQL_EXECUTION_ERROR', /NOT NULL|null value/i);
    await root.fail("INSERT INTO n.u VALUES (1, 'a'), (1, 'b')", 'SQL_EXECUTION_ERROR', /[Pp]rimary key violation/);
    await root.fail('SELECT 1 / 0', 'SQL_EXECUTION_ERROR', /division by zero/);
    await root.fail('SELECT 9223372036854775807 + 1', 'SQL_EXECUTION_ERROR', /out of range/);
    await root.fail('UPDATE n.u SET t = 1', undefined, /UPDATE requires a WHERE clause/);
    await root.fail('DELETE FROM n.u', undefined, /DELETE requires a WHERE clause/);
    await root.message("DELETE FROM n.u WHERE TRUE");
    await root.fail('UPDATE n.u SET id = 2 WHERE id = 1', undefined, /primary key/i);
    await root.fail('CREATE NAMESPACE n', 'SQL_EXECUTION_ERROR', /already exists/);
    await root.fail('DROP NAMESPACE none', 'SQL_EXECUTION_ERROR', /not found/);
    await root.fail('CREATE TABLE none.t (id INT PRIMARY KEY)', undefined, /Namespace 'none' does not exist/);
  });
  test('details only for admins', async () => {
    const admin = await root.fail('SELECT * FROM n.nope');
    assert.match(admin.details!, /SELECT \* FROM n\.nope/);
    const plain = await user.fail('SELECT * FROM n.nope');
    assert.equal(plain.details, undefined);
  });
  test('body limit', async () => {
    const small = await Server.start({ config: { 'rate_limit.request_body_limit_bytes': 4096 } });
    try {
      const reply = await small.root().post('/v1/api/sql', { sql: `SELECT '${'x'.repeat(8000)}'` });
      assert.equal(reply.status, 413);
      const json = (await reply.json()) as any;
      assert.equal(json.error, 'BODY_TOO_LARGE');
      assert.equal(json.max_bytes, 4096);
      await small.root().ok(`SELECT '${'x'.repeat(3000)}'`);
    } finally {
      await small.stop();
    }
  });
  test('the result limit says so', async () => {
    const small = await Server.start({ config: { 'limits.max_result_bytes': 65536 } });
    try {
      const r = small.root();
      await r.fail(`SELECT repeat('x', 70000)`, 'SQL_EXECUTION_ERROR', /65536|max_result_bytes/);
      await r.ok(`SELECT repeat('x', 60000)`);
    } finally {
      await small.stop();
    }
  });
  test('query rate', async () => {
    const slow = await Server.start({ config: { 'rate_limit.max_queries_per_sec': 5 } });
    try {
      const r = slow.root();
      const replies = await Promise.all(Array.from({ length: 40 }, () => r.sql('SELECT 1')));
      const refused = replies.filter((x) => x.http === 429);
      assert.ok(refused.length >= 25 && refused.length < 40, `${refused.length} of 40 refused`);
      assert.equal(refused[0].error!.code, 'RATE_LIMIT_EXCEEDED');
    } finally {
      await slow.stop();
    }
  });
});

describe('parameters', () => {
  test('kinds', async () => {
    await root.message("CREATE TABLE n.p (id BIGINT PRIMARY KEY, i INT, d DOUBLE, b BOOLEAN, t TEXT, ts TIMESTAMP, j JSON, e EMBEDDING(3), y BYTES) WITH (TYPE='USER')");
    await root.ok('INSERT INTO n.p VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
      '42', 7, 1.25, true, "O'Brien; -- $1", '2026-01-02T03:04:05Z', { a: [1, 2] }, [1, 0.5, -2], [222, 173],
    ]);
    const row = (await root.objects("SELECT * FROM n.p WHERE id = '42'"))[0];
    assert.equal(row.id, '42');
    assert.equal(row.i, 7);
    assert.equal(row.d, 1.25);
    assert.equal(row.b, true);
    assert.equal(row.t, "O'Brien; -- $1");
    assert.equal(row.ts, Date.UTC(2026, 0, 2, 3, 4, 5) * 1000);
    assert.deepEqual(JSON.parse(row.j as string), { a: [1, 2] });
    assert.deepEqual(row.e, [1, 0.5, -2]);
    assert.deepEqual(row.y, [222, 173]);
    assert.equal(await root.value('SELECT COUNT(*) FROM n.p WHERE id = $1', [42]), '1');
    assert.equal(await root.value('SELECT COUNT(*) FROM n.p WHERE id = $1', ['42']), '1');
    await root.ok('INSERT INTO n.p (id, t, i) VALUES ($1, $2, $3)', [43, null, null]);
    assert.deepEqual(await root.rows('SELECT t, i FROM n.p WHERE id = 43'), [[null, null]]);
    assert.deepEqual(await root.rows('SELECT $2, $1', ['a', 'b']), [['b', 'a']]);
    assert.equal(await root.message('UPDATE n.p SET t = $2 WHERE id = $1', [43, 'x']), 'Updated 1 row(s)');
    assert.equal(await root.message('DELETE FROM n.p WHERE id = $1', [43]), 'Deleted 1 row(s)');
  });
  test('limits and errors', async () => {
    await root.fail('SELECT $1', 'INVALID_PARAMETER', undefined, []);
    await root.fail('SELECT $2', 'INVALID_PARAMETER', undefined, [1]);
    await root.fail('SELECT $1; SELECT 2', 'PARAMS_WITH_BATCH', /Parameters not supported with multi-statement batches/, [1]);
    await root.fail('SELECT 1', 'INVALID_PARAMETER', /Parameter count exceeded: maximum 50 parameters allowed, got 51/, Array(51).fill(1));
    await root.ok('SELECT $50', Array(50).fill(1));
    await root.fail('SELECT $1', 'INVALID_PARAMETER', /Parameter size exceeded/, ['x'.repeat(524289)]);
    await root.ok('SELECT $1', ['x'.repeat(524288)]);
  });
  test('text is never SQL', async () => {
    const nasty = `'); DROP TABLE n.p; --`;
    assert.equal(await root.value('SELECT $1', [nasty]), nasty);
    await root.ok('SELECT * FROM n.p');
  });
});

describe('several statements', () => {
  test('one result each, in order', async () => {
    const results = await root.all("INSERT INTO n.u VALUES (1, 'a'); SELECT t FROM n.u WHERE id = 1; UPDATE n.u SET t = 'b' WHERE id = 1; UPDATE n.u SET t = 'b' WHERE id = 9; DELETE FROM n.u WHERE id = 1;");
    assert.deepEqual(results.map((r) => r.message ?? r.rows), ['Inserted 1 row(s)', [['a']], 'Updated 1 row(s)', 'Updated 0 row(s)', 'Deleted 1 row(s)']);
  });
  test('nothing runs when one does not parse or is not allowed', async () => {
    await root.fail("INSERT INTO n.u VALUES (2, 'a'); SELEC 1", ['INVALID_SQL', 'BATCH_PARSE_ERROR']);
    await user.fail("INSERT INTO n.u VALUES (2, 'a'); DROP NAMESPACE n", 'PERMISSION_DENIED');
    assert.equal(await root.value('SELECT COUNT(*) FROM n.u'), '0');
    assert.equal(await user.value('SELECT COUNT(*) FROM n.u'), '0');
  });
  test('the failing statement is named, what ran before stays', async () => {
    await root.fail("INSERT INTO n.u VALUES (3, 'a'); INSERT INTO n.u VALUES (3, 'b'); INSERT INTO n.u VALUES (4, 'c')", 'SQL_EXECUTION_ERROR', /^Statement 2 failed: /);
    assert.deepEqual(await root.rows('SELECT id, t FROM n.u'), [['3', 'a']]);
    await root.message('DELETE FROM n.u WHERE TRUE');
  });
  test('a table made in the batch can be used in it', async () => {
    const results = await root.all("CREATE TABLE n.fresh (id INT PRIMARY KEY) WITH (TYPE='USER'); INSERT INTO n.fresh VALUES (1); SELECT * FROM n.fresh; DROP TABLE n.fresh");
    assert.equal(results.length, 4);
    assert.equal(results[2].row_count, 1);
  });
  test('USE and namespace_id', async () => {
    for (const use of ['USE n', 'USE NAMESPACE n', 'SET NAMESPACE n']) {
      const results = await root.all(`${use}; SELECT COUNT(*) FROM u`);
      assert.equal(results[0].message, "Namespace switched to 'n'");
      assert.deepEqual(results[1].rows, [['0']]);
    }
    await root.fail('SELECT COUNT(*) FROM u');
    await root.fail('USE none', undefined, /Namespace 'none' does not exist/);
    assert.deepEqual(await root.rows('SELECT COUNT(*) FROM u', undefined, 'n'), [['0']]);
  });
  test('quotes, comments and semicolons', async () => {
    const results = await root.all(`SELECT ';' AS "a;b"; -- x; y\nSELECT $$;$$ /* ; /* nested ; */ */; SELECT E'\\';'`);
    assert.deepEqual(results.map((r) => r.rows), [[[';']], [[';']], [["';"]]]);
  });
});

describe('routes', () => {
  test('health', async () => {
    for (const path of ['/health', '/v1/api/healthcheck']) {
      const r = await raw(path, {});
      assert.equal(r.status, 200);
      assert.equal(r.json.status, 'healthy');
      assert.equal(r.json.api_version, 'v1');
      assert.equal(typeof r.json.version, 'string');
    }
    const cluster = await raw('/v1/api/cluster/health', {});
    assert.equal(cluster.status, 200);
    assert.equal(cluster.json.status, 'healthy');
    assert.equal(cluster.json.is_cluster_mode, false);
    assert.equal(typeof cluster.json.node_id, 'number');
    assert.equal(cluster.json.nodes.length, 1);
  });
  test('unknown route and wrong method', async () => {
    assert.equal((await raw('/nope', {})).status, 404);
    assert.equal((await raw('/v1/api/nope', { method: 'POST' })).status, 404);
    const wrong = await raw('/v1/api/sql', { headers: { authorization: `Bearer ${root.token}` } });
    assert.ok(wrong.status === 404 || wrong.status === 405, String(wrong.status));
  });
  test('CORS: any origin by default', async () => {
    const pre = await raw('/v1/api/sql', {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' },
    });
    assert.ok(pre.status === 200 || pre.status === 204, String(pre.status));
    assert.ok(['*', 'https://app.example'].includes(pre.headers.get('access-control-allow-origin')!));
    assert.match(pre.headers.get('access-control-allow-methods')!, /POST/);
    assert.match(pre.headers.get('access-control-allow-headers')!, /authorization/i);
    assert.match(pre.headers.get('access-control-allow-headers')!, /content-type/i);
    const r = await sqlRaw('{"sql":"SELECT 1"}', { origin: 'https://app.example' });
    assert.ok(['*', 'https://app.example'].includes(r.headers.get('access-control-allow-origin')!));
    const failed = await raw('/v1/api/sql', { method: 'POST', headers: { origin: 'https://app.example' }, body: '{}' });
    assert.equal(failed.status, 401);
    assert.ok(failed.headers.get('access-control-allow-origin'), 'errors carry it too');
  });
  test('CORS: a list of origins', async () => {
    const s = await Server.start({ config: { 'security.cors.allowed_origins': ['https://a.example'], 'security.cors.allow_credentials': true } });
    try {
      const ask = async (origin: string) => (await fetch(s.url + '/health', { headers: { origin } })).headers;
      assert.equal((await ask('https://a.example')).get('access-control-allow-origin'), 'https://a.example');
      assert.equal((await ask('https://a.example')).get('access-control-allow-credentials'), 'true');
      assert.equal((await ask('https://b.example')).get('access-control-allow-origin'), null);
      assert.equal((await ask('https://a.example.b.example')).get('access-control-allow-origin'), null);
      assert.equal((await ask('null')).get('access-control-allow-origin'), null);
    } finally {
      await s.stop();
    }
  });
  test('multipart without files is like JSON', async () => {
    const form = new FormData();
    form.set('sql', 'SELECT $1, COUNT(*) FROM u');
    form.set('params', '["p"]');
    form.set('namespace_id', 'n');
    const r = await raw('/v1/api/sql', { method: 'POST', headers: { authorization: `Bearer ${root.token}` }, body: form });
    assert.equal(r.status, 200, r.text);
    assert.deepEqual(r.json.results[0].rows, [['p', '0']]);
    const empty = new FormData();
    empty.set('sql', ' ');
    isError(await raw('/v1/api/sql', { method: 'POST', headers: { authorization: `Bearer ${root.token}` }, body: empty }), 400, 'EMPTY_SQL');
  });
  test('hostile HTTP does not end the server', async () => {
    const send = (bytes: string | Buffer) =>
      new Promise<void>((done) => {
        const s = connect(server.port, '127.0.0.1', () => s.end(bytes));
        s.on('error', () => done());
        s.on('close', () => done());
        s.resume();
      });
    await send('GET / HTTP/9.9\r\n\r\n');
    await send('POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n');
    await send('POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nx');
    await send('POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"sql"');
    await send('POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n');
    await send(`GET /health HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(200000)}\r\n\r\n`);
    await send(Buffer.from([0, 1, 2, 255, 254, 13, 10, 13, 10]));
    await send(`GET /${'%00'.repeat(50)}../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n`);
    await root.ok('SELECT 1');
  });
  test('chunked bodies and keep-alive with pipelining', async () => {
    const reply = await new Promise<string>((done, fail) => {
      const r = request(server.url + '/v1/api/sql', { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${root.token}`, 'transfer-encoding': 'chunked' } }, (res) => {
        let text = '';
        res.on('data', (d) => (text += d)).on('end', () => done(text));
      });
      r.on('error', fail);
      r.write('{"sql":"SEL');
      setTimeout(() => r.end('ECT 5"}'), 30);
    });
    assert.deepEqual(JSON.parse(reply).results[0].rows, [['5']]);
    const body = '{"sql":"SELECT 6"}';
    const one = `POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ${root.token}\r\nContent-Length: ${body.length}\r\n`;
    const text = await new Promise<string>((done, fail) => {
      let got = '';
      const s = connect(server.port, '127.0.0.1', () => s.write(`${one}\r\n${body}${one}\r\n${body}${one}Connection: close\r\n\r\n${body}`));
      s.on('data', (d) => (got += d)).on('close', () => done(got)).on('error', fail);
    });
    assert.equal(text.split('[["6"]]').length - 1, 3);
  });
});

describe('who is calling', () => {
  const claims = (more: Record<string, unknown> = {}) => {
    const now = Math.floor(Date.now() / 1000);
    return { sub: 'uma', iss: 'kalamdb', exp: now + 3600, iat: now, email: null, role: 'user', token_type: 'access', ...more };
  };
  const refused = async (token: string, code = 'INVALID_CREDENTIALS') => {
    const r = await bearer(token).sql('SELECT 1');
    assert.equal(r.http, 401, token);
    assert.equal(r.error!.code, code, token);
    assert.equal(r.status, 'error');
    assert.deepEqual(r.results, []);
  };
  test('no header, malformed headers', async () => {
    isError(await raw('/v1/api/sql', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"sql":"SELECT 1"}' }), 401, 'MISSING_AUTHORIZATION');
    for (const authorization of ['Bearer', 'Bearer ', 'bearer x', 'Token x', 'Bearer x y', 'Bearer a.b.c', `Bearer ${'x'.repeat(5000)}`]) {
      const r = await raw('/v1/api/sql', { method: 'POST', headers: { 'content-type': 'application/json', authorization }, body: '{"sql":"SELECT 1"}' });
      assert.equal(r.status, 401, `${authorization}: ${r.text}`);
      assert.ok(['INVALID_CREDENTIALS', 'MISSING_AUTHORIZATION'].includes(r.json.error.code), r.text);
    }
  });
  test('tokens', async () => {
    await bearer(jwt(claims())).ok('SELECT 1'); // what the others differ from
    const now = Math.floor(Date.now() / 1000);
    await refused(jwt(claims(), 'another-secret-another-secret-another'));
    await refused(jwt(claims(), '', { alg: 'none' }));
    await refused(jwt(claims(), secret, { alg: 'none', typ: 'JWT' }));
    await refused(jwt(claims(), secret, { alg: 'HS512', typ: 'JWT' }));
    await refused(jwt(claims({ iss: 'evil' })));
    await refused(jwt(claims({ sub: 'nobody' })));
    await refused(jwt(claims({ role: 'system' })));
    await refused(jwt(claims({ role: 'dba' })));
    await refused(jwt(claims({ token_type: 'refresh' })));
    await refused(jwt(claims({ nbf: now + 3600 })));
    await refused(jwt(claims({ iat: now + 3600 })));
    await refused(jwt({ sub: 'uma' }));
    await refused(jwt(claims({ exp: now - 3600 })), 'TOKEN_EXPIRED');
    await refused(jwt(claims({ exp: 'soon' })));
    const good = jwt(claims());
    await refused(good.slice(0, -2) + (good.endsWith('AA') ? 'BB' : 'AA'));
    await refused(`${good}.x`);
    await bearer(jwt(claims({ exp: now - 5 }))).ok('SELECT 1'); // 60 s of leeway
  });
  test('Basic on loopback', async () => {
    const basic = async (id: string, password: string) =>
      await raw('/v1/api/sql', {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Basic ${Buffer.from(`${id}:${password}`).toString('base64')}` },
        body: '{"sql":"SELECT CURRENT_USER()"}',
      });
    const good = await basic('uma', 'Long-Enough-7!');
    assert.equal(good.status, 200, good.text);
    assert.deepEqual(good.json.results[0].rows, [['uma']]);
    assert.equal((await basic('uma', 'Long-Enough-7!')).status, 200);
    isError(await basic('uma', 'wrong'), 401, 'INVALID_CREDENTIALS');
    isError(await basic('nobody', 'wrong'), 401, 'INVALID_CREDENTIALS');
    assert.equal((await basic('root', '')).status, 401);
  });
  test('the local root token is one of this start only', async () => {
    const old = root.token;
    assert.match(old, /^[0-9a-f]{64}$/);
    const s = await Server.start();
    try {
      const r = await new Client(() => s.url, () => old, 'root').sql('SELECT 1');
      assert.equal(r.http, 401);
      await s.root().ok('SELECT 1');
      assert.equal(await s.root().value('SELECT CURRENT_USER()'), 'root');
      assert.equal(await s.root().value('SELECT CURRENT_ROLE()'), 'system');
    } finally {
      await s.stop();
    }
  });
});

describe('auth routes', () => {
  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) =>
    await raw(`/v1/api/auth/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
  const cookies = (h: Headers) => Object.fromEntries(h.getSetCookie().map((c) => [c.split('=')[0], c]));
  const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d$/;

  test('login', async () => {
    const r = await post('login', { user: 'dora', password: 'Long-Enough-7!' });
    assert.equal(r.status, 200, r.text);
    assert.equal(r.json.user.id, 'dora');
    assert.equal(r.json.user.role, 'dba');
    assert.equal(r.json.user.email, null);
    assert.equal(r.json.admin_ui_access, true);
    for (const at of [r.json.expires_at, r.json.refresh_expires_at, r.json.user.created_at, r.json.user.updated_at]) {
      assert.match(at, rfc3339);
    }
    assert.ok(Math.abs(Date.parse(r.json.expires_at) - Date.now() - 24 * 3600e3) < 60e3);
    const set = cookies(r.headers);
    for (const name of ['kalamdb_auth', 'kalamdb_refresh']) {
      assert.match(set[name], /HttpOnly/i);
      assert.match(set[name], /SameSite=Strict/i);
      assert.match(set[name], /Path=\//i);
    }
    assert.equal(set.kalamdb_auth.split(';')[0], `kalamdb_auth=${r.json.access_token}`);
    const payload = JSON.parse(Buffer.from(r.json.access_token.split('.')[1], 'base64url').toString());
    assert.equal(payload.sub, 'dora');
    assert.equal(payload.iss, 'kalamdb');
    assert.equal(payload.role, 'dba');
    assert.equal(payload.token_type, 'access');
    assert.equal((await post('login', { username: 'uma', password: 'Long-Enough-7!' })).json.admin_ui_access, false);
  });
  test('login refused', async () => {
    for (const body of [{ user: 'dora', password: 'no' }, { user: 'nobody', password: 'no' }, { user: 'dora', password: '' }]) {
      const r = await post('login', body);
      assert.equal(r.status, 401, r.text);
      assert.equal(r.json.error, 'unauthorized');
      assert.match(r.json.message, /Invalid credentials/);
    }
    assert.equal((await post('login', { user: 'dora', password: 'x', more: 1 })).status, 400);
    assert.equal((await post('login', '{')).status, 400);
    assert.equal((await post('login', { user: 'x'.repeat(129), password: 'x' })).status, 400);
    assert.equal((await post('login', { user: 'dora', password: 'x'.repeat(257) })).status, 400);
    const setup = await post('login', { user: 'root', password: '' });
    assert.equal(setup.status, 428, setup.text);
    assert.equal(setup.json.error, 'setup_required');
  });
  test('me', async () => {
    const login = await post('login', { user: 'uma', password: 'Long-Enough-7!' });
    const byHeader = await raw('/v1/api/auth/me', { headers: { authorization: `Bearer ${login.json.access_token}` } });
    assert.equal(byHeader.status, 200);
    assert.equal(byHeader.json.user.id, 'uma');
    const byCookie = await raw('/v1/api/auth/me', { headers: { cookie: `a=b; kalamdb_auth=${login.json.access_token}; c=d` } });
    assert.equal(byCookie.json.user.id, 'uma');
    const none = await raw('/v1/api/auth/me', {});
    assert.equal(none.status, 401);
    assert.equal(none.json.error, 'unauthorized');
  });
  test('refresh rotates; a used refresh token is dead', async () => {
    const login = (await post('login', { user: 'uma', password: 'Long-Enough-7!' })).json;
    assert.equal((await post('refresh', undefined, { authorization: `Bearer ${login.access_token}` })).status, 401, 'an access token does not refresh');
    const second = await post('refresh', undefined, { cookie: `kalamdb_refresh=${login.refresh_token}` });
    assert.equal(second.status, 200, second.text);
    assert.equal(second.json.user.id, 'uma');
    assert.ok(cookies(second.headers).kalamdb_refresh);
    assert.notEqual(second.json.refresh_token, login.refresh_token);
    await bearer(second.json.access_token).ok('SELECT 1');
    assert.equal((await post('refresh', undefined, { authorization: `Bearer ${login.refresh_token}` })).status, 401, 'used once');
    assert.equal((await post('refresh', undefined, { authorization: 'Bearer rubbish' })).status, 401);
    assert.equal((await post('refresh', undefined)).status, 401);
  });
  test('logout ends both tokens', async () => {
    const login = (await post('login', { user: 'uma', password: 'Long-Enough-7!' })).json;
    await bearer(login.access_token).ok('SELECT 1');
    const out = await post('logout', undefined, { cookie: `kalamdb_auth=${login.access_token}; kalamdb_refresh=${login.refresh_token}` });
    assert.equal(out.status, 200);
    assert.equal(out.json.message, 'Logged out successfully');
    assert.match(cookies(out.headers).kalamdb_auth, /^kalamdb_auth=;/);
    const r = await bearer(login.access_token).sql('SELECT 1');
    assert.equal(r.http, 401, 'the access token is revoked');
    assert.equal((await post('refresh', undefined, { authorization: `Bearer ${login.refresh_token}` })).status, 401);
    assert.equal((await post('logout', undefined)).status, 200);
  });
  test('a role or password change ends the tokens', async () => {
    const ada = await server.createUser('ada');
    await ada.ok('SELECT 1');
    assert.equal(await root.message("ALTER USER 'ada' SET ROLE 'service'"), "User 'ada' updated");
    assert.equal((await ada.sql('SELECT 1')).http, 401);
    const again = await server.login('ada');
    await again.ok('SELECT 1');
    await root.message("ALTER USER 'ada' SET PASSWORD 'Another-Long-8!'");
    assert.equal((await again.sql('SELECT 1')).http, 401);
    await assert.rejects(server.login('ada'), /401/);
    await (await server.login('ada', 'Another-Long-8!')).ok('SELECT 1');
  });
  test('lockout after five failures', async () => {
    await server.createUser('luke');
    for (let i = 0; i < 5; i++) {
      assert.equal((await post('login', { user: 'luke', password: 'wrong' })).status, 401);
    }
    const locked = await post('login', { user: 'luke', password: 'Long-Enough-7!' });
    assert.equal(locked.status, 401);
    assert.equal(locked.json.error, 'account_locked');
    assert.match(locked.json.message, /minute/);
    await server.restart();
    assert.equal((await post('login', { user: 'luke', password: 'Long-Enough-7!' })).json.error, 'account_locked', 'a restart does not unlock');
  });
  test('setup, once', async () => {
    const s = await Server.start();
    const at = async (path: string, body?: unknown) => {
      const reply = await fetch(`${s.url}/v1/api/auth/${path}`, body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
      return { status: reply.status, json: (await reply.json().catch(() => undefined)) as any };
    };
    try {
      assert.equal((await at('status')).json.needs_setup, true);
      assert.equal((await at('setup', { user: 'boss', password: 'short', root_password: 'Root-Pass-99!' })).json.error, 'weak_password');
      assert.equal((await at('setup', { user: 'root', password: 'Boss-Pass-99!', root_password: 'Root-Pass-99!' })).json.error, 'invalid_user');
      const done = await at('setup', { user: 'boss', password: 'Boss-Pass-99!', root_password: 'Root-Pass-99!', email: 'b@x.example' });
      assert.equal(done.status, 200);
      assert.equal(done.json.user.id, 'boss');
      assert.equal(done.json.user.role, 'dba');
      assert.equal('access_token' in done.json, false);
      assert.equal((await at('status')).json.needs_setup, false);
      const twice = await at('setup', { user: 'boss2', password: 'Boss-Pass-99!', root_password: 'Root-Pass-99!' });
      assert.equal(twice.status, 409);
      assert.equal(twice.json.error, 'already_configured');
      assert.equal((await at('login', { user: 'root', password: 'Root-Pass-99!' })).status, 200);
      assert.equal((await at('login', { user: 'root', password: '' })).status, 401);
      assert.equal((await at('login', { user: 'boss', password: 'Boss-Pass-99!' })).status, 200);
      await s.restart();
      assert.equal((await at('login', { user: 'root', password: 'Root-Pass-99!' })).status, 200);
    } finally {
      await s.stop();
    }
  });
  test('root password from the environment', async () => {
    const s = await Server.start({ env: { KALAMDB_ROOT_PASSWORD: 'From-The-Env-1!' } });
    try {
      const r = await eventually(async () => await s.login('root', 'From-The-Env-1!'));
      assert.equal(await r.value('SELECT CURRENT_ROLE()'), 'system');
      assert.ok(!s.log().includes('From-The-Env-1!'));
    } finally {
      await s.stop();
    }
  });
  test('auth rate', async () => {
    const s = await Server.start({ config: { 'rate_limit.max_auth_requests_per_ip_per_sec': 3 } });
    try {
      const replies = await Promise.all(
        Array.from({ length: 15 }, () => fetch(`${s.url}/v1/api/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"user":"x","password":"y"}' })),
      );
      const limited = replies.filter((r) => r.status === 429);
      assert.ok(limited.length >= 6, String(limited.length));
      assert.equal(((await limited[0].json()) as any).error, 'rate_limited');
    } finally {
      await s.stop();
    }
  });
});

describe('roles', () => {
  const admin = /Admin privileges \(DBA or System role\) required for/;
  test('administration is for dba and system', async () => {
    const statements = [
      'CREATE NAMESPACE mine', "ALTER NAMESPACE n SET OPTIONS (a = 1)", 'DROP NAMESPACE n', "CREATE USER 'x' WITH PASSWORD 'Long-Enough-7!' ROLE 'user'",
      "ALTER USER 'dora' SET ROLE 'user'", "DROP USER 'dora'", "KILL LIVE QUERY 'a-b-c'",
    ];
    for (const sql of statements) {
      for (const who of [user, service]) {
        const e = await who.fail(sql, 'PERMISSION_DENIED');
        assert.match(e.message, /privileges|[Pp]ermission|denied/i, `${who.user}: ${sql}: ${e.message}`);
      }
    }
    await user.fail('CREATE NAMESPACE mine', 'PERMISSION_DENIED', admin);
    await dba.message('CREATE NAMESPACE mine');
    await dba.message('DROP NAMESPACE mine');
    await dba.fail("CREATE USER 'y' WITH PASSWORD 'Long-Enough-7!' ROLE 'system'", 'PERMISSION_DENIED', /DBA cannot grant System role/);
    await root.fail("DROP USER 'root'");
  });
  test('tables', async () => {
    for (const sql of ["CREATE TABLE n.x (id INT PRIMARY KEY) WITH (TYPE='USER')", 'ALTER TABLE n.u ADD COLUMN z TEXT', 'DROP TABLE n.u', "CREATE TABLE n.x (id INT PRIMARY KEY) WITH (TYPE='SHARED')"]) {
      await user.fail(sql, 'PERMISSION_DENIED');
    }
    await service.message("CREATE TABLE n.x (id INT PRIMARY KEY) WITH (TYPE='SHARED')");
    await service.message('ALTER TABLE n.x ADD COLUMN z TEXT');
    await service.fail('DROP TABLE n.x', 'PERMISSION_DENIED');
    await dba.message('DROP TABLE n.x');
  });
  test('shared tables by access level', async () => {
    const may = { pub: { user: 'r', service: 'rw', dba: 'rw' }, priv: { user: '', service: 'rw', dba: 'rw' }, adm: { user: '', service: '', dba: 'rw' } };
    let id = 1;
    for (const [table, roles] of Object.entries(may)) {
      for (const [role, rights] of Object.entries(roles)) {
        const who = { user, service, dba }[role as 'user']!;
        if (rights.includes('r')) {
          await who.ok(`SELECT * FROM n.${table}`);
        } else {
          await who.fail(`SELECT * FROM n.${table}`, 'PERMISSION_DENIED');
          await who.fail(`SELECT 1 WHERE EXISTS (SELECT 1 FROM n.${table})`, 'PERMISSION_DENIED');
        }
        for (const sql of [`INSERT INTO n.${table} VALUES (${id++}, 'x')`, `UPDATE n.${table} SET t = 'y' WHERE id = 1`, `DELETE FROM n.${table} WHERE id = 77`]) {
          if (rights.includes('w')) {
            await who.ok(sql);
          } else {
            await who.fail(sql, 'PERMISSION_DENIED');
          }
        }
      }
    }
  });
  test('system tables', async () => {
    for (const table of ['users', 'tables', 'schemas', 'columns', 'storages', 'live', 'stats', 'settings']) {
      for (const who of [user, service]) {
        await who.fail(`SELECT * FROM system.${table}`, 'PERMISSION_DENIED');
      }
      await dba.ok(`SELECT * FROM system.${table}`);
      for (const sql of [`INSERT INTO system.${table} VALUES (1)`, `DELETE FROM system.${table} WHERE TRUE`]) {
        await dba.fail(sql);
      }
    }
    await user.ok('SELECT name FROM system.namespaces LIMIT 1');
    await user.ok('SELECT * FROM information_schema.tables');
    await user.ok('SHOW NAMESPACES');
    await user.ok('SHOW TABLES');
    await user.ok('SHOW STORAGES');
    await user.ok('DESCRIBE TABLE n.u');
    const hash = await dba.rows("SELECT password_hash FROM system.users WHERE user_id = 'uma'");
    assert.deepEqual(hash, [['***']]);
    assert.ok(!JSON.stringify(await dba.rows('SELECT * FROM system.users')).includes('$2'));
    assert.ok(!JSON.stringify(await dba.rows('SELECT * FROM system.settings')).includes(secret));
  });
  test('EXECUTE AS USER', async () => {
    const r = await service.ok("EXECUTE AS USER 'uma' (INSERT INTO n.u VALUES (500, 'for you'))");
    assert.equal(r.as_user, 'uma');
    assert.equal(await user.value('SELECT t FROM n.u WHERE id = 500'), 'for you');
    assert.deepEqual(await service.rows('SELECT * FROM n.u WHERE id = 500'), []);
    assert.deepEqual(await root.rows("EXECUTE AS USER uma (SELECT CURRENT_USER(), CURRENT_ROLE(), t FROM n.u)"), [['uma', 'user', 'for you']]);
    await user.fail("EXECUTE AS USER 'sven' (SELECT 1)", 'PERMISSION_DENIED', /not authorized|denied/i);
    await user.fail("EXECUTE AS USER 'ghost' (SELECT 1)", 'PERMISSION_DENIED');
    await user.ok("EXECUTE AS USER 'uma' (SELECT 1)");
    await service.fail("EXECUTE AS USER 'dora' (SELECT 1)", 'PERMISSION_DENIED');
    await dba.fail("EXECUTE AS USER 'root' (SELECT 1)", 'PERMISSION_DENIED');
    await root.fail("EXECUTE AS USER 'uma' (INSERT INTO n.pub VALUES (900, 'x'))", undefined, /EXECUTE AS USER is not allowed on SHARED tables|denied/);
    await root.fail("EXECUTE AS USER 'uma' (SELECT * FROM system.users)", 'PERMISSION_DENIED');
    await root.fail("EXECUTE AS USER 'uma' (DROP NAMESPACE n)");
    await root.fail("EXECUTE AS USER 'uma' SELECT 1", 'INVALID_INPUT', /must wrap SQL in parentheses/);
    await root.fail("EXECUTE AS USER '' (SELECT 1)", 'INVALID_INPUT', /username cannot be empty/);
    await root.fail("EXECUTE AS USER 'uma' (SELECT 1; SELECT 2)");
    await user.message('DELETE FROM n.u WHERE TRUE');
  });
  test('users', async () => {
    assert.equal(await root.message("CREATE USER 'temp' WITH PASSWORD 'Long-Enough-7!' ROLE user"), "User 'temp' created");
    await root.fail("CREATE USER 'temp' WITH PASSWORD 'Long-Enough-7!' ROLE user", 'SQL_EXECUTION_ERROR', /User 'temp' already exists/);
    await root.fail("CREATE USER 'weak' WITH PASSWORD 'short' ROLE user");
    await root.fail("CREATE USER 'weak' WITH PASSWORD 'password123' ROLE user");
    await root.fail("CREATE USER '../x' WITH PASSWORD 'Long-Enough-7!' ROLE user");
    await root.fail("CREATE USER 'r' WITH PASSWORD 'Long-Enough-7!' ROLE emperor", undefined, /role/i);
    assert.equal(await root.message("ALTER USER 'temp' SET EMAIL 't@x.example'"), "User 'temp' updated");
    assert.deepEqual(await root.rows("SELECT role, email, auth_type FROM system.users WHERE user_id = 'temp'").then((r) => r[0].slice(0, 2)), ['user', 't@x.example']);
    assert.equal(await root.message("DROP USER 'temp'"), "User 'temp' dropped (soft delete)");
    assert.equal(await root.message("DROP USER IF EXISTS 'ghost'"), "User 'ghost' does not exist (skipped)");
    await root.fail("DROP USER 'ghost'", 'SQL_EXECUTION_ERROR', /User 'ghost' not found/);
    await root.fail("CREATE USER 'temp' WITH PASSWORD 'Long-Enough-7!' ROLE user", undefined, /already exists/);
  });
});
