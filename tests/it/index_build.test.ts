// CREATE INDEX while others write: the index is exact when it is ready, a unique one is unique, and one that cannot be, or whose table goes
// away meanwhile, leaves nothing behind.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Client } from './lib/http.js';
import { eventually, scaled, seeded, sleep } from './lib/random.js';
import { Server } from './lib/server.js';

const random = seeded('index build');
const rows = scaled(8_000);
let server: Server;
let root: Client;
let over = false; // a failed test leaves no writers behind
before(async () => {
  server = await Server.start({ config: { 'execution.writers': 3 } });
  root = server.root();
  await root.message('CREATE NAMESPACE b');
});
after(async () => {
  over = true;
  await server.stop();
});

async function fill(table: string, n: number, who = root): Promise<void> {
  for (let from = 0; from < n; from += 1000) {
    const ids = Array.from({ length: Math.min(1000, n - from) }, (_, i) => from + i);
    await who.message(`INSERT INTO ${table} VALUES ${ids.map((i) => `(${i}, ${i}, 'k${i % 50}')`).join(', ')}`);
  }
}
const plan = async (sql: string) => JSON.stringify(await root.rows(`EXPLAIN ${sql}`));
const indexNames = async (table: string) =>
  (await root.rows(`SELECT index_name FROM system.indexes WHERE table_name = '${table.split('.')[1]}' ORDER BY 1`)).map((r) => String(r[0]));

// Rows through the index, in its order, against all rows.
async function exact(table: string, index: string, column: string, who = root): Promise<void> {
  const all = new Map<unknown, unknown[]>();
  for (const [id, v] of await who.rows(`SELECT id, ${column} FROM ${table}`)) {
    all.set(v, [...(all.get(v) ?? []), id]);
  }
  const text = typeof [...all.keys()][0] === 'string' && column === 'k';
  const sql = `SELECT id, ${column} FROM ${table} WHERE ${column} > ${text ? "''" : -1000}`;
  const through = `${sql} ORDER BY ${column} LIMIT 1000000`;
  assert.match(await plan(through), new RegExp(`index ${index}`));
  const found = await who.rows(through);
  const want = [...all].filter(([v]) => v !== null).flatMap(([v, ids]) => ids.map((id) => `${v}:${id}`));
  assert.deepEqual(found.map(([id, v]) => `${v}:${id}`).sort(), want.sort());
  for (const v of [...all.keys()].filter((x) => x !== null).slice(0, 200)) {
    const some = await who.rows(`SELECT id FROM ${table} WHERE ${column} = ${text ? `'${v}'` : v}`);
    assert.deepEqual(some.map((r) => r[0]).sort(), all.get(v)!.sort(), `${column} = ${v}`);
  }
}

