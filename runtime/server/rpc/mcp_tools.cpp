#include "runtime/server/rpc/mcp_tools.hpp"

#include "runtime/server/rpc/methods.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::rpc {

namespace {

using nlohmann::json;

constexpr std::string_view write_tool = R"json({
  "name": "sluice_write",
  "title": "Write to a SQLite database",
  "description": "Changes a SQLite database: INSERT, UPDATE, DELETE, CREATE and the like. All statements of one call are applied together or not at all, and are on disk when the call succeeds. The file is made if it does not exist. BEGIN, COMMIT, PRAGMA, VACUUM and ATTACH are refused. Use RETURNING to get rows back. If the outcome of a failed call is unknown, repeat the call with the same idempotency_key.",
  "inputSchema": {
    "type": "object",
    "properties": {
      "db": {
        "type": "string",
        "description": "The database file, relative to the folder that is served, such as app.db."
      },
      "statements": {
        "type": "array",
        "minItems": 1,
        "description": "One SQL statement each, in the order in which they are applied.",
        "items": {
          "type": "object",
          "properties": {
            "sql": {"type": "string", "description": "One SQL statement, with ? or :name where values go."},
            "params": {
              "anyOf": [{"type": "array", "items": {}}, {"type": "object"}],
              "description": "The values, as an array for ? or as an object for :name (without the colon): null, numbers, texts, {\"$blob\":\"BASE64\"}, {\"$text\":\"BASE64\"} for text that is not UTF-8, or {\"$integer\":\"9007199254740993\"} for an integer beyond 2^53. Booleans do not exist; use 1 and 0."
            },
            "expect": {
              "type": "object",
              "properties": {"changes": {"type": "integer", "minimum": 0, "description": "How many rows the statement has to change. With any other number nothing of the call is applied."}},
              "required": ["changes"],
              "additionalProperties": false,
              "description": "A condition, such as {\"changes\":1} for an UPDATE that has to find its row."
            }
          },
          "required": ["sql"],
          "additionalProperties": false
        }
      },
      "idempotency_key": {
        "type": "string",
        "maxLength": 256,
        "description": "A text of your own that is unique to this change, such as order-4711-paid. Calls with the same key and the same statements are applied once, however often they are made, and answered alike (replayed is true then). Give one whenever the change must not happen twice and you might have to repeat the call. Kept for a day."
      },
      "deadline_ms": {
        "type": "integer",
        "minimum": 1,
        "maximum": 86400000,
        "description": "Milliseconds after which the write is given up and leaves no trace. 30000 if left out."
      },
      "integers": {
        "type": "string",
        "enum": ["number", "text", "tagged"],
        "description": "How integers beyond 2^53 come back, for clients whose numbers cannot hold them: as number, as a decimal text (integer_text is true then), or tagged as {\"$integer\":\"9007199254740993\"}."
      },
      "foreign_keys": {
        "type": "string",
        "enum": ["on", "off"],
        "description": "off executes the statements without foreign keys and their ON DELETE actions, as rebuilding a table needs (create, copy, drop, rename); the keys are checked before the commit. on if left out."
      },
      "agent": {
        "type": "string",
        "maxLength": 256,
        "description": "Whose name goes into the audit. This client's if left out."
      }
    },
    "required": ["db", "statements"],
    "additionalProperties": false
  },
  "outputSchema": {
    "type": "object",
    "properties": {
      "outcome": {"type": "string", "const": "committed"},
      "replayed": {"type": "boolean", "description": "Whether an earlier call with the same key had been applied; this is its outcome."},
      "commit_seq": {"type": "integer", "description": "The commit that holds the write; later ones have larger numbers."},
      "request_id": {"type": "string"},
      "integer_text": {"type": "boolean", "description": "True when integers beyond 2^53 are given as texts, as asked."},
      "results": {
        "type": "array",
        "description": "One entry for each statement.",
        "items": {
          "type": "object",
          "properties": {
            "changes": {"type": "integer", "description": "Rows inserted, updated or deleted."},
            "last_insert_rowid": {},
            "columns": {"type": "array", "items": {}},
            "rows": {"type": "array", "items": {"type": "array", "items": {}}, "description": "What RETURNING gave."}
          },
          "required": ["changes", "last_insert_rowid", "columns", "rows"]
        }
      }
    },
    "required": ["outcome", "replayed", "commit_seq", "request_id", "results"]
  },
  "annotations": {
    "title": "Write to a SQLite database",
    "readOnlyHint": false,
    "destructiveHint": true,
    "idempotentHint": false,
    "openWorldHint": false
  }
})json";

