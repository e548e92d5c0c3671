// The walkthroughs: statements as people paste them, on a fresh server, with the outcome they were promised.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Copy, canonical } from './lib/copy.js';
import type { Client } from './lib/http.js';
import { eventually, sleep } from './lib/random.js';
import { Server } from './lib/server.js';
import { Socket, type Ack, type Batch, type Change } from './lib/ws.js';

let server: Server;
let root: Client;
before(async () => {
  server = await Server.start();
  root = server.root();
});
after(async () => {
  await server.stop();
});

const now = () => Date.now() * 1000;
const isRecent = (us: unknown) => {
  assert.equal(typeof us, 'number');
  assert.ok(Math.abs((us as number) - now()) < 120e6, `recent: ${us}`);
};

describe('A: chat with AI', { concurrency: false }, () => {
  test('namespace, tables', async () => {
    assert.equal(await root.message('CREATE NAMESPACE IF NOT EXISTS chat;'), "Namespace 'chat' created successfully");
    assert.equal(await root.message('CREATE NAMESPACE IF NOT EXISTS chat;'), "Namespace 'chat' already exists");
    assert.match(
      await root.message(`CREATE TABLE chat.conversations (
        id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
        title TEXT NOT NULL,
        created_at TIMESTAMP DEFAULT NOW()
      ) WITH (TYPE = 'USER', FLUSH_POLICY = 'rows:1000');`),
      /user table chat\.conversations created successfully/,
    );
    assert.match(
      await root.message(`CREATE TABLE chat.messages (
        id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
        conversation_id BIGINT NOT NULL,
        role_id TEXT NOT NULL,
        content TEXT NOT NULL,
        created_at TIMESTAMP DEFAULT NOW()
      ) WITH (TYPE = 'USER', FLUSH_POLICY = 'rows:1000');`),
      /user table chat\.messages created successfully/,
    );
    assert.match(
      await root.message(`CREATE TABLE chat.typing_events (
        id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
        conversation_id BIGINT NOT NULL,
        user_id TEXT NOT NULL,
        event_type TEXT NOT NULL,
        created_at TIMESTAMP DEFAULT NOW()
      ) WITH (TYPE = 'STREAM', TTL_SECONDS = 30);`),
      /stream table chat\.typing_events created successfully/,
    );
  });

  test('rows come back in the order they were written', async () => {
    const one = await root.ok("INSERT INTO chat.conversations (id, title) VALUES (1, 'Chat with AI About KalamDB');");
    assert.deepEqual({ ...one }, { row_count: 1, message: 'Inserted 1 row(s)', as_user: 'root' });
    assert.equal(
      await root.message(`INSERT INTO chat.messages (conversation_id, role_id, content) VALUES
        (1, 'user', 'Hello, AI!'),
        (1, 'assistant', 'Hi! How can I help you today?');`),
      'Inserted 2 row(s)',
    );
    const result = await root.ok(`SELECT id, role_id, content, created_at
      FROM chat.messages
      WHERE conversation_id = 1
      ORDER BY created_at ASC;`);
    assert.deepEqual(
      result.schema!.map((c) => [c.name, c.data_type, c.index]),
      [['id', 'BigInt', 0], ['role_id', 'Text', 1], ['content', 'Text', 2], ['created_at', 'Timestamp', 3]],
    );
    assert.deepEqual(result.schema![0].flags, ['pk', 'nn', 'uq']);
    assert.equal(result.row_count, 2);
    assert.deepEqual(result.rows!.map((r) => [r[1], r[2]]), [['user', 'Hello, AI!'], ['assistant', 'Hi! How can I help you today?']]);
    for (const row of result.rows!) {
      assert.match(row[0] as string, /^\d{18,19}$/);
      isRecent(row[3]);
    }
    assert.ok(BigInt(result.rows![0][0] as string) < BigInt(result.rows![1][0] as string), 'ids rise');
  });

  test('subscriptions: last rows, then each change', async () => {
    const socket = await Socket.open(root);
    socket.subscribe('typing', 'SELECT * FROM chat.typing_events WHERE conversation_id = 1', { last_rows: 50 });
    socket.subscribe('messages', 'SELECT * FROM chat.messages WHERE conversation_id = 1', { last_rows: 20 });
    const [ack, batch] = (await socket.take(2, 'messages')) as [Ack, Batch];
    assert.equal(ack.type, 'subscription_ack');
    assert.deepEqual(ack.schema.map((c) => c.name), ['id', 'conversation_id', 'role_id', 'content', 'created_at', '_seq', '_deleted']);
    assert.equal(batch.type, 'initial_data_batch');
    assert.deepEqual(batch.rows.map((r) => r.content), ['Hello, AI!', 'Hi! How can I help you today?']);
    await socket.take(2, 'typing');
    await root.message("INSERT INTO chat.typing_events (conversation_id, user_id, event_type) VALUES (1, 'user_123', 'typing');");
    await root.message("INSERT INTO chat.typing_events (conversation_id, user_id, event_type) VALUES (1, 'ai_model', 'thinking');");
    await root.message("INSERT INTO chat.typing_events (conversation_id, user_id, event_type) VALUES (1, 'ai_model', 'cancelled');");
    await root.message("INSERT INTO chat.typing_events (conversation_id, user_id, event_type) VALUES (2, 'ai_model', 'elsewhere');");
    await root.message("INSERT INTO chat.messages (conversation_id, role_id, content) VALUES (1, 'user', 'More')");
    const typing = (await socket.take(5, 'typing')).slice(2) as Change[];
    assert.deepEqual(typing.map((m) => [m.change_type, m.rows![0].user_id, m.rows![0].event_type]), [
      ['insert', 'user_123', 'typing'],
      ['insert', 'ai_model', 'thinking'],
      ['insert', 'ai_model', 'cancelled'],
    ]);
    const more = (await socket.take(3, 'messages'))[2] as Change;
    assert.equal(more.rows![0].content, 'More');
    await socket.close();
  });

  test('SUBSCRIBE TO over HTTP describes the subscription', async () => {
    const result = await root.ok('SUBSCRIBE TO chat.messages WHERE conversation_id = 1 OPTIONS (last_rows = 20);');
    const row = Object.fromEntries(result.rows![0].map((v, i) => [result.schema![i].name, v])) as Record<string, any>;
    assert.equal(row.status, 'subscription_required');
    assert.equal(typeof row.subscription, 'object');
    assert.match(row.subscription.sql, /^SELECT \* FROM chat\.messages WHERE conversation_id = 1$/i);
    assert.equal(row.subscription.options.last_rows, 20);
    const socket = await Socket.open(root);
    socket.subscribe(row.subscription.id ?? 's', row.subscription.sql, row.subscription.options);
    await socket.take(2);
    assert.equal((socket.messages.find((m) => m.type === 'initial_data_batch') as Batch).rows.length, 3);
    await socket.close();
  });

  test('a table without a primary key is known by _seq', async () => {
    await root.message('CREATE NAMESPACE agent');
    await root.message(`CREATE TABLE agent.messages (id BIGINT DEFAULT SNOWFLAKE_ID(), role TEXT, content TEXT, user_id TEXT, created TIMESTAMP)
      WITH (TYPE='USER');`);
    const result = await root.ok('SELECT * FROM agent.messages');
    assert.deepEqual(result.schema!.map((c) => c.name), ['id', 'role', 'content', 'user_id', 'created', '_seq', '_deleted']);
    const copy = new Copy(root, 's', "SELECT * FROM agent.messages WHERE role = 'tool'", '_seq', { last_rows: 20 });
    await copy.connect();
    await root.message("INSERT INTO agent.messages (role, content) VALUES ('tool', 'a'), ('user', 'b'), ('tool', 'c')");
    await root.message("UPDATE agent.messages SET content = 'z' WHERE content = 'a'");
    await root.message("DELETE FROM agent.messages WHERE content = 'c'");
    await eventually(async () =>
      assert.deepEqual(copy.snapshot(), canonical(await root.objects("SELECT * FROM agent.messages WHERE role = 'tool'"))),
    );
    assert.deepEqual(copy.anomalies, []);
    assert.equal(copy.rows.size, 1);
    const described = await root.ok("SUBSCRIBE TO agent.messages WHERE role = 'tool' OPTIONS (last_rows = 20);");
    assert.equal(described.rows!.length, 1);
    copy.disconnect();
  });

  test('rows, tables and sequence survive a restart; streams are empty', async () => {
    const before = await root.rows('SELECT * FROM chat.messages ORDER BY id');
    const top = BigInt((await root.value('SELECT MAX(_seq) FROM chat.messages')) as string);
    await server.restart();
    assert.deepEqual(await root.rows('SELECT * FROM chat.messages ORDER BY id'), before);
    assert.equal(await root.value('SELECT COUNT(*) FROM chat.typing_events'), '0');
    assert.deepEqual(await root.rows('SELECT id, title FROM chat.conversations'), [['1', 'Chat with AI About KalamDB']]);
    await root.message("INSERT INTO chat.messages (conversation_id, role_id, content) VALUES (1, 'user', 'after')");
    const next = BigInt((await root.value("SELECT _seq FROM chat.messages WHERE content = 'after'")) as string);
    assert.ok(next > top);
    await server.kill();
    await server.start();
    assert.equal(await root.value("SELECT COUNT(*) FROM chat.messages WHERE content = 'after'"), '1');
  });
});

