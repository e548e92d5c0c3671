// system.*, dba.* and information_schema.*: every relation with its columns, types and NOT NULLs; what is in them while things
// happen; what they keep from whom. The log of slow statements.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Client } from './lib/http.js';
import { eventually, sleep } from './lib/random.js';
import { Server } from './lib/server.js';

// T text, I int, S smallint, B bigint, TS timestamp, J json, Bo boolean, D double, F float; ! NOT NULL; * of the key.
const types: Record<string, string> = {
  T: 'Text', I: 'Int', S: 'SmallInt', B: 'BigInt', TS: 'Timestamp', J: 'Json', Bo: 'Boolean', D: 'Double', F: 'Float',
};
const expected: Record<string, string> = {
  'system.users':
    'user_id* T!, password_hash T!, role T!, email T, auth_type T!, auth_data J, storage_mode T!, storage_id T, failed_login_attempts I!, locked_until TS, last_login_at TS, created_at TS!, updated_at TS!, last_seen TS, deleted_at TS',
  'system.namespaces': 'namespace_id* T!, name T!, created_at TS!, options J, table_count I!',
  'system.schemas':
    'table_id* T!, table_name T!, namespace_id T!, table_type T!, created_at TS!, schema_version I!, columns J!, table_comment T, updated_at TS!, options J, access_level T, is_latest Bo!, storage_id T, use_user_storage Bo',
  'system.storages':
    'storage_id* T!, storage_name T!, description T, storage_type T!, base_directory T!, credentials J, config_json J, shared_tables_template T!, user_tables_template T!, created_at TS!, updated_at TS!',
  'system.jobs':
    'job_id* T!, job_type T!, status T!, leader_status T, parameters J, message T, exception_trace T, idempotency_key T, queue T, priority I, retry_count S!, max_retries S!, memory_used B, cpu_used B, created_at TS!, updated_at TS!, started_at TS, finished_at TS, node_id B!, leader_node_id B',
  'system.job_nodes':
    'job_id* T!, node_id* B!, status T!, error_message T, created_at TS!, started_at TS, finished_at TS, updated_at TS!',
  'system.audit_log':
    'audit_id* T!, timestamp TS!, actor_user_id T!, action T!, target T!, details T, ip_address T, subject_user_id T',
  'system.manifest':
    'cache_key* T!, namespace_id T!, table_name T!, scope T!, etag T, last_refreshed TS!, last_accessed TS!, in_memory Bo!, sync_state T!, manifest_json J!',
  'system.topics':
    'topic_id* T!, name T!, alias T, partitions I!, retention_seconds B, retention_max_bytes B, routes J!, created_at TS!, updated_at TS!',
  'system.topic_offsets': 'topic_id* T!, group_id* T!, partition_id* I!, last_acked_offset B!, updated_at TS!',
  'system.live':
    'live_id* T!, connection_id T!, subscription_id T!, namespace_id T!, table_name T!, user_id T!, query T!, options J, status T!, created_at TS!, last_update TS!, changes B!, node_id B!, last_ping_at TS!',
  'system.stats': 'metric_name T!, metric_value T!',
  'system.settings': 'name T!, value T!, description T!, category T!',
  'system.server_logs': 'timestamp T!, level T!, thread T, target T, line B, message T!',
  'system.cluster':
    'cluster_id T!, node_id B!, role T!, status T!, rpc_addr T!, api_addr T!, is_self Bo!, is_leader Bo!, groups_leading I!, total_groups I!, current_term B, last_applied_log B, leader_last_log_index B, snapshot_index B, catchup_progress_pct S, replication_lag B, hostname T, version T, memory_mb B, memory_usage_mb B, cpu_usage_percent F, uptime_seconds B, uptime_human T, os T, arch T',
  'system.cluster_groups':
    'group_id B!, cluster_id T!, node_id B!, group_type T!, current_term B, vote J, last_log_index B, last_applied B, snapshot B, purged B, committed B, state T, current_leader B, millis_since_quorum_ack B',
  'system.datatypes': 'arrow_type T!, kalam_type T!, sql_name T!, description T!',
  'system.tables':
    'namespace_id T!, table_name T!, table_type T!, storage_id T, version B!, options T, comment T, updated_at TS!, created_at TS!',
  'system.columns':
    'namespace_id T!, table_name T!, version B!, column_id B!, column_name T!, comment T, data_type T!, default_value T, ordinal B!, nullable Bo!, primary_key Bo!, primary_key_pos B',
  'system.describe':
    'column_name T!, ordinal_position I!, column_id B!, data_type T!, is_nullable Bo!, is_primary_key Bo!, column_default T, column_comment T, schema_version I!',
  'system.sessions':
    'session_id T!, backend_pid B, current_schema T, state T!, transaction_id T, transaction_state T, transaction_has_writes Bo!, client_addr T, transport T!, opened_at TS!, last_seen_at TS!, last_method T',
  'system.transactions':
    'transaction_id T!, owner_id T!, origin T!, state T!, age_ms B!, idle_ms B!, write_count B!, write_bytes B!, touched_tables_count B!, snapshot_commit_seq B!',
  'system.indexes':
    'index_name T!, namespace_id T!, table_name T!, columns T!, is_unique Bo!, is_primary Bo!, state T!, created_at TS!',
  'dba.stats': 'id* T!, node_id T!, metric_name T!, metric_value D!, metric_unit T, sampled_at TS!, _seq B!, _deleted Bo!',
  'dba.notifications':
    'id* T!, user_id T!, title T!, body T, is_read Bo!, created_at TS!, updated_at TS!, _seq B!, _deleted Bo!',
  'information_schema.tables': 'table_catalog T!, table_schema T!, table_name T!, table_type T!',
  'information_schema.views': 'table_catalog T!, table_schema T!, table_name T!, view_definition T',
};
const stats = `schema_cache_size schema_registry_size total_users total_tables server_version server_workers_effective max_connections
  server_uptime_seconds server_uptime_human server_build_date server_workers_configured cpu_usage_percent cpu_logical_cores memory_usage_mb
  memory_usage_bytes memory_rss_bytes memory_virtual_mb system_total_memory_mb thread_count open_files_total open_files_regular
  active_connections active_connections_peak active_subscriptions active_subscriptions_peak websocket_sessions websocket_sessions_peak open_files_unix connection_backlog total_namespaces total_storages total_jobs total_live_queries
  jobs_running jobs_queued jobs_failed plan_cache_size plan_cache_hits row_cache_bytes resident_partitions commits_total batch_commands_max
  node_id cluster_mode cluster_id cluster_api_addr user_shards shared_shards`.split(/\s+/);

