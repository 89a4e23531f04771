#include "runtime/cli/request_options.hpp"

#include "actors/base/case_folding.hpp"
#include "messages/error.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/json/json.hpp"
#include "runtime/os/user_name.hpp"
#include "runtime/server/rpc/strict_json.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <iterator>
#include <unistd.h>

namespace sluice::cli {

namespace {

bool is_name_start(char c) noexcept { return is_ascii_letter(c) || c == '_'; }

bool is_name_part(char c) noexcept { return is_name_start(c) || (c >= '0' && c <= '9'); }

// The length of NAME in NAME=VALUE; 0 when the whole text is a value.
size_t name_length(const std::string& text) {
  if (text.empty() || !is_name_start(text.front()))
    return 0;
  auto end = std::find_if_not(text.begin(), text.end(), is_name_part);
  return end != text.end() && *end == '=' ? static_cast<size_t>(end - text.begin()) : 0;
}

caf::error mixed_parameters() {
  return make_error(errc::invalid_request, "-p is given both by position and as name=VALUE; a text that looks like "
                                           "name=VALUE is written text:name=VALUE");
}

// A larger file would be refused by the broker in any case.
constexpr uintmax_t max_file_bytes = uintmax_t{1} << 30;

caf::expected<std::string> read_file(const std::string& name) {
  std::error_code failed;
  if (std::filesystem::is_directory(name, failed))
    return make_error(errc::invalid_request, name + " is a folder, not a file");
  std::ifstream in{name, std::ios::binary};
  auto size = in ? std::filesystem::file_size(name, failed) : 0;
  if (!failed && size > max_file_bytes)
    return make_error(errc::too_large, name + " has more than 1 GiB");
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in.is_open() || in.bad())
    return make_error(errc::io_error, "cannot read " + name + ": " + std::generic_category().message(errno));
  return text;
}

} // namespace

void declare(CLI::App& command, request_options& to) {
  command.add_option("DB", to.db, "Database file; the folder it lies in is the store")->required();
  auto* sql = command.add_option("SQL", to.sql, "SQL, or - to read it from stdin");
  auto* file = command.add_option("-f,--file", to.file, "Read the SQL from a file")->type_name("FILE")->excludes(sql);
  command.parse_complete_callback([sql, file] {
    if (sql->count() == 0 && file->count() == 0)
      throw CLI::RequiredError{"SQL, -f FILE, or - for stdin"};
  });
  declare_values(command, "-p,--param", to.params,
                 "A parameter: VALUE by position or name=VALUE; 5 is an integer, 1.5 a real, null NULL, text:5 text, "
                 "blob:BASE64 a blob, text:@FILE and blob:@FILE the content of a file, anything else text")
    ->type_name("VALUE");
  command
    .add_option("--params", to.params_json,
                "All parameters as one JSON document: an array by position, or an object by name")
    ->type_name("JSON")
    ->excludes("--param");
  declare_way(command, to);
  command.add_option("--sent-ms", to.sent_ms)->group("");
  command.add_flag("--sent-in-silence", to.sent_in_silence)->group("");
  command.add_option("--integers", to.integers, "Integers beyond 2^53 as number, text or tagged [number]")
    ->type_name("FORM")
    ->check(CLI::IsMember({"number", "text", "tagged"}))
    ->needs("--json");
}

std::chrono::milliseconds time_left(const request_options& options, int64_t time_ms) noexcept {
  return std::chrono::milliseconds{time_ms == 0 ? 0 : std::max(int64_t{1}, time_ms - options.sent_ms)};
}

integer_form wanted_integers(const request_options& options) noexcept {
  if (options.integers == "text")
    return integer_form::text;
  return options.integers == "tagged" ? integer_form::tagged : integer_form::number;
}

CLI::Option* declare_values(CLI::App& command, const char* names, std::vector<std::string>& to,
                            const char* description) {
  // Takes the values unchanged: CLI11 would interpret some spellings as containers.
  CLI::callback_t take = [&to](const CLI::results_t& values) {
    to = values;
    return true;
  };
  return command.add_option(names, take, description)->take_all()->allow_extra_args(false);
}

CLI::Validator not_empty(std::string noun) {
  auto refuse_empty = [noun = std::move(noun)](const std::string& text) {
    return text.empty() ? noun + " must not be empty; leave it out" : std::string{};
  };
  // Without a description, which would be shown in --help.
  return CLI::Validator{refuse_empty, ""};
}

