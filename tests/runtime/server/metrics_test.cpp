#include "runtime/broker/store_status.hpp"
#include "runtime/server/metrics.hpp"

#include "runtime/server/rpc/methods.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>

namespace sluice::test::metrics_test {

using namespace std::chrono_literals;

namespace {

using labels = std::map<std::string, std::string>;

struct family {
  std::string help;
  std::string type;
  // By the name of the sample, which for a histogram has an ending.
  std::map<std::pair<std::string, labels>, double> samples;
};

// Parses the text format 0.0.4, and refuses everything that a scraper might refuse.
class parser {
public:
  std::map<std::string, family> parse(const std::string& text) {
    require(text.empty() || text.ends_with('\n'), "the last line ends");
    std::istringstream lines{text};
    while (std::getline(lines, line_)) {
      at_ = 0;
      line_.starts_with("# ") ? comment() : sample();
    }
    for (const auto& [name, x] : families_)
      check(name, x);
    return std::move(families_);
  }

private:
  void require(bool good, const std::string& rule) const {
    if (!good)
      throw std::runtime_error(rule + ": " + line_);
  }

  char next() {
    require(at_ < line_.size(), "the line goes on");
    return line_[at_++];
  }

  void expect(char c) { require(next() == c, std::string{"there is a "} + c); }

  std::string name(bool may_have_colon) {
    auto begin = at_;
    auto is_part = [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (may_have_colon && c == ':')
             || (at_ > begin && c >= '0' && c <= '9');
    };
    while (at_ < line_.size() && is_part(line_[at_]))
      ++at_;
    require(at_ > begin, "there is a name");
    return line_.substr(begin, at_ - begin);
  }

  void comment() {
    at_ = 2;
    auto is_help = line_.compare(at_, 5, "HELP ") == 0;
    require(is_help || line_.compare(at_, 5, "TYPE ") == 0, "a comment is HELP or TYPE");
    at_ += 5;
    auto of = name(true);
    expect(' ');
    auto rest = line_.substr(at_);
    if (is_help) {
      require(!families_.contains(of), "a family comes once, HELP first");
      families_[of].help = rest;
      current_ = of;
      return;
    }
    require(of == current_ && families_[of].type.empty() && families_[of].samples.empty(), "TYPE follows HELP");
    require(rest == "counter" || rest == "gauge" || rest == "histogram", "the type is known");
    families_[of].type = rest;
  }

  std::string value_of_label() {
    expect('"');
    std::string result;
    for (;;) {
      auto c = next();
      if (c == '"')
        return result;
      if (c == '\\') {
        c = next();
        require(c == '\\' || c == '"' || c == 'n', "an escape is known");
        c = c == 'n' ? '\n' : c;
      }
      result += c;
    }
  }

  void sample() {
    auto of = name(true);
    labels with;
    if (line_[at_] == '{') {
      do {
        ++at_;
        auto label = name(false);
        expect('=');
        require(with.emplace(label, value_of_label()).second, "a label comes once");
      } while (line_[at_] == ',');
      expect('}');
    }
    expect(' ');
    auto number = line_.substr(at_);
    size_t used = 0;
    auto value = number == "+Inf" ? INFINITY : std::stod(number, &used);
    require(number == "+Inf" || used == number.size(), "the value is a number, and nothing follows it");
    auto& owner = families_[current_];
    auto is_own = of == current_
                  || (owner.type == "histogram"
                      && (of == current_ + "_bucket" || of == current_ + "_sum" || of == current_ + "_count"));
    require(is_own && !owner.type.empty(), "a sample stands below its HELP and TYPE");
    require(owner.samples.emplace(std::pair{of, with}, value).second, "a sample comes once");
  }

  void check(const std::string& name, const family& family) {
    line_ = name;
    require(!family.type.empty() && !family.samples.empty() && !family.help.empty(),
            "a family has HELP, TYPE and samples");
    require((family.type == "counter") == name.ends_with("_total"), "counters, and only they, end in _total");
    require(name.starts_with("sluice_"), "names have our prefix");
    if (family.type == "histogram")
      check_histogram(name, family);
  }

