#include "runtime/launcher/result_text.hpp"

#include "messages/rowset.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/remarks.hpp"
#include "runtime/cli/rowset_text.hpp"
#include "runtime/cli/terminal_text.hpp"
#include "runtime/cli/write_text.hpp"
#include "runtime/json/plain_values.hpp"

#include <nlohmann/json.hpp>

#include <memory>
#include <utility>

namespace sluice::launcher {

namespace {

using nlohmann::json;

// The beginning of an answer as a broker writes it, with its members in alphabetical order.
constexpr std::string_view before_result = R"({"id":1,"jsonrpc":"2.0","result":)";

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
// GCC 12 sees a path on which it moves a value that is not set; whether it does depends on the files compiled together.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

std::optional<rowset> rows_of(const json& part) {
  auto names = std::make_shared<rowset::column_names>();
  for (const auto& name : part.at("columns"))
    names->push_back(name.get<std::string>());
  auto width = names->size();
  rowset rows{std::move(names)};
  for (const auto& row : part.at("rows")) {
    if (row.size() != width)
      return std::nullopt;
    for (const auto& cell : row) {
      auto content = plain_value(cell);
      if (!content)
        return std::nullopt;
      rows.append(std::move(*content));
    }
  }
  return rows;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

std::optional<std::string> text_of_write(const json& result) {
  cli::write_summary summary;
  summary.commit_seq = result.at("commit_seq").get<uint64_t>();
  summary.is_replayed = result.at("replayed").get<bool>();
  std::string text;
  for (const auto& part : result.at("results")) {
    auto rows = rows_of(part);
    if (!rows)
      return std::nullopt;
    if (!rows->columns().empty())
      text += cli::as_table(*rows);
    summary.changes += part.at("changes").get<int64_t>();
  }
  return text + cli::summary_line(summary);
}

std::optional<std::string> text_of_read(const quick_command& command, const json& result, bool for_terminal) {
  auto rows = rows_of(result);
  if (!rows)
    return std::nullopt;
  return command.csv ? cli::as_csv(*rows, for_terminal) : cli::as_table(*rows);
}

// The broker is ending, or does not lead this store: the main program searches for another one.
bool passes_to_another_broker(std::string_view code, const json& data) {
  return code == "protocol_mismatch" || code == "wrong_store" || data.contains("draining")
         || data.contains("hands_over");
}

std::optional<command_output> output_of_failure(const quick_command& command, json& error) {
  auto& data = error.at("data");
  auto code = data.at("code").get<std::string>();
  if (passes_to_another_broker(code, data))
    return std::nullopt;
  auto err = "sluice: " + code + ": " + cli::printable(data.at("message").get<std::string>()) + '\n';
  if (command.is_write && data.at("outcome") == "unknown")
    err += "sluice: " + std::string{cli::remark_on_unknown_write(!command.key.empty())} + '\n';
  if (!command.is_write && code == "deadline_exceeded" && command.time_ms == 0)
    err += "sluice: " + std::string{cli::remark_on_late_read} + '\n';
  data.erase("field");
  return command_output{command.json ? json{{"error", data}}.dump() + '\n' : std::string{}, std::move(err),
                        cli::failed};
}

std::optional<std::string> text_of(const quick_command& command, std::string_view line, const json& result,
                                   bool for_terminal) {
  if (command.json)
    return std::string{line.substr(before_result.size(), line.size() - before_result.size() - 1)} + '\n';
  return command.is_write ? text_of_write(result) : text_of_read(command, result, for_terminal);
}

std::optional<command_output> output_of_result(const quick_command& command, std::string_view line, const json& result,
                                               bool for_terminal) {
  auto text = text_of(command, line, result, for_terminal);
  if (!text)
    return std::nullopt;
  command_output output{std::move(*text), {}, cli::done};
  if (!command.is_write && result.at("truncated").get<bool>()) {
    output.err = "sluice: " + cli::remark_on_cut_rows(result.at("rows").size()) + '\n';
    output.status = cli::incomplete;
  }
  return output;
}

} // namespace

std::optional<command_output> output_for(const quick_command& command, std::string_view line, bool for_terminal) {
  try {
    auto document = json::parse(line);
    if (auto error = document.find("error"); error != document.end())
      return output_of_failure(command, *error);
    if (!line.starts_with(before_result))
      return std::nullopt;
    return output_of_result(command, line, document.at("result"), for_terminal);
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

} // namespace sluice::launcher
