// Drives the official MCP client against a server and says, for each case, "ok - NAME" or "not ok - NAME".
//
//   node client.mjs stdio COMMAND [ARGUMENT]...    a server to start, spoken to over its standard input and output
//   node client.mjs http URL TOKEN_FILE            a server that runs
//
// The SDK is found in the folder that MCP_MODULES names.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = createRequire(join(process.env.MCP_MODULES, "package.json"));
const sdk = (path) => import(pathToFileURL(modules.resolve(`@modelcontextprotocol/sdk/${path}`)));
const { Client } = await sdk("client/index.js");
const { StdioClientTransport } = await sdk("client/stdio.js");
const { StreamableHTTPClientTransport } = await sdk("client/streamableHttp.js");
const { ErrorCode, McpError } = await sdk("types.js");

const [way, ...rest] = process.argv.slice(2);
const timeout = { timeout: 60_000 };

function make_transport() {
  if (way === "stdio") {
    const [command, ...args] = rest;
    return new StdioClientTransport({ command, args, env: process.env, stderr: "inherit" });
  }
  const [url, token_file] = rest;
  const token = readFileSync(token_file, "utf8").trim();
  return new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
  });
}

const client = new Client({ name: "mcp-test", version: "1.0.0" });
const troubles = [];
client.onerror = (error) => troubles.push(error);

const call = (name, args) => client.callTool({ name, arguments: args }, undefined, timeout);
const read = (sql, params = []) => call("sluice_read", { db: "app.db", sql, params });
const write = (statements, more = {}) => call("sluice_write", { db: "app.db", statements, ...more });

let failed = 0;

async function test(name, body) {
  try {
    await body();
    console.log(`ok - mcp over ${way}: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`  ${String(error.stack).replaceAll("\n", "\n  ")}`);
    console.log(`not ok - mcp over ${way}: ${name}`);
  }
}

await test("the client connects and learns who serves it", async () => {
  await client.connect(make_transport(), timeout);
  assert.equal(client.getServerVersion().name, "sluice");
  assert.match(client.getServerVersion().version, /^\d+\.\d+\.\d+/);
  assert.ok(client.getServerCapabilities().tools);
  assert.match(client.getInstructions(), /sluice_read/);
  await client.ping(timeout);
});

await test("the tools are listed with schemas", async () => {
  const { tools, nextCursor } = await client.listTools(undefined, timeout);
  assert.equal(nextCursor, undefined);
  const names = tools.map((tool) => tool.name);
  assert.ok(names.includes("sluice_read") && names.includes("sluice_write"), names.join());
  for (const tool of tools) assert.equal(tool.inputSchema.type, "object");
});

await test("what is written can be read", async () => {
  const written = await write([
    { sql: "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, data BLOB)" },
    { sql: "INSERT INTO notes (text, data) VALUES (?, ?) RETURNING id", params: ["größe", { $blob: "AAH/" }] },
  ]);
  assert.ok(!written.isError, written.content[0].text);
  assert.equal(written.structuredContent.outcome, "committed");
  assert.deepEqual(written.structuredContent.results[1].rows, [[1]]);
  const answer = await read("SELECT id, text, data, 1.5, NULL FROM notes WHERE id = :id", { id: 1 });
  assert.deepEqual(answer.structuredContent.rows, [[1, "größe", { $blob: "AAH/" }, 1.5, null]]);
  assert.deepEqual(JSON.parse(answer.content[0].text), answer.structuredContent);
  assert.ok(answer.structuredContent.as_of_seq >= written.structuredContent.commit_seq);
});

await test("a write with a key is applied once", async () => {
  const once = () => write([{ sql: "INSERT INTO notes (text) VALUES ('once')" }], { idempotency_key: "the key" });
  const first = await once();
  const second = await once();
  assert.equal(first.structuredContent.replayed, false);
  assert.equal(second.structuredContent.replayed, true);
  assert.equal(second.structuredContent.commit_seq, first.structuredContent.commit_seq);
  const answer = await read("SELECT count(*) FROM notes WHERE text = 'once'");
  assert.deepEqual(answer.structuredContent.rows, [[1]]);
});

await test("operations of the catalogue are tools", async () => {
  const { tools } = await client.listTools(undefined, timeout);
  const count = tools.find((tool) => tool.name === "count_notes");
  assert.equal(count.annotations.readOnlyHint, true);
  assert.match(count.description, /^Counts the notes/);
  const before = (await call("count_notes", {})).structuredContent.rows[0].n;
  const added = await call("note_twice", { sets: [{ text: "'); DROP TABLE notes;".slice(0, 20) }, { text: "b" }] });
  assert.equal(added.structuredContent.changes, 2);
  for (const args of [{}, { length: null }, { length: 0 }, { length: 0.0 }])
    assert.equal((await call("count_notes", args)).structuredContent.rows[0].n, before + 2);
  for (const args of [{ length: "x" }, { size: 1 }, { length: 1.5 }]) {
    const refused = await call("count_notes", args);
    assert.equal(refused.isError, true);
    assert.match(refused.content[0].text, /^invalid_request: /);
  }
});

await test("a committed write is no failure if its values are of another type than its column lines", async () => {
  await write([{ sql: "CREATE TABLE measures (value)" }]);
  for (const value of [1, "one", null, { $real: "inf" }, { $blob: "AAH/" }, { $text: "/w==" }]) {
    const answer = await call("measure", { value });
    assert.ok(!answer.isError, answer.content[0].text);
    assert.equal(answer.structuredContent.outcome, "committed");
    assert.deepEqual(answer.structuredContent.rows, [{ value }]);
  }
});

await test("calls under way together are each answered", async () => {
  const numbers = Array.from({ length: 50 }, (_, i) => i);
  const answers = await Promise.all(numbers.map((i) => read("SELECT ?", [i])));
  assert.deepEqual(answers.map((x) => x.structuredContent.rows[0][0]), numbers);
});

await test("a failure is a result that says what to do", async () => {
  const refused = await write([{ sql: "INSERT INTO notes (id) VALUES (1)" }]);
  assert.equal(refused.isError, true);
  assert.match(refused.content[0].text, /^constraint: [^]*not_committed[^]*What to do: /);
  const misspelt = await read("SELEC 1");
  assert.equal(misspelt.isError, true);
  assert.match(misspelt.content[0].text, /^sql_error: /);
});

await test("arguments that are wrong are told to the model", async () => {
  for (const args of [{}, { db: "app.db" }, { db: "app.db", sql: "SELECT 1", colour: "red" }]) {
    const refused = await call("sluice_read", args);
    assert.equal(refused.isError, true);
    assert.match(refused.content[0].text, /^invalid_request: /);
  }
});

await test("an unknown tool is an error of the protocol", async () => {
  await assert.rejects(call("sluice_drop", {}), (error) => {
    assert.ok(error instanceof McpError);
    assert.equal(error.code, ErrorCode.InvalidParams);
    return true;
  });
});

await test("an unknown cursor is an error of the protocol", async () => {
  await assert.rejects(client.listTools({ cursor: "none" }, timeout), { code: ErrorCode.InvalidParams });
});

await test("the status can be asked for", async () => {
  const answer = await call("sluice_status", {});
  assert.ok(!answer.isError, answer.content[0].text);
});

await test("the connection closes, and nothing went wrong on the way", async () => {
  await client.close();
  assert.deepEqual(troubles, []);
});

process.exitCode = failed === 0 ? 0 : 1;
