// Many clients at once: one row wins a key, no update is lost, statements are whole, schema changes in the middle of everything.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Client } from './lib/http.js';
import { scaled, seeded, sleep } from './lib/random.js';
import { Server } from './lib/server.js';
import { Copy, canonical } from './lib/copy.js';

let server: Server;
let root: Client;
before(async () => {
  server = await Server.start();
  root = server.root();
  await root.message('CREATE NAMESPACE c');
});
after(async () => {
  await server.stop();
});

describe('concurrency', { concurrency: false }, () => {
  for (const type of ['USER', 'SHARED']) {
    test(`${type}: of many inserts of one key exactly one succeeds`, async () => {
      await root.message(`CREATE TABLE c.key_${type} (id INT PRIMARY KEY, who INT) WITH (TYPE='${type}')`);
      for (let id = 0; id < scaled(30); id++) {
        const replies = await Promise.all(Array.from({ length: 16 }, (_, who) => root.sql(`INSERT INTO c.key_${type} VALUES (${id}, ${who})`)));
        const won = replies.map((r, i) => (r.status === 'success' ? i : -1)).filter((i) => i >= 0);
        assert.equal(won.length, 1);
        assert.equal(await root.value(`SELECT who FROM c.key_${type} WHERE id = ${id}`), won[0]);
      }
    });
    test(`${type}: no increment is lost`, async () => {
      await root.message(`CREATE TABLE c.sum_${type} (id INT PRIMARY KEY, v BIGINT, w BIGINT) WITH (TYPE='${type}')`);
      await root.message(`INSERT INTO c.sum_${type} VALUES (1, 0, 0), (2, 0, 0)`);
      const n = scaled(40);
      await Promise.all(
        Array.from({ length: 16 }, async (_, i) => {
          for (let k = 0; k < n; k++) {
            await root.ok(i % 2 ? `UPDATE c.sum_${type} SET v = v + 1, w = w - 1 WHERE id = 1` : `UPDATE c.sum_${type} SET v = v + 1, w = w - 1 WHERE v >= 0`);
            if (k % 5 === 0) {
              const rows = await root.rows(`SELECT v, w FROM c.sum_${type}`);
              rows.forEach(([v, w]) => assert.equal(BigInt(v as string) + BigInt(w as string), 0n, 'a row is never half written'));
            }
          }
        }),
      );
      assert.deepEqual(await root.rows(`SELECT v, w FROM c.sum_${type} ORDER BY id`), [[String(16 * n), String(-16 * n)], [String(8 * n), String(-8 * n)]]);
    });
    test(`${type}: a reader sees statements whole`, async () => {
      await root.message(`CREATE TABLE c.whole_${type} (id BIGINT PRIMARY KEY, v INT) WITH (TYPE='${type}')`);
      let stop = false;
      let reads = 0;
      const writer = (async () => {
        for (let i = 0; i < scaled(60); i++) {
          await root.ok(`INSERT INTO c.whole_${type} VALUES ${Array.from({ length: 50 }, (_, k) => `(${i * 50 + k}, 0)`).join(', ')}`);
          await root.ok(`UPDATE c.whole_${type} SET v = ${i} WHERE TRUE`);
          if (i % 3 === 0) {
            await root.ok(`DELETE FROM c.whole_${type} WHERE id < ${i * 50}`);
          }
        }
        stop = true;
      })();
      const readers = Array.from({ length: 4 }, async (_, i) => {
        while (!stop) {
          const sql = i % 2 ? `SELECT id, v FROM c.whole_${type}` : `SELECT a.id, b.v FROM c.whole_${type} a JOIN c.whole_${type} b ON a.id = b.id`;
          const rows = await root.rows(sql);
          assert.equal(rows.length % 50, 0, `${rows.length} rows: ${sql}`);
          assert.ok(new Set(rows.map((r) => r[1])).size <= 2, 'at most the new rows and one updated generation');
          reads++;
        }
      });
      await Promise.all([writer, ...readers]);
      assert.ok(reads > 10);
    });
  }

  test('ALTER, DROP and CREATE while others write, read and subscribe', { timeout: 120_000 }, async () => {
    const random = seeded('schema changes');
    const tables = ['a', 'b', 'c'].map((t) => `c.ddl_${t}`);
    const create = (t: string) => `CREATE TABLE IF NOT EXISTS ${t} (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), v TEXT) WITH (TYPE='USER')`;
    for (const t of tables) {
      await root.ok(create(t));
    }
    const users = await Promise.all(['x1', 'x2', 'x3'].map((u) => server.createUser(u)));
    const end = Date.now() + 4000 * scaled(1);
    const unexpected: string[] = [];
    const attempt = async (who: Client, sql: string) => {
      const r = await who.sql(sql);
      if (r.status === 'error' && (r.http >= 500 || !/not found|does not exist|already exists|keeps changing|column|Column/.test(r.error!.message))) {
        unexpected.push(`${r.http} ${JSON.stringify(r.error)}: ${sql}`);
      }
    };
    let column = 0;
    const changer = (async () => {
      while (Date.now() < end) {
        const t = random.pick(tables);
        const dice = random.next();
        if (dice < 0.5) {
          await attempt(root, `ALTER TABLE ${t} ADD COLUMN c${column++} INT DEFAULT ${column}`);
        } else if (dice < 0.7) {
          await attempt(root, `ALTER TABLE ${t} DROP COLUMN c${random.int(column + 1)}`);
        } else if (dice < 0.85) {
          await attempt(root, `ALTER TABLE ${t} RENAME COLUMN c${random.int(column + 1)} TO d${column++}`);
        } else {
          await attempt(root, `DROP TABLE ${t}`);
          await attempt(root, create(t));
        }
        await sleep(random.int(10));
      }
    })();
    const workers = users.flatMap((who) =>
      Array.from({ length: 3 }, async () => {
        while (Date.now() < end) {
          const t = random.pick(tables);
          await attempt(who, random.pick([`INSERT INTO ${t} (v) VALUES ('x'), ('y')`, `SELECT * FROM ${t}`, `UPDATE ${t} SET v = 'z' WHERE v = 'x'`, `DELETE FROM ${t} WHERE v = 'z'`, `SELECT COUNT(*) FROM ${t} p JOIN ${t} q ON p.id = q.id`, `SELECT v, COUNT(*) FROM ${t} GROUP BY v`]));
        }
      }),
    );
    const watcher = (async () => {
      while (Date.now() < end) {
        const t = random.pick(tables);
        const copy = new Copy(users[0], 'w', `SELECT id, v FROM ${t}`);
        await copy.connect().catch(() => undefined);
        await sleep(random.int(100));
        copy.disconnect();
      }
    })();
    await Promise.all([changer, watcher, ...workers]);
    assert.deepEqual(unexpected.slice(0, 10), []);
    for (const t of tables) {
      for (const who of users) {
        const copy = new Copy(who, 'end', `SELECT id, v FROM ${t}`);
        await copy.connect();
        assert.deepEqual(copy.snapshot(), canonical(await who.objects(`SELECT id, v, _seq FROM ${t}`)));
        copy.disconnect();
      }
    }
    const before = await Promise.all(tables.map((t) => users[0].rows(`SELECT * FROM ${t} ORDER BY id`)));
    await server.kill();
    await server.start();
    for (const [i, t] of tables.entries()) {
      assert.deepEqual(await users[0].rows(`SELECT * FROM ${t} ORDER BY id`), before[i], 'the same after a crash');
    }
  });

  test('a dropped table leaves nothing to a new one of its name, also after a crash', async () => {
    const user = await server.createUser('dropper');
    for (let i = 0; i < 5; i++) {
      await root.ok("CREATE TABLE c.again (id INT PRIMARY KEY, v TEXT) WITH (TYPE='USER')");
      await user.ok(`INSERT INTO c.again VALUES ${Array.from({ length: 500 }, (_, k) => `(${k}, 'generation ${i}')`).join(', ')}`);
      await root.ok('DROP TABLE c.again');
      if (i % 2) {
        await server.kill();
        await server.start();
      }
    }
    await root.ok("CREATE TABLE c.again (id INT PRIMARY KEY, v TEXT) WITH (TYPE='USER')");
    assert.deepEqual(await user.rows('SELECT * FROM c.again'), []);
    await user.ok("INSERT INTO c.again VALUES (1, 'new')");
    assert.deepEqual(await user.rows('SELECT id, v FROM c.again'), [[1, 'new']]);
  });

  test('thousands of requests at once: answered or told to come back', { timeout: 60_000 }, async () => {
    await root.ok("CREATE TABLE c.burst (id BIGINT PRIMARY KEY) WITH (TYPE='SHARED')");
    const replies = await Promise.all(Array.from({ length: 3000 }, async (_, i) => await root.sql(`INSERT INTO c.burst VALUES (${i})`)));
    const ok = replies.filter((r) => r.status === 'success').length;
    for (const r of replies.filter((x) => x.status !== 'success')) {
      assert.equal(r.http, 503);
      assert.equal(r.error!.code, 'OVERLOADED');
      assert.ok(r.headers.get('retry-after'));
    }
    assert.equal(await root.value('SELECT COUNT(*) FROM c.burst'), String(ok));
  });
});