describe('C: documents, sensors, privacy, SaaS', { concurrency: false }, () => {
  test('namespaces in one request, one result each', async () => {
    const results = await root.all('CREATE NAMESPACE docs; CREATE NAMESPACE iot; CREATE NAMESPACE app; CREATE NAMESPACE saas;');
    assert.deepEqual(results.map((r) => r.message), ['docs', 'iot', 'app', 'saas'].map((n) => `Namespace '${n}' created successfully`));
  });

  test('collaborative editing', async () => {
    assert.match(
      await root.message(`CREATE TABLE docs.content (
        doc_id TEXT PRIMARY KEY, version INT, content TEXT,
        author TEXT DEFAULT CURRENT_USER(), updated_at TIMESTAMP DEFAULT NOW()
      ) WITH (TYPE = 'SHARED', FLUSH_POLICY = 'interval:60');`),
      /shared table docs\.content created successfully/,
    );
    await root.message(`CREATE TABLE docs.presence (
        doc_id TEXT PRIMARY KEY, user_id TEXT, cursor_position INT, last_seen TIMESTAMP DEFAULT NOW()
      ) WITH (TYPE = 'STREAM', TTL_SECONDS = 5);`);
    const copy = new Copy(root, 'doc', "SELECT * FROM docs.content WHERE doc_id = 'project-proposal'", 'pk', { last_rows: 1 });
    await copy.connect();
    await root.message("INSERT INTO docs.content (doc_id, version, content) VALUES ('project-proposal', 1, 'draft'), ('other', 1, 'x')");
    await root.message("UPDATE docs.content SET version = 2, content = 'final' WHERE doc_id = 'project-proposal'");
    await eventually(() => assert.equal([...copy.rows.values()][0]?.version, 2));
    assert.equal(copy.rows.size, 1);
    assert.deepEqual(copy.anomalies, []);
    assert.deepEqual(await root.rows("SELECT version, content, author FROM docs.content WHERE doc_id = 'project-proposal'"), [[2, 'final', 'root']]);
    copy.disconnect();
    await root.ok("SUBSCRIBE TO docs.content WHERE doc_id = 'project-proposal' OPTIONS (last_rows=1);");

    await root.message("INSERT INTO docs.presence (doc_id, user_id, cursor_position) VALUES ('project-proposal', 'alice', 7)");
    const written = Date.now();
    assert.equal(await root.value('SELECT COUNT(*) FROM docs.presence'), '1');
    await sleep(4000 - (Date.now() - written));
    assert.equal(await root.value('SELECT COUNT(*) FROM docs.presence'), '1', 'alive after four seconds');
    await sleep(5300 - (Date.now() - written));
    assert.equal(await root.value('SELECT COUNT(*) FROM docs.presence'), '0', 'gone after five');
  });

  test('sensors', async () => {
    await root.message(`CREATE TABLE iot.sensor_data (
        sensor_id TEXT PRIMARY KEY, temperature DOUBLE, humidity DOUBLE, timestamp TIMESTAMP DEFAULT NOW()
      ) WITH (TYPE = 'STREAM', TTL_SECONDS = 10);`);
    await root.message(`CREATE TABLE iot.metrics (
        sensor_id TEXT PRIMARY KEY, avg_temp DOUBLE, max_temp DOUBLE, min_temp DOUBLE, hour TIMESTAMP
      ) WITH (TYPE = 'SHARED', FLUSH_POLICY = 'interval:3600');`);
    const described = await root.ok('SUBSCRIBE TO iot.sensor_data WHERE temperature > 80.0 OR humidity > 95.0;');
    assert.equal(described.rows!.length, 1);
    const copy = new Copy(root, 'hot', 'SELECT * FROM iot.sensor_data WHERE temperature > 80.0 OR humidity > 95.0', '_seq');
    await copy.connect();
    await root.message(
      "INSERT INTO iot.sensor_data (sensor_id, temperature, humidity) VALUES ('a', 20.5, 96), ('b', 81, 10), ('c', 80, 95), ('d', NULL, 99.5), ('e', 10, NULL)",
    );
    await eventually(() => assert.deepEqual([...copy.rows.values()].map((r) => r.sensor_id).sort(), ['a', 'b', 'd']));
    await sleep(50);
    assert.equal(copy.rows.size, 3);
    copy.disconnect();
    await root.message("INSERT INTO iot.metrics VALUES ('a', 20.5, 30, 10.25, '2026-01-01 10:00:00')");
    assert.deepEqual(await root.rows('SELECT * FROM iot.metrics').then((r) => r[0].slice(0, 5)), ['a', 20.5, 30, 10.25, Date.UTC(2026, 0, 1, 10) * 1000]);
  });

  test('privacy and SaaS', async () => {
    await root.message(`CREATE TABLE app.user_data (
        id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), data_type TEXT, content TEXT,
        created_by TEXT DEFAULT CURRENT_USER(), created_at TIMESTAMP DEFAULT NOW()
      ) WITH (TYPE = 'USER', FLUSH_POLICY = 'interval:300');`);
    const alice = await server.createUser('alice');
    await alice.message("INSERT INTO app.user_data (data_type, content) VALUES ('note', 'mine')");
    assert.deepEqual(await alice.rows('SELECT data_type, content, created_by FROM app.user_data'), [['note', 'mine', 'alice']]);
    assert.deepEqual(await root.rows('SELECT * FROM app.user_data'), []);
    assert.equal(await root.message("DROP USER 'alice';"), "User 'alice' dropped (soft delete)");
    await eventually(async () => {
      const reply = await alice.sql('SELECT 1');
      assert.equal(reply.http, 401);
      assert.equal(reply.error!.code, 'INVALID_CREDENTIALS');
    });
    await assert.rejects(server.login('alice'), /401/);

    await root.message(`CREATE TABLE saas.customer_data (
        id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), customer_id TEXT DEFAULT CURRENT_USER(),
        entity_type TEXT, entity_data TEXT, created_at TIMESTAMP DEFAULT NOW()
      ) WITH (TYPE = 'USER', FLUSH_POLICY = 'rows:10000,interval:600');`);
    await root.message(`CREATE TABLE saas.analytics (
        id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), metric_name TEXT, metric_value DOUBLE, tenant_id TEXT,
        timestamp TIMESTAMP DEFAULT NOW()
      ) WITH (TYPE = 'SHARED', FLUSH_POLICY = 'interval:3600');`);
    assert.equal(await root.message("CREATE USER 'tenant_acme' WITH PASSWORD 'SecureKey123!' ROLE 'service';"), "User 'tenant_acme' created");
    const tenant = await server.login('tenant_acme', 'SecureKey123!');
    await tenant.message("INSERT INTO saas.customer_data (entity_type, entity_data) VALUES ('order', '{}')");
    await tenant.message("INSERT INTO saas.analytics (metric_name, metric_value, tenant_id) VALUES ('orders', 1, 'acme')");
    assert.deepEqual(await tenant.rows('SELECT customer_id, entity_type FROM saas.customer_data'), [['tenant_acme', 'order']]);
    assert.deepEqual(await root.rows('SELECT metric_name, metric_value FROM saas.analytics'), [['orders', 1]]);
  });
});