  void check_histogram(const std::string& name, const family& family) const {
    std::map<labels, std::map<double, double>> buckets;
    for (const auto& [key, value] : family.samples) {
      if (key.first != name + "_bucket")
        continue;
      auto with = key.second;
      auto end = with.extract("le");
      require(!end.empty(), "a bucket has its upper bound");
      buckets[with][end.mapped() == "+Inf" ? INFINITY : std::stod(end.mapped())] = value;
    }
    for (const auto& [with, counts] : buckets) {
      double last = 0;
      for (auto [end, count] : counts) {
        require(count >= last, "buckets are cumulative");
        last = count;
      }
      require(counts.contains(INFINITY) && counts.at(INFINITY) == family.samples.at({name + "_count", with}),
              "+Inf counts all");
      require(family.samples.contains({name + "_sum", with}), "there is a sum");
    }
  }

  std::map<std::string, family> families_;
  std::string current_;
  std::string line_;
  size_t at_ = 0;
};

std::map<std::string, family> scrape(const metrics& metrics, const nlohmann::json& status = nlohmann::json::object(),
                                     const std::vector<database_timings>& timings = {}) {
  return parser{}.parse(metrics.scrape(status, timings));
}

nlohmann::json status_of(const std::vector<std::string>& names) {
  store_status status;
  status.broker.root = "/secret/place";
  for (const auto& name : names) {
    database_status db;
    db.name = name;
    db.queued = 3;
    db.commits = 12;
    db.committed_requests = 9'007'199'254'740'991;
    db.retry.total_wait_ms = 1'500;
    db.quarantined = true;
    status.broker.databases.push_back(db);
  }
  status.broker.cache.hits = 7;
  status.broker.restarts = 2;
  auto result = as_json(status);
  result["front_door"] = {{"connections", 4}, {"subscriptions", 1}};
  return result;
}

} // namespace

TEST_CASE("requests are counted by method and code, and their time in a histogram", "[metrics]") {
  metrics metrics;
  metrics.observe("write", "ok", 50us);
  metrics.observe("write", "ok", 3ms);
  metrics.observe("write", "constraint", 100us);
  metrics.observe("read", "ok", 60s);
  auto all = scrape(metrics);
  const auto& requests = all.at("sluice_requests_total").samples;
  CHECK(requests.at({"sluice_requests_total", {{"method", "write"}, {"code", "ok"}}}) == 2);
  CHECK(requests.at({"sluice_requests_total", {{"method", "write"}, {"code", "constraint"}}}) == 1);
  CHECK(requests.size() == 3);
  const auto& durations = all.at("sluice_request_duration_seconds").samples;
  auto up_to = [&](const std::string& method, const std::string& end) {
    return durations.at({"sluice_request_duration_seconds_bucket", {{"method", method}, {"le", end}}});
  };
  CHECK(up_to("write", "0.0001") == 2);
  CHECK(up_to("write", "0.0025") == 2);
  CHECK(up_to("write", "0.005") == 3);
  CHECK(up_to("read", "30") == 0);
  CHECK(up_to("read", "+Inf") == 1);
  CHECK(durations.at({"sluice_request_duration_seconds_sum", {{"method", "write"}}}) == Approx(0.00315));
}

TEST_CASE("unknown names from clients do not create series", "[metrics]") {
  metrics metrics;
  for (int i = 0; i < 1'000; ++i)
    metrics.observe("method" + std::to_string(i) + "\n\"", "code" + std::to_string(i), 1us);
  metrics.observe("", "", -1us);
  auto all = scrape(metrics);
  const auto& requests = all.at("sluice_requests_total").samples;
  CHECK(requests.size() == 1);
  CHECK(requests.at({"sluice_requests_total", {{"method", "other"}, {"code", "other"}}}) == 1'001);
}

TEST_CASE("the status of broker, cache and databases is exported in base units", "[metrics]") {
  metrics metrics;
  auto all = scrape(metrics, status_of({"app.db", "b.db"}));
  auto of = [&](const std::string& name, const labels& with) { return all.at(name).samples.at({name, with}); };
  CHECK(of("sluice_cache_hits_total", {}) == 7);
  CHECK(of("sluice_restarts_total", {}) == 2);
  CHECK(of("sluice_connections", {}) == 4);
  CHECK(of("sluice_subscriptions", {}) == 1);
  CHECK(of("sluice_database_queued_requests", {{"database", "b.db"}}) == 3);
  CHECK(of("sluice_database_quarantined", {{"database", "b.db"}}) == 1);
  CHECK(of("sluice_database_commits_total", {{"database", "app.db"}}) == 12);
  CHECK(of("sluice_database_committed_requests_total", {{"database", "app.db"}}) == 9'007'199'254'740'991.0);
  CHECK(of("sluice_database_lock_wait_seconds_total", {{"database", "app.db"}}) == 1.5);
  CHECK(all.at("sluice_database_queued_requests").type == "gauge");
}

TEST_CASE("every number of a status has its place in a scrape", "[metrics]") {
  metrics metrics;
  auto status = status_of({"app.db"});
  auto all = scrape(metrics, status);
  auto count_of = [&](const std::string& prefix) {
    return std::count_if(all.begin(), all.end(), [&](const auto& f) { return f.first.starts_with(prefix); });
  };
  // Every number, except those that Prometheus computes itself (rates, means, ratios) and the times of events.
  auto numbers_of = [](const nlohmann::json& from, const std::set<std::string>& left_out) {
    std::ptrdiff_t count = 0;
    for (const auto& [name, value] : from.items())
      count += (value.is_number() || value.is_boolean()) && !left_out.contains(name) ? 1 : 0;
    return count;
  };
  const std::set<std::string> of_retry{"error_rate_5m", "mean_wait_ms", "last_lock_error_us"};
  const auto& db = status["databases"][0];
  CHECK(count_of("sluice_database_") == numbers_of(db, {"requests_per_commit"}) + numbers_of(db["retry"], of_retry));
  CHECK(count_of("sluice_cache_") == numbers_of(status["cache"], {}));
  CHECK(count_of("sluice_audit_") == numbers_of(status["audit"], {}));
  CHECK(count_of("sluice_buffer_") == numbers_of(status["buffer"], {}));
  CHECK(count_of("sluice_log_") == numbers_of(status["log"], {}));
  CHECK(count_of("sluice_host_") == numbers_of(status["host_retry"], of_retry));
  CHECK(count_of("sluice_uptime_") == 1);
  CHECK(count_of("sluice_slow_") == 1);
  CHECK(numbers_of(status, {"leader"}) == 3);
}

TEST_CASE("tables of the buffer have series of their own, in base units", "[metrics]") {
  metrics metrics;
  auto status = status_of({"app.db"});
  auto table = nlohmann::json{{"db", "app.db"}, {"table", "t"}, {"pending", 5}, {"oldest_ms", 1'500}};
  status["buffer"]["tables"] = {table, table, {{"db", "app.db"}}, 7};
  status["uptime_ms"] = 2'500;
  status["buffer"]["last_flush_us"] = 1'700'000'000'250'000;
  auto all = scrape(metrics, status);
  const labels with{{"database", "app.db"}, {"table", "t"}};
  CHECK(all.at("sluice_buffer_table_pending_rows").samples.size() == 1);
  CHECK(all.at("sluice_buffer_table_pending_rows").samples.at({"sluice_buffer_table_pending_rows", with}) == 5);
  CHECK(all.at("sluice_buffer_table_oldest_seconds").samples.at({"sluice_buffer_table_oldest_seconds", with}) == 1.5);
  CHECK(all.at("sluice_uptime_seconds").samples.at({"sluice_uptime_seconds", {}}) == 2.5);
  CHECK(
    all.at("sluice_buffer_last_flush_timestamp_seconds").samples.at({"sluice_buffer_last_flush_timestamp_seconds", {}})
    == Approx(1'700'000'000.25));
}

TEST_CASE("the parts of the time of writes are exported as histograms, by database", "[metrics]") {
  duration_histogram queue;
  queue.add(3us);
  queue.add(100us);
  queue.add(1h);
  database_timings of_app{"app.db", queue.read(), {}, {}};
  database_timings of_other{"b.db", {}, {}, queue.read()};
  metrics metrics;
  auto all = scrape(metrics, status_of({"app.db", "b.db"}), {of_app, of_other});
  const auto& waits = all.at("sluice_write_queue_seconds").samples;
  auto up_to = [&](const std::string& end) {
    return waits.at({"sluice_write_queue_seconds_bucket", {{"database", "app.db"}, {"le", end}}});
  };
  CHECK(up_to("4e-06") == 1);
  CHECK(up_to("0.000128") == 2);
  CHECK(up_to("+Inf") == 3);
  CHECK(waits.at({"sluice_write_queue_seconds_sum", {{"database", "app.db"}}}) == Approx(3600.000103));
  CHECK(waits.at({"sluice_write_queue_seconds_count", {{"database", "b.db"}}}) == 0);
  CHECK(all.at("sluice_commit_duration_seconds")
          .samples.at({"sluice_commit_duration_seconds_count", {{"database", "b.db"}}})
        == 3);
  CHECK(all.contains("sluice_write_execution_seconds"));
}

TEST_CASE("every method of the protocol is counted under its own name", "[metrics]") {
  for (const auto& known : rpc::all_methods) {
    std::string method{known.name};
    metrics metrics;
    metrics.observe(method, "ok", 1us);
    auto all = scrape(metrics);
    CHECK(all.at("sluice_requests_total")
            .samples.contains({"sluice_requests_total", {{"method", method}, {"code", "ok"}}}));
  }
}

TEST_CASE("names of databases are escaped, and nothing of the machine is exported", "[metrics]") {
  std::vector<std::string> names{"a\"b.db", "a\\b.db",  "a\\\"b.db",    "{x=\"1\"} 5",      "a,b=c.db", "\\n.db",
                                 "\\",      "é漢字.db", "sub/dir/x.db", "# HELP evil evil", " ",        "a}b.db"};
  names.emplace_back("new\nline.db");
  metrics metrics;
  auto all = scrape(metrics, status_of(names));
  const auto& commits = all.at("sluice_database_commits_total").samples;
  std::set<std::string> found;
  for (const auto& [key, value] : commits)
    found.insert(key.second.at("database"));
  CHECK(found == std::set<std::string>(names.begin(), names.end()));
  CHECK(metrics.scrape(status_of(names)).find("/secret/place") == std::string::npos);
}

TEST_CASE("a status with missing members or other types gives a valid scrape", "[metrics]") {
  metrics metrics;
  metrics.observe("ping", "ok", 1us);
  using nlohmann::json;
  for (const auto& status :
       {json{}, json::array(), json::object(), json(5), json{{"databases", 5}}, json{{"databases", {1, "x", nullptr}}},
        json{{"databases", {{{"name", 5}, {"commits", 1}}}}}, json{{"cache", "off"}},
        json{{"cache", {{"hits", "many"}}}}, json{{"databases", {{{"name", "a"}, {"retry", 7}, {"commits", 1}}}}},
        json{{"front_door", "few"}}, json{{"front_door", {{"connections", "few"}}}}}) {
    INFO(status.dump());
    CHECK(scrape(metrics, status).contains("sluice_requests_total"));
  }
  auto twice = scrape(metrics, status_of({"a.db", "a.db"}));
  CHECK(twice.at("sluice_database_commits_total").samples.size() == 1);
}

TEST_CASE("the parser of the text format refuses invalid text", "[metrics]") {
  const std::string head = "# HELP sluice_x X.\n# TYPE sluice_x gauge\n";
  auto refuses = [](const std::string& text) {
    try {
      parser{}.parse(text);
      return false;
    } catch (const std::exception&) {
      return true;
    }
  };
  CHECK_FALSE(refuses(head + "sluice_x{a=\"b\"} 1\n"));
  CHECK(refuses(head + "sluice_x 1"));
  CHECK(refuses(head + "sluice_x 1\nsluice_x 2\n"));
  CHECK(refuses(head + "sluice_x{a=\"b\"c\"} 1\n"));
  CHECK(refuses(head + "sluice_x{a=\"\\t\"} 1\n"));
  CHECK(refuses(head + "sluice_x one\n"));
  CHECK(refuses(head + "sluice_y 1\n"));
  CHECK(refuses(head + "sluice_x 1\n" + head + "sluice_x{a=\"1\"} 1\n"));
  CHECK(refuses("sluice_x 1\n" + head));
  CHECK(
    refuses("# HELP sluice_h H.\n# TYPE sluice_h histogram\nsluice_h_bucket{le=\"1\"} 2\nsluice_h_bucket{le=\"+Inf\"} "
            "1\nsluice_h_sum 1\nsluice_h_count 1\n"));
}

} // namespace sluice::test::metrics_test