for (const type of ['USER', 'SHARED']) {
  test(`${type}: indexes made under sixteen writers are exact, and nobody waits for them`, { timeout: 180_000 }, async () => {
    const table = `b.busy_${type.toLowerCase()}`;
    await root.message(`CREATE TABLE ${table} (id BIGINT PRIMARY KEY, u BIGINT, k TEXT) WITH (TYPE='${type}')`);
    await fill(table, rows);
    let stop = false;
    let next = rows;
    let slowest = 0;
    let refused = 0;
    const writers = Array.from({ length: 16 }, async () => {
      while (!stop && !over) {
        const id = random.int(next);
        const fresh = next++;
        const u = random.chance(0.5) ? fresh : random.int(rows);
        const sql = random.pick([
          `INSERT INTO ${table} VALUES (${fresh}, ${u}, 'k${random.int(50)}')`,
          `UPDATE ${table} SET k = 'k${random.int(50)}' WHERE id = ${id}`,
          `UPDATE ${table} SET u = ${fresh} WHERE id = ${id}`,
          `DELETE FROM ${table} WHERE id = ${id}`,
          `INSERT INTO ${table} VALUES (${id}, ${fresh}, 'x') ON CONFLICT (id) DO UPDATE SET u = EXCLUDED.u, k = 'y'`,
          `BEGIN; DELETE FROM ${table} WHERE id = ${id}; INSERT INTO ${table} VALUES (${id}, ${fresh}, 'z'); ${random.pick(['COMMIT', 'ROLLBACK'])}`,
        ]);
        const t0 = Date.now();
        const reply = await root.sql(sql);
        slowest = Math.max(slowest, Date.now() - t0);
        if (reply.status === 'error') {
          assert.match(reply.error!.message, /Unique constraint violation|Primary key violation/, sql);
          refused++;
        }
      }
    });
    let unique = 0;
    const create = async (sql: string) => {
      const t0 = Date.now();
      const reply = await root.sql(sql);
      return { reply, ms: Date.now() - t0 };
    };
    const [a, b] = await Promise.all([create(`CREATE INDEX ${type}_k ON ${table} (k)`), create(`CREATE INDEX ${type}_kid ON ${table} (k, id)`)]);
    assert.equal(a.reply.status, 'success', JSON.stringify(a.reply.error));
    assert.equal(b.reply.status, 'success', JSON.stringify(b.reply.error));
    await sleep(100);
    stop = true;
    await Promise.all(writers);
    console.log(`${type}: built in ${a.ms} and ${b.ms} ms; the slowest write took ${slowest} ms; ${refused} refused`);
    await exact(table, `${type}_k`.toLowerCase(), 'k');

    // a unique one, over rows that writers make equal and distinct again
    await root.message(`UPDATE ${table} SET u = id WHERE TRUE`);
    for (let round = 0; round < 5; round++) {
      stop = false;
      const twins = Array.from({ length: 8 }, async (_, w) => {
        for (let n = 0; !stop && !over; n++) {
          const old = rows - 1 - ((n * 8 + w) % 2000);
          const twin = next++;
          // twins inside a transaction alone, before the builder has come to the old row; sometimes a real one
          const away = random.pick([`DELETE FROM ${table} WHERE id = ${old}`, `UPDATE ${table} SET u = ${next++} WHERE id = ${old}`]);
          const sql = `INSERT INTO ${table} VALUES (${twin}, ${old}, 't'); ${round < 3 ? away : `UPDATE ${table} SET k = 'q' WHERE id = ${old}`}`;
          const reply = await root.sql(`BEGIN; ${sql}; COMMIT`);
          assert.ok(reply.status === 'success' || /violation/.test(reply.error!.message), JSON.stringify(reply.error));
        }
      });
      const { reply } = await create(`CREATE UNIQUE INDEX ${type}_u${round} ON ${table} (u)`);
      stop = true;
      await Promise.all(twins);
      if (reply.status === 'success') {
        unique++;
        await exact(table, `${type}_u${round}`.toLowerCase(), 'u');
        assert.equal(await root.value(`SELECT COUNT(*) - COUNT(DISTINCT u) FROM ${table}`), '0');
        await root.message(`DROP INDEX b.${type}_u${round}`);
      } else {
        assert.match(reply.error!.message, /could not create unique index/);
        assert.ok(!(await indexNames(table)).includes(`${type}_u${round}`.toLowerCase()));
      }
      await root.message(`UPDATE ${table} SET u = id WHERE TRUE`);
    }
    assert.ok(unique >= 3, `${unique} unique indexes were made`);
  });
}

test('a unique index over duplicates leaves nothing', async () => {
  await root.message("CREATE TABLE b.dup (id BIGINT PRIMARY KEY, u BIGINT, k TEXT) WITH (TYPE='SHARED')");
  await fill('b.dup', 3000);
  await root.message('UPDATE b.dup SET u = 7 WHERE id = 2999');
  for (let i = 0; i < 3; i++) {
    await root.fail('CREATE UNIQUE INDEX dup_u ON b.dup (u)', undefined, /could not create unique index "dup_u"/);
    assert.ok(!(await indexNames('b.dup')).includes('dup_u'));
    await root.message(`INSERT INTO b.dup VALUES (${-1 - i}, 8, 'free')`);
  }
  await root.message('UPDATE b.dup SET u = id WHERE TRUE');
  await root.message('CREATE UNIQUE INDEX dup_u ON b.dup (u)');
  await root.fail("INSERT INTO b.dup VALUES (5000, 7, 'no')", undefined, /Unique constraint violation/);
  await exact('b.dup', 'dup_u', 'u');
});

