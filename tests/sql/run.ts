// Runs sqllogictest files over HTTP and ends with "N passed, N failed". README.md says how to write one.
//
//   tsx tests/sql/run.ts                 *.slt and public/* of this folder, and the runner's own tests
//   tsx tests/sql/run.ts file ...        these files
//   tsx tests/sql/run.ts --pending       *.pending: what the server does not do yet
//
// Every file gets a fresh server and runs as root; once with the executor that the server chooses, once with every SELECT in DuckDB
// (KL_SQL_EXECUTORS=auto,duckdb). KL_SQL_FAILURES (20) says how many failures of a file are shown.
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Client, Reply } from '../it/lib/http.js';
import { Server } from '../it/lib/server.js';
import { parse, type Statement, type Step } from './format.js';
import { selfTests } from './selftest.js';
import { compare } from './values.js';

// What runs the statements of a file.
export interface Target {
  sql(text: string): Promise<Reply>;
  become(user: string, role: string): Promise<void>;
  restart(): Promise<void>;
}
export interface Outcome {
  passed: number;
  failures: { line: number; text: string }[];
}

class ServerTarget implements Target {
  private client: Client;
  private who = { name: 'root', role: 'system' };
  private readonly clients = new Map<string, Client>();
  private readonly made = new Set(['root']);
  constructor(private readonly server: Server) {
    this.client = server.root();
  }
  async sql(text: string): Promise<Reply> {
    return await this.client.sql(text);
  }
  async become(name: string, role: string): Promise<void> {
    let client = name === 'root' ? this.server.root() : this.clients.get(name);
    if (client === undefined) {
      client = this.made.has(name) ? await this.server.login(name) : await this.server.createUser(name, role);
      this.clients.set(name, client);
      this.made.add(name);
    }
    this.client = client;
    this.who = { name, role };
  }
  async restart(): Promise<void> {
    await this.server.restart();
    this.clients.clear();
    await this.become(this.who.name, this.who.role);
  }
}

function judge(record: Statement, reply: Reply): string | undefined {
  const error = reply.status === 'error' ? `${reply.error!.code}: ${reply.error!.message}` : undefined;
  if (record.expect === 'error') {
    if (error === undefined) {
      return `must fail, but: ${JSON.stringify(reply.results).slice(0, 300)}`;
    }
    if (reply.http >= 500) {
      return `${reply.http} ${error}`;
    }
    return record.error === undefined || record.error(error) ? undefined : `expected error: ${record.errorText}\nactual error: ${error}`;
  }
  if (error !== undefined) {
    return record.expect === 'maybe' && reply.http < 500 ? undefined : error;
  }
  if (record.expect === 'count') {
    const result = reply.results[reply.results.length - 1];
    return result.row_count === record.count ? undefined : `${result.row_count} rows, not ${record.count}: ${result.message ?? ''}`;
  }
  return undefined;
}

export async function runSteps(steps: Step[], target: Target): Promise<Outcome> {
  const outcome: Outcome = { passed: 0, failures: [] };
  const labels = new Map<string, { line: number; hash: string }>();
  for (const step of steps) {
    if (step.kind === 'user') {
      await target.become(step.name, step.role);
      continue;
    }
    if (step.kind === 'restart') {
      await target.restart();
      continue;
    }
    let fault: string | undefined;
    try {
      const reply = await target.sql(step.sql);
      if (step.kind === 'statement') {
        fault = judge(step, reply);
      } else if (reply.status === 'error') {
        fault = `${reply.error!.code}: ${reply.error!.message}`;
      } else {
        const result = [...reply.results].reverse().find((r) => r.schema !== undefined) ?? reply.results[reply.results.length - 1];
        fault = compare(step, result, labels);
      }
    } catch (e) {
      fault = (e as Error).message;
    }
    if (fault === undefined) {
      outcome.passed++;
    } else {
      outcome.failures.push({ line: step.line, text: `${step.sql}\n${fault}` });
    }
  }
  return outcome;
}

async function runFile(file: string, executor: string): Promise<Outcome> {
  // A name for this server, for the grammar and meaning it follows, and for the way it runs.
  const steps = parse(readFileSync(file, 'utf8'), ['kalamdb', 'postgresql', `kalamdb-${executor}`]);
  const server = await Server.start({ config: { 'execution.executor': executor } });
  try {
    const outcome = await runSteps(steps, new ServerTarget(server));
    await server.stop();
    return outcome;
  } catch (e) {
    await server.kill().catch(() => undefined);
    throw e;
  }
}

const folder = import.meta.dirname;
function listed(under: string, suffixes: string[]): string[] {
  return readdirSync(under)
    .filter((f) => suffixes.some((s) => f.endsWith(s)))
    .sort()
    .map((f) => join(under, f));
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const pending = args[0] === '--pending';
  const given = pending ? args.slice(1) : args;
  const own = pending
    ? [...listed(folder, ['.pending']), ...listed(join(folder, 'public'), ['.pending'])]
    : [...listed(folder, ['.slt']), ...listed(join(folder, 'public'), ['.slt', '.test'])];
  const files = given.length > 0 ? given : own;
  const shown = Number(process.env.KL_SQL_FAILURES ?? 20);
  let passed = 0;
  let failed = 0;
  const tell = (name: string, outcome: Outcome) => {
    for (const failure of outcome.failures.slice(0, shown)) {
      console.log(`FAIL ${name}:${failure.line}\n${failure.text}\n`);
    }
    console.log(`${name}: ${outcome.passed} passed, ${outcome.failures.length} failed`);
    passed += outcome.passed;
    failed += outcome.failures.length;
  };
  if (args.length === 0) {
    tell('the runner itself', await selfTests());
  }
  for (const executor of (process.env.KL_SQL_EXECUTORS ?? 'auto,duckdb').split(',')) {
    for (const file of files) {
      const outcome = await runFile(file, executor).catch((e: Error) => ({ passed: 0, failures: [{ line: 0, text: e.message }] }));
      tell(`${basename(file)} (${executor})`, outcome);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) {
  await main();
}
