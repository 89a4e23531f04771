#pragma once

#include "runtime/catalogue/operation.hpp"

#include <nlohmann/json_fwd.hpp>

/// Operations as JSON Schema (draft 2020-12) and as tools of the Model Context Protocol. Pure functions, safe from any
/// thread.
namespace sluice {

/// Of what `arguments_from_json` accepts: an object with a member for each parameter. Of a `:batch` operation: an
/// object with an array of such objects in `sets`, since the arguments of a tool are always an object.
nlohmann::json input_schema(const operation& of);

/// Of the answer to a call: `rows` (an array of objects, at most one for `:one`) or `changes`, and of a write `outcome`
/// and `commit_seq`. Members that are not listed are allowed. The types of columns are those that the author declared.
nlohmann::json output_schema(const operation& of);

/// `{name, description, inputSchema, outputSchema, annotations}` for `tools/list`.
/// @param read_only whether SQLite says that no statement writes; `operation::writes` is the guess without a schema
nlohmann::json tool_of(const operation& of, bool read_only);

/// The tool with what the operation declares, as the method `operations` lists it: `db`, `kind`, `tier`, `parameters`
/// and `columns` (`{name, type, nullable}` each).
nlohmann::json listing_of(const operation& of);

} // namespace sluice
