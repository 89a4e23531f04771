#include "runtime/validate/validation.hpp"

#include "actors/base/utf8_text.hpp"
#include "messages/error.hpp"
#include "runtime/doctor/databases.hpp"
#include "runtime/doctor/leadership.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::validate {

namespace {

namespace fs = std::filesystem;

constexpr const char* exceptions_file = ".sluice-validate";

bool is_store(const fs::path& folder) {
  std::error_code failed;
  return fs::is_directory(folder / ".sluice", failed);
}

class validator {
public:
  validator(const validation_options& options, exceptions allowed)
    : options_(options), allowed_(std::move(allowed)), used_(allowed_.all.size(), false) {}

  validation run(const fs::path& store) {
    found_.tree = look_at_tree(options_.path, allowed_.ignored_folders, options_.bounds,
                               [this](const std::string& path, language of, std::vector<open_call> calls) {
                                 judge_source(path, of, std::move(calls));
                               });
    if (!store.empty())
      look_at_processes(store);
    // What was not read, or lies beside a single file, may need the exception.
    std::error_code failed;
    if (found_.tree.unread.empty() && fs::is_directory(options_.path, failed))
      for (size_t i = 0; i < used_.size(); ++i)
        if (!used_[i] && allowed_.all[i].kind == exception_kind::path)
          found_.stale.push_back(allowed_.all[i]);
    return std::move(found_);
  }

private:
  // Every exception that matches is needed, and none of them is stale.
  template <class Matches> bool is_allowed(Matches matches) {
    auto result = false;
    for (size_t i = 0; i < used_.size(); ++i)
      if (matches(allowed_.all[i]))
        used_[i] = result = true;
    return result;
  }

  void judge_source(const std::string& path, language of, std::vector<open_call> calls) {
    if (is_allowed([&](const exception& x) { return matches_path(x, path); })) {
      found_.excepted += calls.size();
      return;
    }
    for (auto& call : calls)
      found_.sources.push_back({path, of, std::move(call)});
  }

  void look_at_processes(const fs::path& store) {
    found_.has_store = true;
    auto leaders = doctor::look_at_leadership(store);
    auto leader = leaders.leader() > 0 ? leaders.leader() : leaders.answers ? leaders.named : 0;
    auto databases = doctor::known_databases(store);
    for (const auto* own : {"audit.db", "logs.db", "buffer.db"})
      databases.push_back(std::string{".sluice/"} + own);
    auto open = doctor::find_openers(store, databases);
    found_.hidden_processes = open.hidden;
    for (auto& opener : open.openers) {
      if (opener.pid == leader)
        continue;
      if (is_allowed([&](const exception& x) { return matches_command(x, opener.command); }))
        ++found_.excepted;
      else
        found_.processes.push_back(std::move(opener));
    }
  }

  const validation_options& options_;
  exceptions allowed_;
  std::vector<bool> used_;
  validation found_;
};

nlohmann::json finding_json(const source_finding& one) {
  return {{"kind", "source"},
          {"file", escape_invalid_utf8(one.file)},
          {"line", one.call.line},
          {"column", one.call.column},
          {"language", to_string(one.of)},
          {"rule", one.call.rule},
          {"text", escape_invalid_utf8(one.call.text)}};
}

nlohmann::json finding_json(const doctor::opener& one) {
  return {{"kind", "process"},
          {"pid", one.pid},
          {"command", escape_invalid_utf8(one.command)},
          {"db", escape_invalid_utf8(one.db)},
          {"writes", one.writes}};
}

nlohmann::json finding_json(const exception& one) {
  return {{"kind", "stale_exception"}, {"pattern", escape_invalid_utf8(one.pattern)}, {"line", one.line}};
}

} // namespace

caf::expected<validation> validate_tree(const validation_options& options) {
  std::error_code failed;
  auto kind = fs::status(options.path, failed).type();
  if (kind != fs::file_type::directory && kind != fs::file_type::regular)
    return make_error(errc::invalid_request, fmt::format("there is no folder and no file {} to validate",
                                                         escape_invalid_utf8(options.path.native())));
  auto is_folder = kind == fs::file_type::directory;
  auto store = options.store;
  if (store.empty() && is_folder && is_store(options.path))
    store = options.path;
  if (!store.empty() && !is_store(store))
    return make_error(
      errc::unknown_database,
      fmt::format("{} holds no store: no database in it was used through sluice", escape_invalid_utf8(store.native())));
  auto is_named = !options.exceptions.empty();
  auto file = is_named ? options.exceptions : is_folder ? options.path / exceptions_file : fs::path{};
  auto allowed = file.empty() ? exceptions{} : load_exceptions(file, is_named);
  if (!allowed)
    return std::move(allowed.error());
  return validator{options, std::move(*allowed)}.run(store);
}

nlohmann::json as_json(const validation& found) {
  auto findings = nlohmann::json::array();
  for (const auto& one : found.sources)
    findings.push_back(finding_json(one));
  for (const auto& one : found.processes)
    findings.push_back(finding_json(one));
  for (const auto& one : found.stale)
    findings.push_back(finding_json(one));
  auto unread = nlohmann::json::array();
  for (const auto& one : found.tree.unread)
    unread.push_back({{"path", escape_invalid_utf8(one.path)}, {"reason", one.reason}});
  nlohmann::json result{{"whole", found.is_whole()},  {"findings", std::move(findings)},
                        {"excepted", found.excepted}, {"sources", found.tree.sources},
                        {"links", found.tree.links},  {"unread", std::move(unread)},
                        {"store", found.has_store}};
  if (found.has_store)
    result["hidden_processes"] = found.hidden_processes;
  return result;
}

} // namespace sluice::validate
