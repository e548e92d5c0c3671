// Parameters as clients send them: JSON values of one kind for columns of another, by both executors, in INSERT, UPDATE, DELETE and WHERE.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Client } from './lib/http.js';
import { Server } from './lib/server.js';

for (const executors of ['auto', 'duckdb']) {
  describe(`parameters (${executors})`, () => {
    let server: Server;
    let root: Client;
    before(async () => {
      server = await Server.start({ env: { KL_SQL_EXECUTORS: executors } });
      root = server.root();
      await root.message('CREATE NAMESPACE pa');
      await root.message(
        "CREATE TABLE pa.t (id BIGINT PRIMARY KEY, s SMALLINT, i INT, f FLOAT, d DOUBLE, m DECIMAL(10,2), b BOOLEAN, x TEXT, ts TIMESTAMP, dt DATETIME, da DATE, ti TIME, u UUID, j JSON, y BYTES, e EMBEDDING(3)) WITH (TYPE = 'SHARED')",
      );
    });
    after(async () => {
      await server.stop();
    });

    const stored = async (column: string, value: unknown): Promise<unknown> => {
      await root.message('DELETE FROM pa.t WHERE id = $1', [7]);
      await root.message(`INSERT INTO pa.t (id, ${column}) VALUES ($1, $2)`, ['7', value]);
      const inserted = await root.value(`SELECT ${column} FROM pa.t WHERE id = '7'`);
      await root.message(`UPDATE pa.t SET ${column} = NULL WHERE id = $1`, ['7']);
      await root.message(`UPDATE pa.t SET ${column} = $2 WHERE id = $1`, ['7', value]);
      const updated = await root.value(`SELECT ${column} FROM pa.t WHERE id = $1`, [7]);
      assert.deepEqual(updated, inserted);
      return inserted;
    };

    const us = Date.UTC(2026, 0, 2, 10, 0, 0) * 1000;
    const cases: [column: string, value: unknown, is: unknown][] = [
      ['s', '12', 12], ['i', '42', 42], ['i', ' 42 ', 42], ['f', '1.5', 1.5], ['d', '1.25', 1.25], ['d', 3, 3], ['m', '12.345', '12.35'], ['m', 7, '7.00'], ['m', 1.5, '1.50'],
      ['i', 2.0, 2], ['b', 'true', true], ['b', 'f', false], ['b', true, true], ['x', 5, '5'], ['x', 1.5, '1.5'], ['x', true, 'true'], ['x', 'a', 'a'],
      ['x', { a: [1, 2] }, '{"a":[1,2]}'], ['x', [1, 'b'], '[1,"b"]'], ['j', { a: 1 }, '{"a":1}'], ['j', [1, 2], '[1,2]'], ['j', '{"a":1}', '{"a":1}'],
      ['y', [222, 173], [222, 173]], ['y', { 0: 222, 1: 173 }, [222, 173]], ['y', { type: 'Buffer', data: [222, 173] }, [222, 173]], ['y', '\\xdead', [222, 173]],
      ['e', [1, 0.5, 2], [1, 0.5, 2]], ['e', '[1,0.5,2]', [1, 0.5, 2]],
      ['ts', '2026-01-02 10:00:00', us], ['ts', '2026-01-02T10:00:00', us], ['ts', '2026-01-02T10:00:00Z', us], ['ts', '2026-01-02T10:00:00.000Z', us],
      ['dt', '2026-01-02T10:00:00Z', us], ['dt', '2026-01-02T12:00:00+02:00', us], ['dt', '2026-01-02T10:00:00.000Z', us], ['da', '2026-01-02', 20455], ['da', '2026-01-02T10:00:00Z', 20455],
      ['ti', '10:00:00', 36000000000], ['u', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001'],
      ['i', null, null], ['e', null, null], ['j', null, null],
    ];
    for (const [column, value, is] of cases) {
      test(`${column} takes ${JSON.stringify(value)}`, async () => {
        assert.deepEqual(await stored(column, value), is);
      });
    }

    test('WHERE compares with what was sent as text, number or boolean', async () => {
      await root.message('DELETE FROM pa.t WHERE TRUE');
      await root.message(
        "INSERT INTO pa.t (id, i, d, m, b, x, ts, dt, da, u, j, y) VALUES (42, 7, 1.5, 2.50, TRUE, '9', '2026-01-02 10:00:00', '2026-01-02 10:00:00+00', '2026-01-02', '00000000-0000-0000-0000-000000000001', '{\"a\":1}', '\\xdead')",
      );
      const found = async (where: string, ...params: unknown[]) => {
        const n = (await root.rows(`SELECT id FROM pa.t WHERE ${where}`, params)).length;
        const grouped = (await root.rows(`SELECT count(*) AS n FROM pa.t WHERE ${where} GROUP BY id`, params)).length;
        assert.equal(n, grouped, where);
        return n;
      };
      assert.equal(await found("id = '42'"), 1);
      for (const [where, ...params] of [
        ['id = $1', '42'], ['id = $1', 42], ['$1 = id', '42'], ['id IN ($1, $2)', '1', '42'], ['id BETWEEN $1 AND $2', '40', '50'], ['i = $1', '7'], ['d = $1', '1.5'], ['m = $1', '2.5'],
        ['m = $1', 2.5], ['b = $1', 'true'], ['b = $1', true], ['x = $1', '9'], ['x = $1', 9], ['ts = $1', '2026-01-02T10:00:00Z'], ['ts >= $1', '2026-01-02'], ['dt = $1', '2026-01-02T12:00:00+02:00'],
        ['dt < $1', '2026-01-02T10:00:00.001Z'], ['da = $1', '2026-01-02'], ['u = $1', '00000000-0000-0000-0000-000000000001'], ["j ->> 'a' = $1", '1'], ['x LIKE $1', '9%'],
        ['coalesce(i, $1) = $2', '3', '7'], ['i + $1 = 9', 2], ['y = $1', '\\xdead'],
      ] as [string, ...unknown[]][]) {
        assert.equal(await found(where, ...params), 1, `${where} ${JSON.stringify(params)}`);
      }
      assert.equal(await found('id = $1', '43'), 0);
      assert.equal(await found('id = $1', null), 0);
    });

    test('a value that cannot be read is an error about it', async () => {
      for (const [where, param] of [['id = $1', 'abc'], ['i = $1', '1.5'], ['ts = $1', 'soon'], ['b = $1', 'maybe'], ['u = $1', 'x']]) {
        const reply = await root.sql(`SELECT id FROM pa.t WHERE ${where}`, [param]);
        assert.equal(reply.http, 400, `${where} ${param}: ${JSON.stringify(reply)}`);
        assert.match(reply.error!.message, new RegExp(`"${param}"`));
      }
      const reply = await root.sql('SELECT id FROM pa.t WHERE id = $2', ['1']);
      assert.equal(reply.http, 400);
      assert.match(reply.error!.message, /\$2/);
    });
  });
}
