// The 17 data types: what goes in, how it comes out as JSON (the same over HTTP and WebSocket), bounds, and what is refused.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Client, DataType } from './lib/http.js';
import { Server } from './lib/server.js';
import { Socket, type Batch, type Change } from './lib/ws.js';

let server: Server;
let root: Client;
before(async () => {
  server = await Server.start();
  root = server.root();
  await root.message('CREATE NAMESPACE ty');
});
after(async () => {
  await server.stop();
});

const day = 86400 * 1e6;
const at = (y: number, mo: number, d: number, h = 0, mi = 0, s = 0, us = 0) => Date.UTC(y, mo - 1, d, h, mi, s) * 1000 + us;

interface TypeCase {
  sql: string;
  is: DataType;
  good: [literal: string, json: unknown][];
  bad: string[];
  same?: (a: unknown, b: unknown) => void;
}
const near = (digits: number) => (a: unknown, b: unknown) => {
  assert.equal(typeof a, 'number');
  assert.equal((a as number).toPrecision(digits), (b as number).toPrecision(digits));
};
const json = (a: unknown, b: unknown) => {
  assert.equal(typeof a, 'string', 'JSON text, not an object');
  assert.deepEqual(JSON.parse(a as string), JSON.parse(b as string));
};
const cases: TypeCase[] = [
  { sql: 'BOOLEAN', is: 'Boolean', good: [['TRUE', true], ['false', false], ["'t'", true], ["'off'", false], ["'1'", true]], bad: ["'maybe'", "''"] },
  { sql: 'SMALLINT', is: 'SmallInt', good: [['-32768', -32768], ['32767', 32767], ['0', 0], ["'12'", 12]], bad: ['32768', '-32769', "'x'", "''", "'1.5'"] },
  { sql: 'INT', is: 'Int', good: [['-2147483648', -2147483648], ['2147483647', 2147483647], ["' 7 '", 7]], bad: ['2147483648', '-2147483649', "'1 2'"] },
  {
    sql: 'BIGINT',
    is: 'BigInt',
    good: [['9007199254740993', '9007199254740993'], ['-9223372036854775808', '-9223372036854775808'], ['9223372036854775807', '9223372036854775807'], ["'5'", '5']],
    bad: ['9223372036854775808', '-9223372036854775809', "'9223372036854775808'", "'abc'"],
  },
  { sql: 'FLOAT', is: 'Float', good: [['1.5', 1.5], ['-0.1', -0.1], ['3.4e38', 3.4e38], ['0', 0]], bad: ['1e39', "'x'"], same: near(6) },
  {
    sql: 'DOUBLE',
    is: 'Double',
    good: [['1.5', 1.5], ['0.1', 0.1], ['1.7976931348623157e308', 1.7976931348623157e308], ['5e-324', 5e-324], ['1e15', 1e15], ['123456789.123456789', 123456789.123456789]],
    bad: ["'1e309'", "'1.5.5'"],
  },
  {
    sql: 'TEXT',
    is: 'Text',
    good: [["''", ''], ["'O''Brien'", "O'Brien"], ["'\u00e4\u00f6\u4e2d\ud83d\ude00'", '\u00e4\u00f6\u4e2d\ud83d\ude00'], ["E'a\\tb\\nc\\\\\"'", 'a\tb\nc\\"'], ["E'\\x01'", '\u0001'], [`'${'x'.repeat(100000)}'`, 'x'.repeat(100000)]],
    bad: [],
  },
  {
    sql: 'TIMESTAMP',
    is: 'Timestamp',
    good: [
      ["'2026-01-02 03:04:05'", at(2026, 1, 2, 3, 4, 5)],
      ["'2026-01-02T03:04:05.123456'", at(2026, 1, 2, 3, 4, 5, 123456)],
      ["'2026-01-02T03:04:05Z'", at(2026, 1, 2, 3, 4, 5)],
      ["'1969-12-31 23:59:59.999999'", -1],
      ["'2026-01-02'", at(2026, 1, 2)],
      ["TIMESTAMP '2000-02-29 12:00:00'", at(2000, 2, 29, 12)],
    ],
    bad: ["'2026-02-30 00:00:00'", "'yesterday-ish'", "'2026-13-01'", "'2026-01-01 25:00:00'"],
  },
  { sql: 'DATE', is: 'Date', good: [["'1970-01-01'", 0], ["'2024-10-04'", 20000], ["'1969-12-31'", -1], ["'2000-02-29'", at(2000, 2, 29) / day]], bad: ["'2023-02-29'", "'x'", "'2026-00-10'"] },
  { sql: 'DATETIME', is: 'DateTime', good: [["'2026-01-02 03:04:05'", at(2026, 1, 2, 3, 4, 5)], ["'2026-01-02T03:04:05+02:00'", at(2026, 1, 2, 1, 4, 5)]], bad: ["'never'"] },
  { sql: 'TIME', is: 'Time', good: [["'09:30:00'", 34200000000], ["'00:00:00'", 0], ["'23:59:59.999999'", day - 1]], bad: ["'24:00:01'", "'12:61:00'", "'noon-ish'"] },
  {
    sql: 'UUID',
    is: 'Uuid',
    good: [["'3F0C9B5E-0000-4000-8000-0123456789AB'", '3f0c9b5e-0000-4000-8000-0123456789ab'], ["'3f0c9b5e000040008000 0123456789ab'".replace(' ', ''), '3f0c9b5e-0000-4000-8000-0123456789ab']],
    bad: ["'3f0c9b5e'", "'zzzzzzzz-0000-4000-8000-0123456789ab'", "''"],
  },
  { sql: 'JSON', is: 'Json', good: [[`'{"a":[1,2,{"b":null}]}'`, '{"a":[1,2,{"b":null}]}'], ["'[]'", '[]'], ["'\"x\"'", '"x"'], ["'1.5'", '1.5']], bad: ["'{a:1}'", "'{'", "''", "'[1,]'"], same: json },
  { sql: 'BYTES', is: 'Bytes', good: [["'\\xDEADBEEF'", [0xde, 0xad, 0xbe, 0xef]], ["X'00ff'", [0, 255]], ["'\\x'", []]], bad: ["'\\xABC'", "'\\xzz'"] },
  {
    sql: 'DECIMAL(10,2)',
    is: { Decimal: { precision: 10, scale: 2 } },
    good: [['12.3', '12.30'], ['-0.5', '-0.50'], ['0', '0.00'], ['99999999.99', '99999999.99'], ["'1.005'", '1.01'], ['-1.005', '-1.01'], ['7', '7.00']],
    bad: ['100000000', '99999999.995', "'x'"],
  },
  { sql: 'NUMERIC(38,0)', is: { Decimal: { precision: 38, scale: 0 } }, good: [['99999999999999999999999999999999999999', '99999999999999999999999999999999999999']], bad: ['100000000000000000000000000000000000000'] },
  { sql: 'EMBEDDING(3)', is: { Embedding: 3 }, good: [["'[1, 0.5, -2]'", [1, 0.5, -2]], ["'[0,0,0]'", [0, 0, 0]]], bad: ["'[1,2]'", "'[1,2,3,4]'", "'x'", "'[1,2,null]'", "'[]'"] },
];