let server: Server;
let root: Client;
let ann: Client;
before(async () => {
  server = await Server.start({
    config: { 'logging.slow_statement_ms': 300, 'logging.logs_path': 'logs', 'logging.format': 'json', 'logging.level': 'info' },
  });
  root = server.root();
  ann = await server.createUser('ann', 'user');
  await root.message('CREATE NAMESPACE s');
  await root.message("CREATE TABLE s.t (id BIGINT PRIMARY KEY, v TEXT) WITH (TYPE='USER')");
  await root.message("CREATE TABLE s.own (id BIGINT PRIMARY KEY) WITH (TYPE='USER')");
  await root.message(`INSERT INTO s.t VALUES ${Array.from({ length: 3000 }, (_, i) => `(${i}, 'row ${i}')`).join(',')}`);
});
after(async () => {
  await server.stop();
});

// Long enough to be looked at meanwhile, not long enough to be a nuisance.
const slow = (literal: string, n: number): string =>
  `SELECT COUNT(*) FROM s.t a, s.t b, s.t c WHERE a.id < ${n} AND b.id < 300 AND c.id < 300 AND a.v || b.v || c.v = '${literal}'`;

describe('columns', () => {
  for (const [relation, columns] of Object.entries(expected)) {
    test(relation, async () => {
      const { schema } = await root.ok(`SELECT * FROM ${relation} LIMIT 5`);
      const found = schema!.map((c) => {
        const flags = c.flags ?? [];
        const type = Object.entries(types).find(([, name]) => name === c.data_type);
        return `${c.name}${flags.includes('pk') ? '*' : ''} ${type ? type[0] : JSON.stringify(c.data_type)}${flags.includes('nn') ? '!' : ''}`;
      });
      assert.deepEqual(found, columns.split(', '));
    });
  }

  test('every relation that is listed can be read, with rows that keep their NOT NULLs', async () => {
    const listed = await root.rows("SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'SYSTEM VIEW'");
    assert.ok(listed.length >= 29);
    for (const [schema, name] of listed) {
      const { schema: columns, rows } = await root.ok(`SELECT * FROM ${schema}.${name}`);
      for (const row of rows!) {
        columns!.forEach((c, i) => assert.ok(row[i] !== null || !c.flags?.includes('nn'), `${schema}.${name}.${c.name}`));
      }
    }
  });

  test('figures', async () => {
    for (let id = 0; id < 20; id++) {
      await root.rows(`SELECT v FROM s.t WHERE id = ${id}`); // each loop has a cache
    }
    const found = new Map((await root.rows('SELECT metric_name, metric_value FROM system.stats')) as [string, string][]);
    assert.deepEqual(stats.filter((name) => !found.get(name)), []);
    assert.equal(found.get('total_tables'), '4');
    assert.equal(found.get('total_users'), '2');
    assert.ok(Number(found.get('plan_cache_hits')) > 0);
    assert.ok(Number(found.get('active_connections')) > 0);
    assert.equal(found.get('cluster_api_addr'), server.url);
  });
});