std::optional<std::string> mistake_in_environment() {
  for (const auto* name : {"SLUICE_AGENT", "SLUICE_CAPSULE"})
    if (const auto* content = std::getenv(name); content && !*content)
      return fmt::format("{} is empty; unset it", name);
  return std::nullopt;
}

void declare_way(CLI::App& command, request_options& to) {
  command.add_option("--agent", to.agent, "Name of the agent [SLUICE_AGENT, then user@pid]")
    ->check(not_empty("an agent"));
  command.add_option("--endpoint", to.endpoint, "The broker's socket, instead of the store's own [SLUICE_ENDPOINT]")
    ->type_name("PATH");
  command.add_flag("--require-broker", to.require_broker, "Fail instead of working without a broker (exit status 3)");
  command.add_flag("--json", to.json, "Print one JSON document, on failure too");
}

void declare_capsule_of(CLI::App& command, request_options& to) {
  command.add_option("--capsule", to.capsule, "The capsule that grants this request [SLUICE_CAPSULE]")
    ->type_name("CAPSULE")
    ->check(not_empty("a capsule"));
}

std::string capsule_of(const request_options& options) {
  const auto* from_environment = std::getenv("SLUICE_CAPSULE");
  return options.capsule.empty() && from_environment ? from_environment : options.capsule;
}

caf::expected<std::unique_ptr<client>> open_store(const request_options& options, const std::filesystem::path& root) {
  client_options way;
  way.endpoint = options.endpoint;
  way.require_broker = options.require_broker;
  way.warn = note;
  way.continues_write = options.was_sent();
  // The launcher has waited for the rest of the time.
  if (options.sent_in_silence)
    way.silence_after = std::chrono::milliseconds{200};
  return open_client(root, std::move(way));
}

caf::expected<database_place> locate(const std::string& db) {
  std::filesystem::path path{db};
  std::error_code unreadable;
  if (!path.has_filename() || std::filesystem::is_directory(path, unreadable))
    return make_error(errc::invalid_request, "DB names a folder, not a file");
  auto root = path.parent_path();
  return database_place{root.empty() ? "." : root, path.filename()};
}

caf::expected<parameters> read_parameters(const std::vector<std::string>& params) {
  parameters result;
  for (const auto& text : params) {
    auto name = name_length(text);
    auto parsed = read_value(std::string_view{text}.substr(name > 0 ? name + 1 : 0));
    if (!parsed) {
      auto error = describe(parsed.error());
      error.message = fmt::format("-p {}: {}", text, error.message);
      return make_error(std::move(error));
    }
    if (name > 0)
      result.named.push_back({text.substr(0, name), std::move(*parsed)});
    else
      result.positional.push_back(std::move(*parsed));
    if (!result.named.empty() && !result.positional.empty())
      return mixed_parameters();
  }
  return result;
}

caf::expected<parameters> read_parameters(const request_options& options) {
  if (!options.params_json)
    return read_parameters(options.params);
  auto document = rpc::parse_strictly(*options.params_json);
  if (!document)
    return make_error(errc::invalid_request, "--params: " + describe(document.error()).message);
  return parameters_from_json(*document, "--params");
}

caf::expected<value> read_value(std::string_view text) {
  constexpr std::string_view text_file = "text:@";
  constexpr std::string_view blob_file = "blob:@";
  if (!text.starts_with(text_file) && !text.starts_with(blob_file))
    return parse_cli_value(text);
  auto content = read_file(std::string{text.substr(text_file.size())});
  if (!content)
    return std::move(content.error());
  return text.starts_with(blob_file) ? value{blob{std::move(*content)}} : value{std::move(*content)};
}

caf::expected<std::string> read_sql(const request_options& options) {
  if (!options.file.empty())
    return read_file(options.file);
  if (options.sql != "-")
    return options.sql;
  std::string text{std::istreambuf_iterator<char>{std::cin}, {}};
  if (std::cin.bad())
    return make_error(errc::io_error, "cannot read SQL from stdin");
  return text;
}

std::string agent_name(const std::string& given) {
  if (!given.empty())
    return given;
  auto named = named_agent();
  return named.empty() ? fmt::format("{}@{}", user_name(), getpid()) : named;
}

std::string named_agent() {
  const auto* from_environment = std::getenv("SLUICE_AGENT");
  return from_environment ? from_environment : "";
}

nlohmann::json with_agent(nlohmann::json params, const char* member) {
  if (auto agent = named_agent(); !agent.empty())
    params[member] = std::move(agent);
  return params;
}

} // namespace sluice::cli