describe('round trips', () => {
  cases.forEach((c, n) =>
    test(c.sql, async () => {
      const table = `ty.t${n}`;
      await root.message(`CREATE TABLE ${table} (id INT PRIMARY KEY, v ${c.sql}) WITH (TYPE='USER')`);
      const same: (a: unknown, b: unknown) => void = c.same ?? assert.deepEqual;
      const socket = await Socket.open(root);
      socket.subscribe('s', `SELECT id, v FROM ${table}`, {});
      await socket.take(2, 's');
      let id = 0;
      const faults: string[] = [];
      for (const [literal, expected] of c.good) {
        try {
          id++;
          await root.message(`INSERT INTO ${table} VALUES (${id}, ${literal})`);
          const r = await root.ok(`SELECT v FROM ${table} WHERE id = ${id}`);
          assert.deepEqual(r.schema![0].data_type, c.is);
          same(r.rows![0][0], expected);
        } catch (e) {
          faults.push(`${literal.slice(0, 60)}: ${(e as Error).message.slice(0, 300)}`);
        }
      }
      for (const literal of c.bad) {
        try {
          await root.fail(`INSERT INTO ${table} VALUES (1000, ${literal})`, ['SQL_EXECUTION_ERROR', 'INVALID_SQL']);
        } catch (e) {
          faults.push(`${literal} must be refused: ${(e as Error).message.slice(0, 300)}`);
          await root.sql(`DELETE FROM ${table} WHERE id = 1000`);
        }
      }
      assert.deepEqual(faults, []);
      await root.message(`INSERT INTO ${table} VALUES (999, NULL)`);
      assert.equal(await root.value(`SELECT v FROM ${table} WHERE id = 999`), null);
      // the same cell over the WebSocket, live and as a snapshot
      const live = (await socket.take(2 + id + 1, 's')).slice(2) as Change[];
      live.slice(0, id).forEach((m, i) => same(m.rows![0].v, c.good[i][1]));
      assert.equal(live[id].rows![0].v, null);
      socket.subscribe('again', `SELECT id, v FROM ${table}`, {});
      const batch = (await socket.find((m) => m.type === 'initial_data_batch' && m.subscription_id === 'again')) as Batch;
      batch.rows.slice(0, id).forEach((r, i) => same(r.v, c.good[i][1]));
      await socket.close();
      await root.message(`DROP TABLE ${table}`);
    }),
  );
});