describe('what happens', { concurrency: false }, () => {
  test('the job that DROP TABLE names comes to its end', async () => {
    await root.message("CREATE TABLE s.gone (id BIGINT PRIMARY KEY) WITH (TYPE='SHARED')");
    await root.message('INSERT INTO s.gone VALUES (1), (2)');
    const message = await root.message('DROP TABLE s.gone');
    const id = /Cleanup job: (CL-[0-9a-f]{12})$/.exec(message)![1];
    await eventually(async () => {
      const [job] = await root.objects(`SELECT * FROM system.jobs WHERE job_id = '${id}'`);
      assert.equal(job!.status, 'completed');
      assert.equal(job!.job_type, 'cleanup');
      assert.equal(JSON.parse(job!.parameters as string).table_id, 's.gone');
      assert.ok(Number(job!.started_at) >= Number(job!.created_at) && Number(job!.finished_at) >= Number(job!.started_at));
    });
    assert.equal(await root.value(`SELECT status FROM system.job_nodes WHERE job_id = '${id}'`), 'completed');
  });

  test('transactions that run', { timeout: 60_000 }, async () => {
    assert.deepEqual(await root.rows('SELECT * FROM system.transactions'), []);
    const running = [
      ann.sql(`BEGIN; INSERT INTO s.own VALUES (1), (2); SELECT COUNT(*) FROM s.own; ${slow('x', 80)}; ROLLBACK`),
      root.sql(`BEGIN READ ONLY; ${slow('x', 80)}; COMMIT`),
    ];
    const seen = new Map<unknown, Record<string, unknown>>();
    let ended = false;
    void Promise.allSettled(running).then(() => (ended = true));
    while (!ended) {
      for (const row of await root.objects('SELECT * FROM system.transactions')) {
        seen.set(row.state, row);
      }
      await sleep(10);
    }
    for (const reply of await Promise.all(running)) {
      assert.equal(reply.status, 'success', reply.error?.message);
    }
    const read = seen.get('open_read')!;
    assert.equal(read.origin, 'SqlBatch');
    assert.equal(read.touched_tables_count, '1');
    assert.match(read.transaction_id as string, /^[0-9a-f-]{36}$/);
    assert.ok(Number(read.age_ms) >= 0 && read.owner_id !== '');
    assert.deepEqual(await root.rows('SELECT * FROM system.transactions'), []);
  });

  test('a slow statement is logged once, without its values', { timeout: 60_000 }, async () => {
    const secret = 'Nobody-Reads-This-7';
    const reply = await root.sql(`${slow(secret, 150)} /* ${secret} */`);
    assert.equal(reply.status, 'success', reply.error?.message);
    const lines = await root.objects("SELECT * FROM system.server_logs WHERE target = 'slow' AND message LIKE '%FROM s.t a, s.t b, s.t c WHERE a.id < ?%ok%' OR message LIKE '%a.v || b.v || c.v = ?%'");
    const line = lines.at(-1)!;
    assert.equal(line.level, 'WARN');
    assert.match(line.message as string, /^statement took \d+ ms: user root, rows 1, request \S+, ok: SELECT COUNT\(\*\) FROM s\.t a/);
    const file = readFileSync(join(server.dir, 'logs', 'server.log'), 'utf8');
    assert.ok(!file.includes(secret));
    const mine = /request (\S+), ok/.exec(line.message as string)![1];
    assert.equal(file.split('\n').filter((l) => l.includes(mine!)).length, 1);
    assert.ok(Number(await root.value("SELECT metric_value FROM system.stats WHERE metric_name = 'slow_statements_total'")) > 0);
  });

  test('one that fails is logged too, and quick ones are not', { timeout: 60_000 }, async () => {
    await root.fail(`SET statement_timeout = 400; ${slow('y', 3000)}`);
    const texts = (await root.rows("SELECT message FROM system.server_logs WHERE target = 'slow'")).map(([m]) => m as string);
    assert.ok(texts.some((m) => /rows 0, .*: SELECT COUNT/.test(m) && !/ ok: /.test(m)), texts.join('\n'));
    assert.ok(!texts.some((m) => m.includes('CREATE') || m.includes('INSERT')));
  });
});

