#include "runtime/launcher/result_text.hpp"

#include "messages/rowset.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/rowset_text.hpp"
#include "runtime/cli/terminal_text.hpp"
#include "runtime/cli/write_text.hpp"
#include "runtime/json/plain_values.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace sluice::launcher {

namespace {

using nlohmann::json;

// Of an answer as a broker writes it, its members in the order of their names.
constexpr std::string_view before_result = R"({"id":1,"jsonrpc":"2.0","result":)";

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

// Whatever else a broker refuses may pass by itself, or takes a remark.
bool is_final(std::string_view code) {
  constexpr std::array<std::string_view, 7> final_codes{
    "invalid_request", "unknown_database", "sql_error", "constraint", "payload_mismatch", "too_large", "read_only"};
  return std::find(final_codes.begin(), final_codes.end(), code) != final_codes.end();
}

std::optional<command_output> output_of_failure(const quick_command& command, json& error) {
  auto& data = error.at("data");
  auto code = data.at("code").get<std::string>();
  if (!is_final(code) || data.at("outcome") != "not_committed" || data.contains("draining"))
    return std::nullopt;
  auto err = "sluice: " + code + ": " + cli::printable(data.at("message").get<std::string>()) + '\n';
  data.erase("field");
  return command_output{command.json ? json{{"error", data}}.dump() + '\n' : std::string{}, std::move(err),
                        cli::failed};
}

std::optional<command_output> output_of_result(const quick_command& command, std::string_view line, const json& result,
                                               bool for_terminal) {
  if (!command.is_write && result.at("truncated").get<bool>())
    return std::nullopt;
  if (command.json) {
    auto text = line.substr(before_result.size(), line.size() - before_result.size() - 1);
    return command_output{std::string{text} + '\n', {}, cli::done};
  }
  auto text = command.is_write ? text_of_write(result) : text_of_read(command, result, for_terminal);
  return text ? std::optional{command_output{std::move(*text), {}, cli::done}} : std::nullopt;
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
