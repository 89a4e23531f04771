#include "runtime/server/rpc/codec.hpp"

#include "runtime/json/time_argument.hpp"
#include "runtime/server/rpc/json_fields.hpp"

#include <chrono>

namespace sluice::rpc {

namespace {

using nlohmann::json;

caf::error take_level(const json& content, std::string_view field, log_level& to) {
  auto level = content.is_string() ? log_level_of(content.get_ref<const std::string&>()) : std::nullopt;
  if (!level)
    return invalid(field, "must be \"trace\", \"debug\", \"info\", \"warning\", \"error\" or \"critical\"");
  to = *level;
  return caf::none;
}

caf::error take_since(const json& content, std::string_view field, int64_t& to) {
  if (!content.is_string())
    return take(content, field, to);
  auto now = std::chrono::system_clock::now().time_since_epoch();
  auto since = parse_since(content.get_ref<const std::string&>(),
                           std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  if (!since)
    return invalid(field, "must be microseconds since 1970, a time (\"2024-02-29T12:00:00Z\") or an age (\"10m\")");
  to = *since;
  return caf::none;
}

caf::error take_entry(const json& source, log_entry& to) {
  return read_object(source, "entries", {"id", "ts_us", "level", "source", "agent", "message"},
                     [&](const std::string& name, const json& content) {
                       if (name == "id")
                         return take(content, name, to.id);
                       if (name == "ts_us")
                         return take(content, name, to.ts_us);
                       if (name == "level")
                         return take_level(content, name, to.level);
                       if (name == "source")
                         return take(content, name, to.source);
                       if (name == "agent")
                         return take(content, name, to.agent);
                       if (name == "message")
                         return take(content, name, to.message);
                       return caf::error{};
                     });
}

caf::error take_entries(const json& content, std::vector<log_entry>& to) {
  if (!content.is_array())
    return invalid("entries", "must be an array");
  for (const auto& each : content)
    if (auto error = take_entry(each, to.emplace_back()))
      return error;
  return caf::none;
}

} // namespace

caf::expected<log_entry> log_entry_from_json(const json& params) {
  log_entry result;
  auto error = read_object(params, "params", {"level", "message"}, [&](const std::string& name, const json& content) {
    if (name == "level")
      return take_level(content, name, result.level);
    if (name == "message")
      return take(content, name, result.message);
    if (name == "source")
      return take(content, name, result.source);
    if (name == "agent")
      return take(content, name, result.agent);
    return unknown_member(name);
  });
  if (error)
    return error;
  return result;
}

caf::expected<log_query> log_query_from_json(const json& params) {
  log_query result;
  auto has_newest = false;
  auto error = read_object(params, "params", {}, [&](const std::string& name, const json& content) {
    if (name == "level")
      return take_level(content, name, result.least);
    if (name == "source")
      return take(content, name, result.source);
    if (name == "agent")
      return take(content, name, result.agent);
    if (name == "contains")
      return take(content, name, result.contains);
    if (name == "since")
      return take_since(content, name, result.since_us);
    if (name == "after_id")
      return take(content, name, result.after_id);
    if (name == "limit")
      return take(content, name, result.limit, uint64_t{1}, uint64_t{10'000});
    if (name == "newest") {
      has_newest = true;
      return take(content, name, result.newest);
    }
    std::string caller;
    return name == "caller" ? take(content, name, caller) : unknown_member(name);
  });
  if (error)
    return error;
  if (!has_newest)
    result.newest = !params.is_object() || !params.contains("after_id");
  return result;
}

json params_of(const log_query& query) {
  json result{{"limit", query.limit}, {"newest", query.newest}};
  if (query.least != log_level::trace)
    result["level"] = to_string(query.least);
  for (const auto& [name, text] :
       {std::pair{"source", &query.source}, {"agent", &query.agent}, {"contains", &query.contains}})
    if (!text->empty())
      result[name] = *text;
  if (query.since_us != 0)
    result["since"] = query.since_us;
  if (query.after_id != 0)
    result["after_id"] = query.after_id;
  return result;
}

caf::expected<log_page> log_page_from_json(const json& result) {
  log_page page;
  auto error = read_object(result, "result", {"entries"}, [&](const std::string& name, const json& content) {
    if (name == "truncated")
      return take(content, name, page.truncated);
    return name == "entries" ? take_entries(content, page.entries) : caf::error{};
  });
  if (!error)
    return page;
  return unreadable_answer(error);
}

} // namespace sluice::rpc
