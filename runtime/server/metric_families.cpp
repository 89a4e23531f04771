#include "runtime/server/metric_families.hpp"

#include "runtime/server/traffic.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace sluice {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using labels = std::vector<ClientMetric::Label>;

// A number of the status document, and its metric.
struct reading {
  std::string pointer;
  metric shown_as;
};

// Collects the metrics of the fields of `T`, whose object is at `prefix`, and of the structs in it.
template <has_fields T> void collect(std::vector<reading>& to, const std::string& prefix, bool shows_second = false) {
  fields_of<T>.for_each([&]<class Member>(const named_field<T, Member>& each) {
    auto pointer = prefix + '/' + each.name;
    const auto& shown_as = shows_second ? each.second_metric : each.first_metric;
    if constexpr (has_fields<Member>)
      collect<Member>(to, pointer, each.shows_second);
    else if (shown_as.type != metric::kind::none)
      to.push_back({std::move(pointer), shown_as});
  });
}

std::vector<reading> broker_readings() {
  std::vector<reading> result;
  collect<broker_status>(result, "");
  collect<answer_status>(result, "/answers");
  collect<cursor_status>(result, "/cursors");
  collect<front_door_status>(result, "/front_door");
  return result;
}

std::vector<reading> database_readings() {
  std::vector<reading> result;
  collect<database_status>(result, "");
  collect<database_file>(result, "");
  return result;
}

std::vector<reading> table_readings() {
  std::vector<reading> result;
  collect<buffered_table_status>(result, "");
  return result;
}

MetricType type_of(const metric& described) {
  return described.type == metric::kind::counter ? MetricType::Counter : MetricType::Gauge;
}

std::optional<double> number_at(const nlohmann::json& status, const std::string& pointer) {
  nlohmann::json::json_pointer at{pointer};
  if (!status.contains(at))
    return std::nullopt;
  const auto& value = status.at(at);
  if (value.is_boolean())
    return value.get<bool>() ? 1 : 0;
  return value.is_number() ? std::optional{value.get<double>()} : std::nullopt;
}

void add(MetricFamily& to, const reading& from, const nlohmann::json& status, labels with) {
  auto value = number_at(status, from.pointer);
  if (!value)
    return;
  auto& series = to.metric.emplace_back();
  series.label = std::move(with);
  (to.type == MetricType::Counter ? series.counter.value : series.gauge.value) = *value * from.shown_as.scale;
}

MetricFamily family_of(const metric& metric) { return {metric.name, metric.help, type_of(metric), {}}; }

std::string text_at(const nlohmann::json& status, const char* name) {
  auto found = status.is_object() ? status.find(name) : status.end();
  return status.is_object() && found != status.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

struct row {
  labels with;
  const nlohmann::json* content;
};

// The objects of an array, by the texts that become labels. Two series with the same labels would invalidate the
// scrape.
std::vector<row> rows_of(const nlohmann::json& status, const char* pointer,
                         std::initializer_list<std::pair<const char*, const char*>> names) {
  std::vector<row> result;
  std::set<std::vector<std::string>> known;
  nlohmann::json::json_pointer at{pointer};
  if (!status.contains(at) || !status.at(at).is_array())
    return result;
  for (const auto& object : status.at(at)) {
    row next{{}, &object};
    std::vector<std::string> name;
    for (auto [member, label] : names) {
      name.push_back(text_at(object, member));
      next.with.push_back({label, name.back()});
    }
    auto complete = std::find(name.begin(), name.end(), "") == name.end();
    if (complete && known.insert(std::move(name)).second)
      result.push_back(std::move(next));
  }
  return result;
}

void add_rows(std::vector<MetricFamily>& to, const std::vector<reading>& readings, const std::vector<row>& rows) {
  for (const auto& each : readings) {
    auto& family = to.emplace_back(family_of(each.shown_as));
    for (const auto& from : rows)
      add(family, each, *from.content, from.with);
  }
}

ClientMetric histogram(const duration_histogram::snapshot& times, const std::string& database) {
  using seconds = std::chrono::duration<double>;
  ClientMetric result;
  result.label = {{"database", database}};
  uint64_t below = 0;
  for (size_t i = 0; i < times.counts.size(); ++i) {
    below += times.counts[i];
    auto end = i + 1 < times.counts.size() ? seconds{duration_histogram::upper_end(i)}.count()
                                           : std::numeric_limits<double>::infinity();
    result.histogram.bucket.push_back({below, end});
  }
  result.histogram.sample_count = below;
  result.histogram.sample_sum = seconds{times.sum}.count();
  return result;
}

} // namespace

std::vector<MetricFamily> status_families(const nlohmann::json& status) {
  std::vector<MetricFamily> result;
  add_rows(result, broker_readings(), {{{}, &status}});
  add_rows(result, database_readings(), rows_of(status, "/databases", {{"name", "database"}}));
  add_rows(result, table_readings(), rows_of(status, "/buffer/tables", {{"db", "database"}, {"table", "table"}}));
  return result;
}

std::vector<MetricFamily> timing_families(const std::vector<database_timings>& timings) {
  struct part {
    const char* name;
    const char* help;
    duration_histogram::snapshot database_timings::*content;
  };
  constexpr std::array parts{
    part{"sluice_write_queue_seconds",
         "How long writes waited for their turn, without the wait for locks of external processes.",
         &database_timings::queue},
    part{"sluice_write_execution_seconds", "How long writes were being executed.", &database_timings::execution},
    part{"sluice_commit_duration_seconds", "How long commits took, fsync included.", &database_timings::commit},
  };
  std::vector<MetricFamily> result;
  for (const auto& part : parts) {
    auto& family = result.emplace_back(MetricFamily{part.name, part.help, MetricType::Histogram, {}});
    for (const auto& each : timings)
      family.metric.push_back(histogram(each.*part.content, each.db));
  }
  return result;
}

} // namespace sluice
