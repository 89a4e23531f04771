#pragma once

#include "messages/statement.hpp"
#include "runtime/client/client.hpp"

#include <CLI/CLI.hpp>
#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice::cli {

/// The options that `exec` and `query` have in common.
struct request_options {
  std::string db;
  std::string sql;
  std::string file;
  std::vector<std::string> params;
  std::optional<std::string> params_json{};
  std::string agent;
  std::string endpoint;
  bool require_broker = false;
  bool json = false;
  std::string integers;
  std::string capsule;
  // The time for which the launcher has waited for an answer to this request, which it has sent; only the launcher
  // passes it.
  int64_t sent_ms = 0;
  bool sent_in_silence = false;

  bool was_sent() const noexcept { return sent_ms > 0; }
};

/// The rest of the request's time; zero, which means the configured time, if `options` set none.
std::chrono::milliseconds time_left(const request_options& options, int64_t time_ms) noexcept;

/// The form in which `--json` writes large integers.
integer_form wanted_integers(const request_options& options) noexcept;

/// Opens the client that the options select. Warns on stderr when it works without a broker.
caf::expected<std::unique_ptr<client>> open_store(const request_options& options, const std::filesystem::path& root);

/// Adds the options to `command`. `to` outlives the parse.
void declare(CLI::App& command, request_options& to);

/// A check of an option's text, which an unset variable would make empty: it would then be ignored, and with it the
/// restriction that it was given for. `noun` is "a capsule", say.
CLI::Validator not_empty(std::string noun);

/// Says which of SLUICE_AGENT and SLUICE_CAPSULE is set and empty; nothing if none is.
std::optional<std::string> mistake_in_environment();

/// Adds only the options for the agent, the endpoint and the form of the answer.
void declare_way(CLI::App& command, request_options& to);

/// Adds the option for the capsule of a write or a call.
void declare_capsule_of(CLI::App& command, request_options& to);

/// The capsule of the options, else of SLUICE_CAPSULE; empty for none.
std::string capsule_of(const request_options& options);

/// Adds an option that may be given several times; each value is taken unchanged.
CLI::Option* declare_values(CLI::App& command, const char* names, std::vector<std::string>& to,
                            const char* description);

/// A database on the command line; the folder that contains it is its store.
struct database_place {
  std::filesystem::path root;
  std::string name;
};

/// `errc::invalid_request` when `db` does not name a file.
caf::expected<database_place> locate(const std::string& db);

/// Reads the values of `-p`: all by position or all as `name=VALUE`, where a name is a letter or `_` followed by
/// letters, digits and `_`. `errc::invalid_request` says which one cannot be read.
caf::expected<parameters> read_parameters(const std::vector<std::string>& params);

/// The parameters that the options give: those of `-p`, or of `--params`.
caf::expected<parameters> read_parameters(const request_options& options);

/// A value on the command line, as `parse_cli_value` reads it; `text:@FILE` and `blob:@FILE` are the content of a file.
caf::expected<value> read_value(std::string_view text);

/// The SQL of the options: SQL, the content of stdin if that is `-`, or of the file of `-f`.
caf::expected<std::string> read_sql(const request_options& options);

/// `given`, else SLUICE_AGENT, else `user@pid`.
std::string agent_name(const std::string& given);

/// SLUICE_AGENT; empty without it. For requests that are the owner's when no agent was named.
std::string named_agent();

/// Adds `named_agent` to the parameters of a method, as `member`.
nlohmann::json with_agent(nlohmann::json params, const char* member = "agent");

} // namespace sluice::cli
