// The flags pk, nn and uq of result columns are the same whichever executor runs a statement.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Client } from './lib/http.js';
import { Server } from './lib/server.js';

let server: Server;
let root: Client;
before(async () => {
  server = await Server.start();
  root = server.root();
  await root.message('CREATE NAMESPACE fl');
  await root.message("CREATE TABLE fl.a (id BIGINT PRIMARY KEY, name TEXT NOT NULL, note TEXT) WITH (TYPE = 'SHARED')");
  await root.message("CREATE TABLE fl.b (x INT, y INT, z TEXT, PRIMARY KEY (x, y)) WITH (TYPE = 'SHARED')");
  await root.message("CREATE VIEW fl.v AS SELECT id, name FROM fl.a");
});
after(async () => {
  await server.stop();
});

const flags = async (sql: string) => (await root.ok(sql)).schema!.map((c) => `${c.name}:${(c.flags ?? []).join('+')}`).join(' ');

test('a single table, natively and in DuckDB', async () => {
  const all = 'id:pk+nn+uq name:nn note: _seq:nn _deleted:nn';
  assert.equal(await flags('SELECT * FROM fl.a'), all);
  assert.equal(await flags('SELECT * FROM fl.a WHERE id IN (SELECT x FROM fl.b)'), all);
  assert.equal(await flags('SELECT a.*, 1 AS one FROM fl.a a WHERE EXISTS (SELECT 1)'), `${all} one:`);
  assert.equal(await flags('SELECT name AS n, id, id + 1 AS more FROM fl.a WHERE EXISTS (SELECT 1)'), 'n:nn id:pk+nn+uq more:');
});

test('joins, groups, and what is no column of a table', async () => {
  assert.equal(await flags('SELECT a.id, b.x, b.y, b.z, note FROM fl.a a JOIN fl.b b ON a.id = b.x'), 'id:pk+nn+uq x:pk+nn y:pk+nn z: note:');
  assert.equal(await flags('SELECT * FROM fl.b, fl.a'), 'x:pk+nn y:pk+nn z: _seq:nn _deleted:nn id:pk+nn+uq name:nn note: _seq:nn _deleted:nn');
  assert.equal(await flags('SELECT a.id, b.x FROM fl.a a LEFT JOIN fl.b b ON a.id = b.x'), 'id: x:');
  assert.equal(await flags('SELECT name, count(*) AS n FROM fl.a GROUP BY name'), 'name:nn n:');
  assert.equal(await flags('SELECT id FROM fl.a UNION ALL SELECT x FROM fl.b'), 'id:');
  assert.equal(await flags('SELECT q.id FROM (SELECT id FROM fl.a) q'), 'id:');
  assert.equal(await flags('WITH w AS (SELECT * FROM fl.a) SELECT * FROM w'), 'id: name: note:');
  assert.equal(await flags('SELECT * FROM fl.v'), 'id: name:');
});