constexpr std::string_view read_tool = R"json({
  "name": "sluice_read",
  "title": "Read a SQLite database",
  "description": "Runs one read-only SQL statement on a SQLite database and returns its rows. sluice_schema lists the tables and columns. The answer includes every write that had succeeded before the call. Ask only for the rows that you need, with LIMIT and WHERE; truncated is true when a bound cut the rows short.",
  "inputSchema": {
    "type": "object",
    "properties": {
      "db": {
        "type": "string",
        "description": "The database file, relative to the folder that is served, such as app.db. It must exist."
      },
      "sql": {"type": "string", "description": "One SELECT statement, with ? or :name where values go."},
      "params": {
        "anyOf": [{"type": "array", "items": {}}, {"type": "object"}],
        "description": "The values, as an array for ? or as an object for :name (without the colon): null, numbers, texts, {\"$blob\":\"BASE64\"}, {\"$text\":\"BASE64\"} for text that is not UTF-8, or {\"$integer\":\"9007199254740993\"} for an integer beyond 2^53. Booleans do not exist; use 1 and 0."
      },
      "max_rows": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100000000,
        "description": "Rows after which the answer is cut. 10000 if left out."
      },
      "max_bytes": {
        "type": "integer",
        "minimum": 1024,
        "maximum": 2147483648,
        "description": "Bytes after which the answer is cut. 8388608 if left out."
      },
      "timeout_ms": {
        "type": "integer",
        "minimum": 1,
        "maximum": 86400000,
        "description": "Milliseconds that the statement may take. 5000 if left out."
      },
      "freshness": {
        "type": "string",
        "enum": ["cached", "fresh"],
        "description": "fresh goes to the database file even where a kept answer is known to be current; needed only if other programs write the file directly. cached if left out."
      },
      "min_seq": {
        "type": "integer",
        "minimum": 0,
        "description": "The commit_seq of a write that the answer must include, for instance one that another agent reported."
      },
      "integers": {
        "type": "string",
        "enum": ["number", "text", "tagged"],
        "description": "How integers beyond 2^53 come back, for clients whose numbers cannot hold them: as number, as a decimal text (integer_text is true then), or tagged as {\"$integer\":\"9007199254740993\"}."
      },
      "agent": {
        "type": "string",
        "maxLength": 256,
        "description": "Whose name goes into the audit. This client's if left out."
      }
    },
    "required": ["db", "sql"],
    "additionalProperties": false
  },
  "outputSchema": {
    "type": "object",
    "properties": {
      "columns": {"type": "array", "items": {}},
      "rows": {
        "type": "array",
        "items": {"type": "array", "items": {}},
        "description": "The values of each row in the order of columns; a blob is {\"$blob\":\"BASE64\"}, text that is not UTF-8 {\"$text\":\"BASE64\"}."
      },
      "integer_text": {"type": "boolean", "description": "True when integers beyond 2^53 are given as texts, as asked."},
      "truncated": {"type": "boolean", "description": "Whether a bound cut the rows short."},
      "source": {"type": "string", "enum": ["cache", "joined", "database"]},
      "as_of_seq": {"type": "integer", "description": "A commit that the rows include, with all before it."}
    },
    "required": ["columns", "rows", "truncated", "source", "as_of_seq"]
  },
  "annotations": {
    "title": "Read a SQLite database",
    "readOnlyHint": true,
    "destructiveHint": false,
    "idempotentHint": true,
    "openWorldHint": false
  }
})json";

constexpr std::string_view status_tool = R"json({
  "name": "sluice_status",
  "title": "How the databases stand",
  "description": "Shows the databases that are open, their queues and commits, and the read cache. Of use when calls are slow or fail with busy, overloaded or unavailable.",
  "inputSchema": {"type": "object", "properties": {}, "additionalProperties": false},
  "annotations": {
    "title": "How the databases stand",
    "readOnlyHint": true,
    "destructiveHint": false,
    "idempotentHint": true,
    "openWorldHint": false
  }
})json";

constexpr std::string_view schema_tool = R"json({
  "name": "sluice_schema",
  "title": "Tables and columns",
  "description": "Lists the databases of the folder that is served, each with its tables, views and their columns. Call it before SQL of your own.",
  "inputSchema": {
    "type": "object",
    "properties": {
      "db": {
        "type": "string",
        "description": "Only this database, relative to the folder that is served, such as app.db. All if left out."
      },
      "agent": {
        "type": "string",
        "maxLength": 256,
        "description": "Whose name goes into the audit. This client's if left out."
      }
    },
    "additionalProperties": false
  },
  "outputSchema": {
    "type": "object",
    "properties": {
      "databases": {
        "type": "array",
        "items": {
          "type": "object",
          "properties": {
            "db": {"type": "string"},
            "error": {"type": "string", "description": "Why its schema could not be read."},
            "truncated": {"type": "boolean", "description": "True when it has more tables."},
            "tables": {
              "type": "array",
              "items": {
                "type": "object",
                "properties": {
                  "name": {"type": "string"},
                  "kind": {"type": "string", "enum": ["table", "view", "virtual"]},
                  "columns": {
                    "type": "array",
                    "items": {
                      "type": "object",
                      "properties": {
                        "name": {"type": "string"},
                        "type": {"type": "string", "description": "As declared; possibly empty."},
                        "not_null": {"type": "boolean"},
                        "primary_key": {"type": "integer", "description": "Its place in the primary key, from 1."},
                        "default": {"type": "string", "description": "The expression behind DEFAULT."},
                        "generated": {"type": "boolean"}
                      },
                      "required": ["name", "type"]
                    }
                  }
                },
                "required": ["name", "kind", "columns"]
              }
            }
          },
          "required": ["db"]
        }
      },
      "truncated": {"type": "boolean", "description": "Whether databases or tables are left out, because there are too many."},
      "operations_mistake": {"type": "string", "description": "The mistake in the operation files; the operations from before it are in force."}
    },
    "required": ["databases", "truncated"]
  },
  "annotations": {
    "title": "Tables and columns",
    "readOnlyHint": true,
    "destructiveHint": false,
    "idempotentHint": true,
    "openWorldHint": false
  }
})json";

