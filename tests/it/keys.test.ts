// Primary keys of every type that may be one: uniqueness, lookup, change, restart, live copies.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Copy, canonical } from './lib/copy.js';
import type { Client } from './lib/http.js';
import { eventually } from './lib/random.js';
import { Server } from './lib/server.js';

let server: Server;
let root: Client;
before(async () => {
  server = await Server.start();
  root = server.root();
  await root.message('CREATE NAMESPACE k');
});
after(async () => {
  await server.stop();
});

// Literals of different keys, and pairs that are the same key written differently.
const types: [sql: string, different: string[], same: [string, string][]][] = [
  ['SMALLINT', ['0', '-1', '1', '32767', '-32768'], [['7', "'7'"], ['8', '8.0']]],
  ['INT', ['0', '-1', '1', '2147483647', '-2147483648', '256', '-256'], [['7', "'7'"]]],
  ['BIGINT', ['0', '-1', '9223372036854775807', '-9223372036854775808', '4294967296'], [['7', "'7'"]]],
  ['TEXT', ["''", "'a'", "'A'", "'a '", "'ab'", "'b'", "'\u00e4'", "'a\u0308'", "E'a\\x01'", "E'a\\x01b'", "'\ud83d\ude00'", `'${'x'.repeat(500)}'`, `'${'x'.repeat(501)}'`], [["'q'", "E'\\x71'"]]],
  ['BOOLEAN', ['TRUE', 'FALSE'], []],
  ['DOUBLE', ['1.5', '-1.5', '0.0', '1e300', '-1e300', '1e-300', '2'], [['-0.0', '0'], ['3', '3.0']]],
  ['DECIMAL(10,2)', ['0', '1.5', '-1.5', '-0.01', '99999999.99', '-99999999.99'], [['2.5', '2.50']]],
  ['DATE', ["'2026-01-01'", "'1969-12-31'", "'1970-01-01'"], [["'2026-02-03'", "DATE '2026-02-03'"]]],
  ['TIMESTAMP', ["'2026-01-01 00:00:00'", "'2026-01-01 00:00:00.000001'", "'1969-12-31 23:59:59.999999'"], [["'2026-02-03 04:05:06'", "'2026-02-03T04:05:06Z'"]]],
  ['UUID', ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"], [["'ABCDEFAB-0000-0000-0000-000000000000'", "'abcdefab-0000-0000-0000-000000000000'"]]],
  ['BYTES', ["'\\x'", "'\\x00'", "'\\x0000'", "'\\xff'", "'\\x00ff'", "'\\xff00'"], [["'\\xABCD'", "'\\xabcd'"]]],
];

describe('keys', { concurrency: false }, () => {
  types.forEach(([sql, different, same], n) => {
    for (const type of ['USER', 'SHARED']) {
      test(`${sql} in a ${type} table`, async (t) => {
        const table = `k.t${n}_${type.toLowerCase()}`;
        const made = await root.sql(`CREATE TABLE ${table} (id ${sql} PRIMARY KEY, v INT) WITH (TYPE='${type}')`);
        if (made.status === 'error') {
          assert.match(made.error!.message, /key/i);
          t.skip(`not a key here: ${made.error!.message}`);
          return;
        }
        const copy = new Copy(root, 'c', `SELECT * FROM ${table}`);
        await copy.connect();
        t.after(() => copy.disconnect());
        const all = [...different, ...same.map(([a]) => a).filter((a) => !(sql === 'DOUBLE' && a === '-0.0'))];
        for (const [i, lit] of all.entries()) {
          await root.ok(`INSERT INTO ${table} VALUES (${lit}, ${i})`);
        }
        for (const [i, lit] of all.entries()) {
          await root.fail(`INSERT INTO ${table} VALUES (${lit}, 0)`, 'SQL_EXECUTION_ERROR', /[Pp]rimary key violation/);
          assert.deepEqual(await root.rows(`SELECT v FROM ${table} WHERE id = ${lit}`), [[i]], lit);
          assert.deepEqual(await root.rows(`SELECT v FROM ${table} WHERE id IN (${lit}) AND v >= 0`), [[i]], lit);
        }
        for (const [a, b] of same) {
          await root.fail(`INSERT INTO ${table} VALUES (${b}, 0)`, 'SQL_EXECUTION_ERROR', /[Pp]rimary key violation/);
          await root.fail(`INSERT INTO ${table} VALUES (${a}, 0), (${b}, 0)`, 'SQL_EXECUTION_ERROR', /[Pp]rimary key violation/);
          assert.equal((await root.rows(`SELECT v FROM ${table} WHERE id = ${b}`)).length, 1, b);
        }
        for (const [i, lit] of all.entries()) {
          if (i % 3 === 0) {
            assert.equal(await root.message(`UPDATE ${table} SET v = v + 100 WHERE id = ${lit}`), 'Updated 1 row(s)');
          } else if (i % 3 === 1) {
            assert.equal(await root.message(`DELETE FROM ${table} WHERE id = ${lit}`), 'Deleted 1 row(s)');
            if (i % 2) {
              await root.ok(`INSERT INTO ${table} VALUES (${lit}, 1000)`);
            }
          }
        }
        const compare = async () => await eventually(async () => assert.deepEqual(copy.snapshot(), canonical(await root.objects(`SELECT * FROM ${table}`))), 3000);
        await compare();
        assert.deepEqual(copy.anomalies, []);
        const before = canonical(await root.objects(`SELECT * FROM ${table}`));
        await server.kill();
        await server.start();
        assert.deepEqual(canonical(await root.objects(`SELECT * FROM ${table}`)), before);
        await copy.connect();
        await compare();
        await root.fail(`INSERT INTO ${table} VALUES (${all[0]}, 0)`, 'SQL_EXECUTION_ERROR', /[Pp]rimary key violation/);
      });
    }
  });

  test('several columns', async (t) => {
    const made = await root.sql("CREATE TABLE k.multi (a TEXT, b INT, v INT, PRIMARY KEY (a, b)) WITH (TYPE='USER')");
    if (made.status === 'error') {
      assert.match(made.error!.message, /Composite PRIMARY KEY/i);
      t.skip('not in this version');
      return;
    }
    await root.ok("INSERT INTO k.multi VALUES ('x', 1, 1), ('x', 2, 2), ('y', 1, 3), ('', 0, 4)");
    await root.fail("INSERT INTO k.multi VALUES ('x', 2, 9)", 'SQL_EXECUTION_ERROR', /[Pp]rimary key violation/);
    await root.fail("INSERT INTO k.multi VALUES ('z', 2, 9), ('z', 2, 8)", 'SQL_EXECUTION_ERROR', /[Pp]rimary key violation/);
    assert.deepEqual(await root.rows("SELECT v FROM k.multi WHERE a = 'x' AND b = 2"), [[2]]);
    assert.deepEqual(await root.rows("SELECT v FROM k.multi WHERE a = 'x' ORDER BY v"), [[1], [2]]);
    assert.equal(await root.message("UPDATE k.multi SET v = 5 WHERE b = 1 AND a = 'y'"), 'Updated 1 row(s)');
    await root.fail("UPDATE k.multi SET b = 5 WHERE a = 'y'", undefined, /primary key/i);
    assert.equal(await root.message("DELETE FROM k.multi WHERE a = 'x'"), 'Deleted 2 row(s)');
    await root.ok("INSERT INTO k.multi VALUES ('x', 2, 6)");
    const copy = new Copy(root, 'm', 'SELECT * FROM k.multi');
    await copy.connect();
    await root.ok("UPDATE k.multi SET v = v + 1 WHERE TRUE");
    await eventually(async () => assert.deepEqual(copy.snapshot(), canonical(await root.objects('SELECT * FROM k.multi'))));
    assert.deepEqual(copy.anomalies, []);
    copy.disconnect();
  });

  test('a stream is empty after a restart, and so is the copy of who resumes', async () => {
    await root.ok("CREATE TABLE k.stream (id INT, v TEXT) WITH (TYPE='STREAM', TTL_SECONDS=3600)");
    await root.ok("INSERT INTO k.stream VALUES (1, 'a'), (2, 'b')");
    const copy = new Copy(root, 's', 'SELECT * FROM k.stream', '_seq');
    await copy.connect();
    assert.equal(copy.rows.size, 2);
    await server.restart();
    copy.disconnect();
    await root.ok("INSERT INTO k.stream VALUES (3, 'c')");
    await copy.connect();
    await eventually(async () => assert.deepEqual(copy.snapshot(), canonical(await root.objects('SELECT * FROM k.stream'))));
    assert.equal(copy.rows.size, 1);
    copy.disconnect();
  });

  test('rows that expire while a client is away are gone from its copy', async () => {
    await root.ok("CREATE TABLE k.away (id INT, v TEXT) WITH (TYPE='STREAM', TTL_SECONDS=2)");
    await root.ok("INSERT INTO k.away VALUES (1, 'a')");
    const copy = new Copy(root, 's', 'SELECT * FROM k.away', '_seq');
    await copy.connect();
    assert.equal(copy.rows.size, 1);
    copy.disconnect();
    await eventually(async () => assert.equal(await root.value('SELECT COUNT(*) FROM k.away'), '0'));
    await root.ok("INSERT INTO k.away VALUES (2, 'b')");
    await copy.connect();
    await eventually(() => assert.deepEqual([...copy.rows.values()].map((r) => r.id), [2]), 1500);
    copy.disconnect();
  });

  test('a cursor from the future or another table does no harm', async () => {
    await root.ok("CREATE TABLE k.f (id INT PRIMARY KEY) WITH (TYPE='USER')");
    await root.ok('INSERT INTO k.f VALUES (1), (2)');
    for (const cursor of [0n, 1n, 2n ** 62n, 2n ** 63n - 1n]) {
      const copy = new Copy(root, 'f', 'SELECT * FROM k.f');
      copy.cursor = cursor;
      await copy.connect();
      await root.ok(`INSERT INTO k.f VALUES (${100 + Number(cursor % 1000n)})`);
      await eventually(() => assert.ok([...copy.rows.values()].some((r) => r.id === 100 + Number(cursor % 1000n)), `from ${cursor}: new rows come`));
      copy.disconnect();
    }
  });
});
