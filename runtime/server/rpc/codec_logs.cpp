#include "runtime/server/rpc/codec.hpp"

#include "runtime/json/time_argument.hpp"
#include "runtime/server/rpc/json_fields.hpp"

#include <chrono>

namespace sluice::rpc {

namespace {

using nlohmann::json;

caf::error take_level(const json& x, std::string_view field, log_level& to) {
  auto word = x.is_string() ? log_level_of(x.get_ref<const std::string&>()) : std::nullopt;
  if (!word)
    return invalid(field, "must be \"trace\", \"debug\", \"info\", \"warning\", \"error\" or \"critical\"");
  to = *word;
  return caf::none;
}

caf::error take_since(const json& x, std::string_view field, int64_t& to) {
  if (!x.is_string())
    return take(x, field, to);
  auto now = std::chrono::system_clock::now().time_since_epoch();
  auto since =
    parse_since(x.get_ref<const std::string&>(), std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  if (!since)
    return invalid(field, "must be microseconds since 1970, a time (\"2024-02-29T12:00:00Z\") or an age (\"10m\")");
  to = *since;
  return caf::none;
}

caf::error take_entry(const json& x, log_entry& to) {
  return read_object(x, "entries", {"id", "ts_us", "level", "source", "agent", "message"},
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

caf::error take_entries(const json& x, std::vector<log_entry>& to) {
  if (!x.is_array())
    return invalid("entries", "must be an array");
  for (const auto& each : x)
    if (auto why = take_entry(each, to.emplace_back()))
      return why;
  return caf::none;
}

} // namespace

caf::expected<log_entry> log_entry_from_json(const json& params) {
  log_entry result;
  auto why = read_object(params, "params", {"level", "message"}, [&](const std::string& name, const json& x) {
    if (name == "level")
      return take_level(x, name, result.level);
    if (name == "message")
      return take(x, name, result.message);
    if (name == "source")
      return take(x, name, result.source);
    if (name == "agent")
      return take(x, name, result.agent);
    return unknown_member(name);
  });
  if (why)
    return why;
  return result;
}

caf::expected<log_query> log_query_from_json(const json& params) {
  log_query result;
  auto said = false;
  auto why = read_object(params, "params", {}, [&](const std::string& name, const json& x) {
    if (name == "level")
      return take_level(x, name, result.least);
    if (name == "source")
      return take(x, name, result.source);
    if (name == "agent")
      return take(x, name, result.agent);
    if (name == "contains")
      return take(x, name, result.contains);
    if (name == "since")
      return take_since(x, name, result.since_us);
    if (name == "after_id")
      return take(x, name, result.after_id);
    if (name == "limit")
      return take(x, name, result.limit, uint64_t{1}, uint64_t{10'000});
    if (name == "newest") {
      said = true;
      return take(x, name, result.newest);
    }
    return unknown_member(name);
  });
  if (why)
    return why;
  if (!said)
    result.newest = !params.is_object() || !params.contains("after_id");
  return result;
}

json params_of(const log_query& x) {
  json result{{"limit", x.limit}, {"newest", x.newest}};
  if (x.least != log_level::trace)
    result["level"] = to_string(x.least);
  for (const auto& [name, text] : {std::pair{"source", &x.source}, {"agent", &x.agent}, {"contains", &x.contains}})
    if (!text->empty())
      result[name] = *text;
  if (x.since_us != 0)
    result["since"] = x.since_us;
  if (x.after_id != 0)
    result["after_id"] = x.after_id;
  return result;
}

caf::expected<log_page> log_page_from_json(const json& result) {
  log_page page;
  auto why = read_object(result, "result", {"entries"}, [&](const std::string& name, const json& x) {
    if (name == "truncated")
      return take(x, name, page.truncated);
    return name == "entries" ? take_entries(x, page.entries) : caf::error{};
  });
  if (!why)
    return page;
  return unreadable_answer(why);
}

} // namespace sluice::rpc