// Makes the tool of the method that names it.
mcp_tool made(std::string_view definition) {
  auto parsed = json::parse(definition);
  auto name = parsed["name"].get<std::string>();
  const auto* method =
    std::find_if(all_methods.begin(), all_methods.end(), [&](const auto& x) { return x.mcp_tool == name; });
  return {name, std::string{method->name}, std::move(parsed)};
}

std::string_view meaning_of(outcome result) {
  switch (result) {
  case outcome::not_committed: return "not_committed (nothing was changed)";
  case outcome::committed: return "committed (the change is on disk)";
  case outcome::unknown: return "unknown (a change may or may not have been applied)";
  }
  return "unknown";
}

std::string_view what_to_do(const failure& failed) {
  if (failed.outcome == outcome::unknown)
    return "if it was a write with an idempotency_key, repeat the very same call: it is applied once at most. Without "
           "a "
           "key, read first to see whether the change is there.";
  switch (failed.code) {
  case errc::invalid_request:
  case errc::sql_error:
  case errc::constraint:
  case errc::too_large:
  case errc::unknown_operation:
  case errc::capsule_invalid: return "correct the call; unchanged it fails again.";
  case errc::unknown_database:
    return "check db, which is relative to the folder that is served; sluice_write makes a file that does not exist.";
  case errc::payload_mismatch:
    return "this idempotency_key was used for other statements; use a new key for a new change.";
  case errc::conflict: return "read the rows that it expected to change; they are not as it assumed.";
  case errc::busy: return "another program holds the database file; try again in a few seconds.";
  case errc::overloaded:
  case errc::unavailable: return "try again after a short pause.";
  case errc::deadline_exceeded: return "make it smaller, or try again with more time.";
  case errc::cancelled: return "nothing; it was given up as asked.";
  case errc::not_authorized: return "do without it; repeating it does not help.";
  default: return "tell the person whom you work for; repeating it does not help until the cause is removed.";
  }
}

} // namespace

std::string mcp_instructions(const std::function<bool(std::string_view)>& has_tool) {
  std::string text = "sluice lets several agents share the SQLite databases of one folder without lock errors.\n";
  if (has_tool("sluice_schema"))
    text += "- sluice_schema lists the databases with their tables and columns.\n";
  if (has_tool("sluice_read"))
    text += "- sluice_read runs one SELECT. db is a file in that folder, such as app.db.\n";
  if (has_tool("sluice_write"))
    text += "- sluice_write changes data or schema; the statements of one call are applied together or not at all, so "
            "there is no BEGIN or COMMIT.\n"
            "- Give a write that must not happen twice an idempotency_key; then it is safe to repeat the call when its "
            "outcome is unknown.\n";
  if (has_tool("sluice_read") || has_tool("sluice_write"))
    text += "- Put values into params, not into the SQL text.\n";
  return text + "- An error says what became of the change and what to do next.";
}

bool mcp_tool::takes(const std::string& argument) const {
  return definition["inputSchema"]["properties"].contains(argument);
}

const std::vector<mcp_tool>& mcp_tools() {
  // Never destroyed: front doors that are static objects use it until their end.
  static const auto& all =
    *new std::vector<mcp_tool>{made(read_tool), made(write_tool), made(schema_tool), made(status_tool)};
  return all;
}

const mcp_tool* find_mcp_tool(std::string_view name) {
  const auto& all = mcp_tools();
  auto at = std::find_if(all.begin(), all.end(), [&](const auto& x) { return x.name == name; });
  return at == all.end() ? nullptr : &*at;
}

std::string advice_on(const failure& failed) {
  auto pause = failed.retry_after_ms > 0 ? fmt::format(" (Wait {} ms.)", failed.retry_after_ms) : std::string{};
  return fmt::format("{}: {}\nOutcome: {}\nWhat to do: {}{}", to_string(failed.code), failed.message,
                     meaning_of(failed.outcome), what_to_do(failed), pause);
}

} // namespace sluice::rpc
