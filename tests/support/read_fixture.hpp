#pragma once

#include "actors/cache/read_scheduler.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/fake_read_store.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace sluice::test {

inline read_limits usual_limits() { return {10'000, 8 << 20, std::chrono::milliseconds{5'000}}; }

inline read_request a_read(std::string id, std::string sql, parameters params = {}) {
  read_request result;
  result.db = "app.db";
  result.agent = id;
  result.request_id = std::move(id);
  result.query = {std::move(sql), std::move(params)};
  result.limits = usual_limits();
  return result;
}

/// Commits to the tables, as a writer does.
inline void commit_to(table_versions& versions, std::vector<std::string> tables, uint64_t seq = 0,
                      bool everything = false) {
  commit_window window{versions, tables, everything};
  window.committed(seq == 0 ? versions.last_commit() + 1 : seq);
}

/// A `read_scheduler` and its result cache; the test takes the part of the readers. Reads are distinguished by their
/// request id, answers come from a database with one number per table.
struct read_fixture {
  explicit read_fixture(uint64_t max_queued = 100, result_cache_settings settings = {}, uint64_t max_readers = 4)
    : hits(settings), scheduler(hits, time, bounds(max_queued, max_readers), 1) {
    context.open({});
    context.versions().start_at(10);
  }

  static bounds_of_database bounds(uint64_t max_queued, uint64_t max_readers) {
    database_bounds result;
    result.queue.max_requests = max_queued;
    result.readers = max_readers;
    return [result](const std::string&) { return result; };
  }

  fake_clock time;
  database_context context{"app.db"};
  result_cache hits;
  read_scheduler scheduler;

  std::vector<read_scheduler::dispatch> running;
  std::map<std::string, caf::expected<read_result>> answers;
  std::vector<audit_record> records;
  std::vector<std::string> wants_readers;
  std::vector<std::string> suspects;
  std::vector<bool> quiesced;
  // The time at which `expire` must be called.
  std::multiset<clock::steady> calls;

  // Advances the time, and calls `expire` at the requested time.
  void pass(std::chrono::milliseconds how_long) {
    auto until = time.now() + how_long;
    while (!calls.empty() && *calls.begin() <= until) {
      time.advance(std::max(std::chrono::nanoseconds{0}, std::chrono::nanoseconds{*calls.begin() - time.now()}));
      calls.erase(calls.begin());
      read_scheduler::effects out;
      scheduler.expire(out);
      apply(std::move(out));
    }
    time.advance(until - time.now());
  }

  void apply(read_scheduler::effects out) {
    if (out.deliveries.size() > out.records.size())
      throw std::logic_error("an answer without a record");
    for (size_t i = 0; i < out.deliveries.size(); ++i)
      if (!answers.emplace(out.records[i].request_id, std::move(out.deliveries[i].result)).second)
        throw std::logic_error("answered twice: " + out.records[i].request_id);
    move_all(out.dispatches, running);
    move_all(out.records, records);
    move_all(out.wants_readers, wants_readers);
    move_all(out.suspects, suspects);
    if (out.expire_in)
      calls.insert(time.now() + *out.expire_in);
    for (const auto& each : out.quiesced)
      quiesced.push_back(each.is_quiet);
  }

  void submit(read_request request) {
    read_scheduler::effects out;
    scheduler.submit(context, std::move(request), {}, out);
    apply(std::move(out));
  }
  void submit(std::string id, std::string sql, parameters params = {}) {
    submit(a_read(std::move(id), std::move(sql), std::move(params)));
  }

  void add_readers(size_t count = 1) {
    for (size_t i = 0; i < count; ++i) {
      read_scheduler::effects out;
      scheduler.reader_joined(context, {}, out);
      apply(std::move(out));
    }
  }

  executed_read answer_of(value cell, std::vector<std::string> tables, bool deterministic = true,
                          bool external_commit = false) {
    executed_read result;
    result.result.rows = one_cell(std::move(cell));
    result.reads = std::make_shared<const read_set>(read_set{std::move(tables), deterministic});
    result.external_commit = external_commit;
    return result;
  }

  void finish(size_t i, caf::expected<executed_read> answer, std::chrono::microseconds failed_after = {}) {
    auto flight = running.at(i).flight;
    running.erase(running.begin() + static_cast<ptrdiff_t>(i));
    read_scheduler::effects out;
    auto busy = answer ? std::chrono::microseconds{answer->busy_us} : failed_after;
    scheduler.finished(flight, std::move(answer), busy, out);
    apply(std::move(out));
  }

  bool answered(const std::string& id) const { return answers.count(id) > 0; }
  int64_t cell(const std::string& id) const { return *answers.at(id)->rows->at(0, 0).integer(); }
  read_source source(const std::string& id) const { return answers.at(id)->source; }
  failure failure_of(const std::string& id) const {
    const auto& answer = answers.at(id);
    if (answer)
      throw std::logic_error(id + " was answered");
    return describe(answer.error());
  }
  std::optional<read_result> hit(const std::string& sql, parameters params = {}) {
    auto request = a_read("hit", sql, std::move(params));
    return hits.find(context, request, request.limits, time.now());
  }

private:
  template <class T> static void move_all(std::vector<T>& from, std::vector<T>& to) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
  }
};

} // namespace sluice::test