test('ALTER, DROP and a client that goes, while an index is being built', { timeout: 180_000 }, async () => {
  const users = await Promise.all(['p1', 'p2', 'p3'].map((u) => server.createUser(u, 'service')));
  let column = 0;
  for (let round = 0; round < scaled(8); round++) {
    const table = `b.alter_${round}`;
    await root.message(`CREATE TABLE ${table} (id BIGINT PRIMARY KEY, u BIGINT, k TEXT, spare INT) WITH (TYPE='USER')`);
    const some = (from: number) => Array.from({ length: 500 }, (_, i) => `(${from + i}, ${from + i}, 'k${i % 50}', 1)`).join(', ');
    await Promise.all(users.flatMap((who) => Array.from({ length: 6 }, (_, i) => who.message(`INSERT INTO ${table} VALUES ${some(i * 500)}`))));
    let stop = false;
    const writers = users.map(async (who, w) => {
      for (let n = 10_000; !stop && !over; n++) {
        const sql = random.pick([
          `INSERT INTO ${table} (id, u, k) VALUES (${n}, ${n}, 'new')`,
          `UPDATE ${table} SET k = 'u${w}' WHERE id = ${random.int(n)}`,
          `DELETE FROM ${table} WHERE id = ${random.int(3000)}`,
        ]);
        const reply = await who.sql(sql);
        if (reply.status === 'error') {
          assert.ok(reply.http < 500 && /not found|does not exist|keeps changing/.test(reply.error!.message), JSON.stringify(reply.error));
        }
      }
    });
    const how = ['alter', 'drop table', 'drop index', 'disconnect'][round % 4];
    const abort = new AbortController();
    const made = fetch(`${server.url}/v1/api/sql`, {
      method: 'POST', signal: abort.signal, headers: { 'content-type': 'application/json', authorization: `Bearer ${root.token}` },
      body: JSON.stringify({ sql: `CREATE INDEX k_${round} ON ${table} (k)` }),
    }).then(async (r) => (await r.json()) as { status: string; error?: { message: string } }, () => undefined);
    await eventually(async () => assert.ok((await indexNames(table)).includes(`k_${round}`)));
    if (how === 'alter') {
      for (let i = 0; i < 5; i++) {
        await root.message(`ALTER TABLE ${table} ADD COLUMN c${column++} INT DEFAULT 5`);
        await sleep(random.int(10));
      }
      await root.message(`ALTER TABLE ${table} DROP COLUMN spare`);
      await root.fail(`ALTER TABLE ${table} DROP COLUMN k`, undefined, /index/);
    } else if (how === 'drop table') {
      await root.message(`DROP TABLE ${table}`);
    } else if (how === 'drop index') {
      await root.message(`DROP INDEX b.k_${round}`);
    } else {
      abort.abort();
    }
    const reply = await made;
    await sleep(50);
    stop = true;
    await Promise.all(writers);
    console.log(`${how}: ${reply?.error?.message ?? reply?.status ?? 'gone'}`);
    const left = await eventually(async () => {
      const states = await root.rows(`SELECT index_name, state FROM system.indexes WHERE table_name = 'alter_${round}'`);
      assert.ok(states.every((r) => r[1] === 'ready'), JSON.stringify(states));
      return states.map((r) => r[0]);
    });
    if (how === 'alter') {
      assert.equal(reply?.status, 'success', JSON.stringify(reply));
    }
    if (how === 'drop table') {
      assert.deepEqual(left, []);
      continue;
    }
    if (!left.includes(`k_${round}`)) {
      await root.message(`CREATE INDEX k_${round} ON ${table} (k)`);
    }
    for (const who of users) {
      await exact(table, `k_${round}`, 'k', who);
    }
  }
});