describe('D: the older spellings', { concurrency: false }, () => {
  test('tables, rows, ALTER', async () => {
    assert.match(
      await root.message('CREATE USER TABLE app.messages (id BIGINT, content TEXT, timestamp TIMESTAMP) FLUSH POLICY ROW_LIMIT 1000;'),
      /user table app\.messages created successfully/,
    );
    await root.message("INSERT INTO app.messages (id, content, timestamp) VALUES (1, 'Hello World', NOW());");
    const rows = await root.objects('SELECT * FROM app.messages ORDER BY timestamp DESC LIMIT 10;');
    assert.equal(rows.length, 1);
    assert.equal(rows[0].content, 'Hello World');
    isRecent(rows[0].timestamp);
    assert.equal((await root.rows("SELECT * FROM app.messages WHERE timestamp > NOW() - INTERVAL '5 minutes';")).length, 1);
    assert.equal((await root.rows("SELECT * FROM app.messages WHERE timestamp > NOW() + INTERVAL '5 minutes';")).length, 0);
    assert.match(
      await root.message('CREATE SHARED TABLE app.analytics (event_name TEXT, count BIGINT, timestamp TIMESTAMP) FLUSH POLICY TIME_INTERVAL 300;'),
      /shared table app\.analytics created successfully/,
    );
    assert.match(
      await root.message('CREATE STREAM TABLE app.events (event_id TEXT, data TEXT) RETENTION 10 EPHEMERAL MAX_BUFFER 5000;'),
      /stream table app\.events created successfully/,
    );
    assert.match(await root.message('ALTER TABLE app.messages ADD COLUMN author TEXT;'), /^Table app\.messages altered successfully: .*author.*\(version 2\)$/);
    await root.message("UPDATE app.messages SET author = 'me' WHERE id = 1");
    assert.match(await root.message('ALTER TABLE app.messages RENAME COLUMN author TO writer;'), /\(version 3\)$/);
    assert.equal(await root.value('SELECT writer FROM app.messages'), 'me', 'a rename keeps the values');
    assert.match(await root.message('ALTER TABLE app.messages DROP COLUMN writer;'), /\(version 4\)$/);
    await root.fail('SELECT writer FROM app.messages', undefined, /writer/);
  });

  test('show, describe, information schema', async () => {
    const tables = await root.objects('SHOW TABLES IN app;');
    assert.deepEqual(tables.map((t) => t.table_name).sort(), ['analytics', 'events', 'messages', 'user_data']);
    const described = await root.ok('DESCRIBE TABLE app.messages;');
    assert.deepEqual(described.schema!.map((c) => c.name), [
      'column_name', 'ordinal_position', 'column_id', 'data_type', 'is_nullable', 'is_primary_key', 'column_default', 'column_comment', 'schema_version',
    ]);
    assert.deepEqual(described.rows!.map((r) => r[0]).slice(0, 3), ['id', 'content', 'timestamp']);
    const stats = await root.ok('SHOW STATS FOR TABLE app.messages;');
    assert.deepEqual(stats.schema!.map((c) => c.name), [
      'table_name', 'namespace', 'schema_version', 'logical_rows', 'flushed_segments', 'active_streams', 'memory_bytes',
    ]);
    const listed = await root.objects('SELECT * FROM information_schema.tables;');
    assert.ok(listed.some((t) => t.table_schema === 'app' && t.table_name === 'messages'));
  });

  test('a namespace may be named after a user; DROP NAMESPACE', async () => {
    await root.message('CREATE NAMESPACE user_alice');
    await root.message('CREATE USER TABLE user_alice.messages (id BIGINT, content TEXT)');
    assert.deepEqual(await root.rows('SELECT * FROM user_alice.messages LIMIT 50;'), []);
    assert.equal(await root.message('DROP NAMESPACE app;'), "Namespace 'app' dropped successfully");
    await root.fail('SELECT * FROM app.messages');
    await root.message('CREATE NAMESPACE app');
    await root.message('CREATE USER TABLE app.messages (id BIGINT, content TEXT)');
    assert.deepEqual(await root.rows('SELECT * FROM app.messages'), [], 'a new table of the same name has no old rows');
  });

  test('aliases of the routes, the older subscribe messages', async () => {
    for (const path of ['/v1/api/sql', '/api/sql', '/api/v1/query']) {
      const reply = await root.post(path, { sql: 'SELECT 1' });
      assert.equal(reply.status, 200, path);
      assert.deepEqual(((await reply.json()) as any).results[0].rows, [['1']], path);
    }
    await root.message("INSERT INTO app.messages VALUES (1, 'old'), (2, 'older')");
    const socket = await Socket.open(root, { path: `/ws?token=${root.token}`, header: false });
    await socket.find((m) => m.type === 'auth_success');
    socket.send({ subscriptions: [{ query_id: 'q1', sql: 'SELECT * FROM app.messages', options: { last_rows: 10 } }] });
    const batch = (await socket.find((m) => m.type === 'initial_data_batch' && m.subscription_id === 'q1')) as Batch;
    assert.deepEqual(batch.rows.map((r) => r.content), ['old', 'older']);
    await socket.close();

    const follower = await Socket.open(root, { path: '/ws' });
    follower.send({ type: 'subscribe', userId: 'root', lastMsgId: 0 });
    await follower.find((m) => m.type === 'initial_data_batch' && (m as Batch).rows.some((r) => r.content === 'older'));
    await root.message("INSERT INTO app.messages VALUES (3, 'newest')");
    await follower.find((m) => m.type === 'change' && !!(m as Change).rows?.some((r) => r.content === 'newest'));
    await follower.close();
  });
});