describe('names and declarations', () => {
  const spellings: [string, DataType][] = [
    ['BOOL', 'Boolean'], ['INTEGER', 'Int'], ['INT4', 'Int'], ['INT8', 'BigInt'], ['INT2', 'SmallInt'], ['REAL', 'Float'], ['FLOAT4', 'Float'], ['FLOAT8', 'Double'],
    ['DOUBLE PRECISION', 'Double'], ['VARCHAR(10)', 'Text'], ['VARCHAR', 'Text'], ['CHAR(3)', 'Text'], ['STRING', 'Text'], ['JSONB', 'Json'], ['BYTEA', 'Bytes'], ['BLOB', 'Bytes'],
    ['TIMESTAMP WITH TIME ZONE', 'Timestamp'], ['DECIMAL', { Decimal: { precision: 38, scale: 10 } }], ['DECIMAL(5)', { Decimal: { precision: 5, scale: 0 } }], ['NUMERIC(5,1)', { Decimal: { precision: 5, scale: 1 } }],
  ];
  test('spellings', async () => {
    await root.message(`CREATE TABLE ty.names (id INT PRIMARY KEY, ${spellings.map(([s], i) => `c${i} ${s}`).join(', ')}) WITH (TYPE='USER')`);
    const r = await root.ok('SELECT * FROM ty.names');
    spellings.forEach(([s, is], i) => assert.deepEqual(r.schema![i + 1].data_type, is, s));
  });
  test('refused declarations', async () => {
    for (const t of ['EMBEDDING', 'EMBEDDING(0)', 'EMBEDDING(8193)', 'EMBEDDING(-1)', 'DECIMAL(39)', 'DECIMAL(5,6)', 'DECIMAL(0)', 'TINYINT', 'WIBBLE', 'INTERVAL']) {
      await root.fail(`CREATE TABLE ty.bad (id INT PRIMARY KEY, v ${t}) WITH (TYPE='USER')`);
    }
    await root.ok("CREATE TABLE ty.wide (id INT PRIMARY KEY, v EMBEDDING(8192)) WITH (TYPE='USER')");
  });
  test('literals', async () => {
    const r = await root.ok("SELECT 1, 1.5, 'x', TRUE, NULL, DATE '2026-01-01', 2147483648, -1");
    assert.deepEqual(r.rows![0], ['1', r.rows![0][1], 'x', true, null, at(2026, 1, 1) / day, '2147483648', '-1']);
    assert.equal(Number(r.rows![0][1]), 1.5);
    assert.equal(r.schema![0].data_type, 'BigInt');
    assert.equal(await root.value("SELECT COUNT(*) FROM ty.names"), '0');
  });
  test('defaults', async () => {
    await root.message(`CREATE TABLE ty.d (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), u TEXT DEFAULT UUID_V7(), l TEXT DEFAULT ULID(), w TEXT DEFAULT CURRENT_USER(),
      n TIMESTAMP DEFAULT NOW(), c TIMESTAMP DEFAULT CURRENT_TIMESTAMP, i INT DEFAULT 7, t TEXT DEFAULT 'a''b', b BOOLEAN DEFAULT false, x INT) WITH (TYPE='USER')`);
    await root.message('INSERT INTO ty.d (x) VALUES (1), (2)');
    const [a, b] = await root.objects('SELECT * FROM ty.d ORDER BY id');
    assert.ok(BigInt(a.id as string) < BigInt(b.id as string));
    assert.match(a.u as string, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.notEqual(a.u, b.u);
    assert.match(a.l as string, /^[0-9A-HJKMNP-TV-Z]{26}$/);
    assert.notEqual(a.l, b.l);
    assert.deepEqual([a.w, a.i, a.t, a.b], ['root', 7, "a'b", false]);
    assert.equal(a.n, b.n, 'one moment for a statement');
    await root.message("INSERT INTO ty.d (id, i, t) VALUES (1, DEFAULT, NULL)");
    assert.deepEqual(await root.rows('SELECT i, t FROM ty.d WHERE id = 1'), [[7, null]]);
  });
  test('an added column: old rows read the default', async () => {
    await root.message("CREATE TABLE ty.added (id INT PRIMARY KEY) WITH (TYPE='USER')");
    await root.message('INSERT INTO ty.added VALUES (1)');
    await root.message("ALTER TABLE ty.added ADD COLUMN s TEXT DEFAULT 'x'");
    await root.message('ALTER TABLE ty.added ADD COLUMN n INT');
    await root.fail('ALTER TABLE ty.added ADD COLUMN q INT NOT NULL', undefined, /not null|default|required/i);
    await root.message('ALTER TABLE ty.added ADD COLUMN q INT NOT NULL DEFAULT 5');
    assert.deepEqual(await root.rows('SELECT id, s, n, q FROM ty.added'), [[1, 'x', null, 5]]);
    assert.deepEqual(await root.rows("SELECT id FROM ty.added WHERE s = 'x' AND q = 5"), [[1]]);
  });
});