describe('who sees what', () => {
  before(async () => {
    await root.message("CREATE VIEW s.w AS SELECT id FROM s.t WHERE v = 'Only-For-Admins'");
    await root.message(
      `CREATE STORAGE other TYPE filesystem NAME 'Other' PATH '${server.dir}/other' CREDENTIALS '{"key":"Very-Secret-1"}' CONFIG '{"k":"Config-2"}'`,
    );
  });
  test('listings for everyone leave out what is for administrators', async () => {
    for (const sql of ['SHOW TABLES', 'SHOW TABLES IN s', 'SHOW STORAGES', 'SHOW INDEXES', 'SHOW NAMESPACES', 'SELECT * FROM information_schema.views']) {
      const text = JSON.stringify((await ann.ok(sql)).rows);
      assert.ok(!/Only-For-Admins|Very-Secret-1|Config-2/.test(text), sql);
    }
    assert.match(JSON.stringify(await root.rows('SHOW TABLES IN s')), /Only-For-Admins/);
    const storages = JSON.stringify(await root.rows('SHOW STORAGES'));
    assert.ok(storages.includes('Config-2') && !storages.includes('Very-Secret-1'));
  });
  test('nobody finds another user in information_schema', async () => {
    await server.createUser('zebulon', 'user');
    for (const name of ['tables', 'columns', 'schemata', 'views', 'table_constraints', 'key_column_usage']) {
      assert.ok(!JSON.stringify(await ann.rows(`SELECT * FROM information_schema.${name}`)).includes('zebulon'), name);
    }
  });
  test('SHOW STATS counts what the caller has, in memory too', async () => {
    await root.message("CREATE TABLE s.st (v TEXT) WITH (TYPE='STREAM', TTL_SECONDS=600)");
    await root.message(`INSERT INTO s.st VALUES ('${'x'.repeat(1000)}'), ('b')`);
    const of = async (client: Client, table: string) => (await client.objects(`SHOW STATS FOR TABLE ${table}`))[0]!;
    assert.equal((await of(root, 's.t')).logical_rows, '3000');
    assert.equal((await of(ann, 's.t')).logical_rows, '0');
    const mine = await of(root, 's.st');
    assert.equal(mine.logical_rows, '2');
    assert.ok(Number(mine.memory_bytes) > 1000 && Number(mine.memory_bytes) < 2000);
    assert.deepEqual([(await of(ann, 's.st')).logical_rows, (await of(ann, 's.st')).memory_bytes], ['0', '0']);
  });
  test('system relations and the tables of dba are refused, by any way', async () => {
    for (const relation of Object.keys(expected).filter((r) => !r.startsWith('information_schema') && r !== 'system.namespaces')) {
      const error = await ann.fail(`SELECT * FROM ${relation}`, 'PERMISSION_DENIED');
      if (relation.startsWith('system.')) {
        assert.equal(
          error.message.replace(/^Statement 1 failed: /, ''),
          `Access denied: Role 'User' cannot access table '${relation}'. System tables require 'dba' or 'system' role.`,
        );
      }
    }
    await ann.fail('SELECT * FROM s.t WHERE EXISTS (SELECT 1 FROM system.users)', 'PERMISSION_DENIED');
    await ann.fail('WITH u AS (SELECT * FROM system.transactions) SELECT count(*) FROM u', 'PERMISSION_DENIED');
  });
});

describe('samples of dba.stats', () => {
  test('are there when they are asked for, old ones go', { timeout: 60_000 }, async () => {
    const sampling = await Server.start({ config: { 'retention.enable_dba_stats': true, 'retention.dba_stats_retention_days': 1 } });
    try {
      const admin = sampling.root();
      const old = Date.now() - 3 * 86400_000;
      await admin.message(
        `INSERT INTO dba.stats (id, node_id, metric_name, metric_value, sampled_at) VALUES ${[0, 1, 5000_000].map((ms) => `('${old + ms}-x', '1', 'x', 1, NOW())`).join(',')}`,
      );
      await eventually(async () => {
        assert.ok(Number(await admin.value("SELECT count(*) FROM dba.stats WHERE metric_name = 'total_users' AND metric_value = 1")) >= 1);
        assert.equal(await admin.value("SELECT count(*) FROM dba.stats WHERE metric_name = 'x'"), '0');
      });
      assert.equal(await admin.value("SELECT metric_unit FROM dba.stats WHERE metric_name = 'memory_rss_bytes' LIMIT 1"), 'bytes');
      await admin.message('DROP TABLE dba.stats');
      await sampling.restart();
      await sleep(1500);
      assert.equal(await admin.value("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'dba' AND table_name = 'stats'"), '0');
    } finally {
      await sampling.stop();
    }
  });
  test('are not there when they are not', async () => {
    assert.equal(await root.value('SELECT count(*) FROM dba.stats'), '0');
  });
});
