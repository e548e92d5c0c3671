// The HTTP side of a client: statements as one user, with what the tests ask of an answer.
import assert from 'node:assert/strict';

export type DataType = string | { Embedding: number } | { Decimal: { precision: number; scale: number } };
export interface Column {
  name: string;
  data_type: DataType;
  index: number;
  flags?: string[];
}
export type Row = Record<string, unknown>;
export interface Result {
  schema?: Column[];
  rows?: unknown[][];
  row_count: number;
  message?: string;
  as_user: string;
}
export interface SqlError {
  code: string;
  message: string;
  details?: string;
  position?: number;
  hint?: string;
}
export interface Reply {
  http: number;
  headers: Headers;
  status: string;
  results: Result[];
  took: number;
  error?: SqlError | null;
}

export class Client {
  constructor(
    private readonly base: () => string,
    private readonly bearer: () => string,
    readonly user: string,
  ) {}
  get url(): string {
    return this.base();
  }
  get token(): string {
    return this.bearer();
  }

  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return await fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.token}`, ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  async sql(sql: string, params?: unknown[], namespace?: string): Promise<Reply> {
    const body: Row = { sql };
    if (params !== undefined) {
      body.params = params;
    }
    if (namespace !== undefined) {
      body.namespace_id = namespace;
    }
    const reply = await this.post('/v1/api/sql', body);
    const text = await reply.text();
    let json: Omit<Reply, 'http' | 'headers'>;
    try {
      json = JSON.parse(text);
    } catch {
      throw new Error(`the answer is not JSON (${reply.status}): ${text.slice(0, 500)}\nstatement: ${sql.slice(0, 500)}`);
    }
    return { http: reply.status, headers: reply.headers, ...json };
  }

  // The results of a request that must succeed.
  async all(sql: string, params?: unknown[], namespace?: string): Promise<Result[]> {
    const reply = await this.sql(sql, params, namespace);
    if (reply.status !== 'success' || reply.http !== 200) {
      throw new Error(`as ${this.user}: ${reply.http} ${JSON.stringify(reply.error)}\nstatement: ${sql.slice(0, 1000)}`);
    }
    return reply.results;
  }
  // The only result.
  async ok(sql: string, params?: unknown[], namespace?: string): Promise<Result> {
    const results = await this.all(sql, params, namespace);
    assert.equal(results.length, 1, `one result for: ${sql}`);
    return results[0];
  }
  async message(sql: string, params?: unknown[]): Promise<string> {
    const result = await this.ok(sql, params);
    assert.equal(typeof result.message, 'string', `a message for: ${sql}`);
    return result.message!;
  }
  async rows(sql: string, params?: unknown[], namespace?: string): Promise<unknown[][]> {
    const result = await this.ok(sql, params, namespace);
    assert.ok(Array.isArray(result.rows), `rows for: ${sql}`);
    return result.rows!;
  }
  async objects(sql: string, params?: unknown[]): Promise<Row[]> {
    const result = await this.ok(sql, params);
    assert.ok(result.schema && result.rows, `rows for: ${sql}`);
    const names = result.schema!.map((c) => c.name);
    return result.rows!.map((r) => Object.fromEntries(r.map((v, i) => [names[i], v])));
  }
  async value(sql: string, params?: unknown[]): Promise<unknown> {
    const rows = await this.rows(sql, params);
    assert.equal(rows.length, 1, `one row for: ${sql}`);
    assert.equal(rows[0].length, 1, `one column for: ${sql}`);
    return rows[0][0];
  }
  // The error of a request that must fail: with this code, and a message that matches.
  async fail(sql: string, code?: string | string[], message?: RegExp, params?: unknown[]): Promise<SqlError> {
    const reply = await this.sql(sql, params);
    if (reply.status !== 'error' || !reply.error) {
      assert.fail(`as ${this.user}: must fail, but: ${JSON.stringify(reply.results).slice(0, 500)}\nstatement: ${sql.slice(0, 1000)}`);
    }
    const where = `${reply.http} ${JSON.stringify(reply.error)}\nstatement: ${sql.slice(0, 1000)}`;
    assert.ok(reply.http >= 400, where);
    assert.ok(reply.http < 500, `not the server's own trouble: ${where}`);
    assert.deepEqual(reply.results, [], where);
    if (code !== undefined) {
      assert.ok([code].flat().includes(reply.error!.code), `code ${code}: ${where}`);
    }
    if (message !== undefined) {
      assert.match(reply.error!.message, message, where);
    }
    return reply.error!;
  }
}