// The statements of A to D in their order on one fresh server, letter by letter as they are published. Topics, backups and cold storage
// are not there yet: what belongs to them says so.
describe('as written', { concurrency: false }, () => {
  let fresh: Server;
  before(async () => {
    fresh = await Server.start();
  });
  after(async () => {
    await fresh.stop();
  });
  const a = [
    'CREATE NAMESPACE IF NOT EXISTS chat;',
    `CREATE TABLE chat.conversations (
  id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
  title TEXT NOT NULL,
  created_at TIMESTAMP DEFAULT NOW()
) WITH (TYPE = 'USER', FLUSH_POLICY = 'rows:1000');`,
    `CREATE TABLE chat.messages (
  id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
  conversation_id BIGINT NOT NULL,
  role_id TEXT NOT NULL,
  content TEXT NOT NULL,
  created_at TIMESTAMP DEFAULT NOW()
) WITH (TYPE = 'USER', FLUSH_POLICY = 'rows:1000');`,
    `CREATE TABLE chat.typing_events (
  id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
  conversation_id BIGINT NOT NULL,
  user_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  created_at TIMESTAMP DEFAULT NOW()
) WITH (TYPE = 'STREAM', TTL_SECONDS = 30);`,
    "INSERT INTO chat.conversations (id, title) VALUES (1, 'Chat with AI About KalamDB');",
    `INSERT INTO chat.messages (conversation_id, role_id, content) VALUES
  (1, 'user', 'Hello, AI!'),
  (1, 'assistant', 'Hi! How can I help you today?');`,
    `SELECT id, role_id, content, created_at
FROM chat.messages
WHERE conversation_id = 1
ORDER BY created_at ASC;                     -- two rows, in the order they were written`,
    "INSERT INTO chat.typing_events (conversation_id, user_id, event_type) VALUES (1, 'user_123', 'typing');",
    "INSERT INTO chat.typing_events (conversation_id, user_id, event_type) VALUES (1, 'ai_model', 'thinking');",
    "INSERT INTO chat.typing_events (conversation_id, user_id, event_type) VALUES (1, 'ai_model', 'cancelled');",
    'SUBSCRIBE TO chat.messages WHERE conversation_id = 1 OPTIONS (last_rows = 20);',
    'CREATE NAMESPACE agent',
    `CREATE TABLE agent.messages (id BIGINT DEFAULT SNOWFLAKE_ID(), role TEXT, content TEXT, user_id TEXT, created TIMESTAMP)
  WITH (TYPE='USER');                        -- after CREATE NAMESPACE agent`,
    "SUBSCRIBE TO agent.messages WHERE role = 'tool' OPTIONS (last_rows = 20);",
  ];
  const c = [
    'CREATE NAMESPACE docs; CREATE NAMESPACE iot; CREATE NAMESPACE app; CREATE NAMESPACE saas;',
    `CREATE TABLE docs.content (
  doc_id TEXT PRIMARY KEY, version INT, content TEXT,
  author TEXT DEFAULT CURRENT_USER(), updated_at TIMESTAMP DEFAULT NOW()
) WITH (TYPE = 'SHARED', FLUSH_POLICY = 'interval:60');
CREATE TABLE docs.presence (
  doc_id TEXT PRIMARY KEY, user_id TEXT, cursor_position INT, last_seen TIMESTAMP DEFAULT NOW()
) WITH (TYPE = 'STREAM', TTL_SECONDS = 5);   -- rows are gone five seconds after they were written
SUBSCRIBE TO docs.content WHERE doc_id = 'project-proposal' OPTIONS (last_rows=1);   -- a SHARED table, live`,
    `CREATE TABLE iot.sensor_data (
  sensor_id TEXT PRIMARY KEY, temperature DOUBLE, humidity DOUBLE, timestamp TIMESTAMP DEFAULT NOW()
) WITH (TYPE = 'STREAM', TTL_SECONDS = 10);
CREATE TABLE iot.metrics (
  sensor_id TEXT PRIMARY KEY, avg_temp DOUBLE, max_temp DOUBLE, min_temp DOUBLE, hour TIMESTAMP
) WITH (TYPE = 'SHARED', FLUSH_POLICY = 'interval:3600');
SUBSCRIBE TO iot.sensor_data WHERE temperature > 80.0 OR humidity > 95.0;`,
    `CREATE TABLE app.user_data (
  id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), data_type TEXT, content TEXT,
  created_by TEXT DEFAULT CURRENT_USER(), created_at TIMESTAMP DEFAULT NOW()
) WITH (TYPE = 'USER', FLUSH_POLICY = 'interval:300');`,
    "CREATE USER 'alice' WITH PASSWORD 'Long-Enough-7!' ROLE 'user'", // whom the next drops
    "DROP USER 'alice';       -- soft delete; her files and rows disappear for good after the grace period, by a scheduled job",
    `CREATE TABLE saas.customer_data (
  id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), customer_id TEXT DEFAULT CURRENT_USER(),
  entity_type TEXT, entity_data TEXT, created_at TIMESTAMP DEFAULT NOW()
) WITH (TYPE = 'USER', FLUSH_POLICY = 'rows:10000,interval:600');
CREATE TABLE saas.analytics (
  id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), metric_name TEXT, metric_value DOUBLE, tenant_id TEXT,
  timestamp TIMESTAMP DEFAULT NOW()
) WITH (TYPE = 'SHARED', FLUSH_POLICY = 'interval:3600');
CREATE USER 'tenant_acme' WITH PASSWORD 'SecureKey123!' ROLE 'service';`,
  ];
  const d = [
    'CREATE USER TABLE app.messages (id BIGINT, content TEXT, timestamp TIMESTAMP) FLUSH POLICY ROW_LIMIT 1000;',
    "INSERT INTO app.messages (id, content, timestamp) VALUES (1, 'Hello World', NOW());",
    'SELECT * FROM app.messages ORDER BY timestamp DESC LIMIT 10;',
    "SELECT * FROM app.messages WHERE timestamp > NOW() - INTERVAL '5 minutes';",
    'CREATE SHARED TABLE app.analytics (event_name TEXT, count BIGINT, timestamp TIMESTAMP) FLUSH POLICY TIME_INTERVAL 300;',
    'CREATE STREAM TABLE app.events (event_id TEXT, data TEXT) RETENTION 10 EPHEMERAL MAX_BUFFER 5000;',
    'ALTER TABLE app.messages ADD COLUMN author TEXT;',
    'ALTER TABLE app.messages RENAME COLUMN author TO writer;',
    'ALTER TABLE app.messages DROP COLUMN writer;',
    'SHOW TABLES IN app;',
    'DESCRIBE TABLE app.messages;',
    'SHOW STATS FOR TABLE app.messages;',
    'SELECT * FROM information_schema.tables;',
    'CREATE NAMESPACE user_alice; CREATE USER TABLE user_alice.messages (id BIGINT, content TEXT)', // which the next reads
    'SELECT * FROM user_alice.messages LIMIT 50;          -- namespaces are free to be named after users',
    'DROP NAMESPACE app;',
  ];

  test('A, C and D', async () => {
    const client = fresh.root();
    for (const sql of [...a, ...c, ...d]) {
      const results = await client.all(sql);
      if (sql.startsWith('SELECT id, role_id')) {
        assert.deepEqual(results[0].rows!.map((r) => r[1]), ['user', 'assistant']);
      } else if (sql.startsWith('SELECT * FROM app.messages')) {
        assert.equal(results[0].rows!.length, 1, sql);
      } else if (sql.startsWith('SELECT * FROM user_alice')) {
        assert.deepEqual(results[0].rows, []);
      }
    }
    assert.equal((await client.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'app'")).length, 0);
    // the options were understood, not merely read over
    await client.all('CREATE NAMESPACE app; CREATE STREAM TABLE app.events (event_id TEXT, data TEXT) RETENTION 10 EPHEMERAL MAX_BUFFER 5000;');
    const [events] = await client.objects("SELECT * FROM system.tables WHERE namespace_id = 'app' AND table_name = 'events'");
    const options = typeof events.options === 'string' ? JSON.parse(events.options) : (events.options as Record<string, unknown>);
    assert.equal(Number(options.ttl_seconds), 10, JSON.stringify(events));
    for (const from of [1, 2551]) {
      await client.ok(`INSERT INTO app.events SELECT i::TEXT, 'x' FROM generate_series(${from}, ${from + 2549}) g(i)`);
    }
    assert.equal(await client.value('SELECT COUNT(*) FROM app.events'), '5000', 'MAX_BUFFER');
  });

  test('B: a service acts for a user; topics say that they are not there', async () => {
    const client = fresh.root();
    await client.ok(`EXECUTE AS USER 'service_bot' (
  INSERT INTO chat.messages (conversation_id, role_id, content) VALUES (1, 'assistant', 'I processed your request')
);`);
    for (const sql of [
      'CREATE TOPIC chat.message_events PARTITIONS 2;',
      "ALTER TOPIC chat.message_events ADD SOURCE chat.messages ON INSERT WITH (payload = 'full');",
      "CONSUME FROM chat.message_events GROUP 'chat-worker-1' FROM LATEST LIMIT 50;",
      "ACK chat.message_events GROUP 'chat-worker-1' UPTO OFFSET 50;",
      "BACKUP DATABASE app TO '/backups/app-20251020';",
      "RESTORE DATABASE app FROM '/backups/app-20251020';",
    ]) {
      const error = await client.fail(sql);
      assert.ok(error.message.length > 10 && !/syntax error/i.test(error.message), `${sql}: ${error.message}`);
    }
  });
});
