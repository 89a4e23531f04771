#include "runtime/lab/bench/run_case.hpp"

#include "actors/base/counted.hpp"
#include "runtime/lab/bench/bench_fixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

namespace sluice::bench {

namespace {

// The bytes of a file; of a database those after a checkpoint, so including the pages in its log.
uint64_t pages_of(const std::filesystem::path& file) {
  std::error_code ignored;
  if (auto db = sqlite::connection::open(file, {})) {
    auto count = sqlite::prepared_statement::prepare(*db, "SELECT page_count * page_size FROM pragma_page_count, "
                                                          "pragma_page_size");
    if (count && count->step())
      return static_cast<uint64_t>(count->integer(0));
  }
  auto size = std::filesystem::file_size(file, ignored);
  return ignored ? 0 : size;
}

bool is_log_or_index(const std::filesystem::path& file) {
  auto name = file.filename().string();
  return name.ends_with("-wal") || name.ends_with("-shm");
}

// The bytes of all audit files.
uint64_t audit_size(const std::filesystem::path& store) {
  uint64_t result = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{store / ".sluice", ignored}) {
    auto inside = std::filesystem::relative(entry.path(), store / ".sluice").string();
    if (inside.starts_with("audit") && entry.is_regular_file(ignored) && !is_log_or_index(entry.path()))
      result += pages_of(entry.path());
  }
  return result;
}

struct file_sizes {
  uint64_t database = 0;
  uint64_t audit = 0;
};

file_sizes sizes_in(const std::filesystem::path& store) { return {pages_of(store / items_file), audit_size(store)}; }

// A contender with its folder. Members are closed in the reverse order.
class open_contender {
public:
  open_contender(const contender& definition, const std::filesystem::path& where)
    : definition_(definition), folder_(where), session_(definition.open(folder_.path())) {
    if (definition.stores_rows)
      before_ = sizes_in(folder_.path());
    result_.name = definition.name;
    result_.kind = definition.kind;
  }

  void run(std::chrono::milliseconds duration, std::vector<measurement>& in_this_round) {
    auto before = resource_usage::now();
    auto measured = session_({duration, in_this_round});
    if (!measured.broker && !measured.clients)
      measured.process = resource_usage::now() - before;
    std::sort(measured.latencies_us.begin(), measured.latencies_us.end());
    in_this_round.push_back(measured);
    result_.rounds.push_back(std::move(measured));
  }

  contender_result close() {
    session_ = {};
    uint64_t rows = 0;
    for (const auto& round : result_.rounds)
      rows += round.stored_rows;
    if (definition_.stores_rows && rows > 0) {
      auto after = sizes_in(folder_.path());
      auto per_row = [&](uint64_t now, uint64_t then) {
        return static_cast<double>(now - std::min(now, then)) / static_cast<double>(rows);
      };
      result_.stored = {per_row(after.database, before_.database), per_row(after.audit, before_.audit)};
    }
    return std::move(result_);
  }

private:
  const contender& definition_;
  scratch_folder folder_;
  session session_;
  file_sizes before_;
  contender_result result_;
};

std::vector<rate_ratio> ratios_of(const case_result& one_case) {
  std::vector<rate_ratio> result;
  for (const auto& ours : one_case.contenders)
    for (const auto& other : one_case.contenders) {
      if (ours.kind != contender_kind::sluice || other.kind == contender_kind::sluice)
        continue;
      std::vector<double> values;
      for (size_t i = 0; i < ours.rounds.size(); ++i)
        values.push_back(ratio(ours.rounds[i].per_second(), other.rounds[i].per_second()));
      result.push_back({ours.name, other.name, other.kind, spread_of(std::move(values))});
    }
  return result;
}

std::string failure_of(const bench_case& definition, const case_result& one_case) {
  for (size_t i = 0; i < one_case.contenders.size(); ++i) {
    const auto& found = one_case.contenders[i];
    if (found.errors() > 0 && !definition.contenders[i].may_fail())
      return fmt::format("{} of \"{}\" failed", counted(found.errors(), "request"), found.name);
    auto is_idle = [](const measurement& m) { return m.completed == 0; };
    if (std::any_of(found.rounds.begin(), found.rounds.end(), is_idle))
      return fmt::format("no request of \"{}\" succeeded in one of the rounds", found.name);
  }
  return {};
}

} // namespace

case_result run_case(const bench_case& definition, const run_options& options) {
  case_result result;
  result.name = definition.name;
  result.title = definition.title;
  result.family = definition.family;
  result.size = definition.size;
  result.size_label = definition.size_label;
  try {
    std::vector<std::unique_ptr<open_contender>> open;
    for (const auto& contender : definition.contenders)
      open.push_back(std::make_unique<open_contender>(contender, options.folder));
    for (size_t i = 0; i < options.rounds; ++i) {
      std::vector<measurement> in_this_round;
      for (auto& contender : open)
        contender->run(options.duration, in_this_round);
    }
    for (auto& contender : open)
      result.contenders.push_back(contender->close());
  } catch (const std::exception& error) {
    result.contenders.clear();
    result.failure = error.what();
    return result;
  }
  result.ratios = ratios_of(result);
  for (const auto& goal : definition.goals)
    if (auto values = goal.values(result); !values.empty())
      result.goals.push_back({goal.text, spread_of(std::move(values)), goal.wanted, goal.is_upper_bound, goal.unit});
  result.failure = failure_of(definition, result);
  return result;
}

} // namespace sluice::bench
