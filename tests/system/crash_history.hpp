#pragma once

#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "tests/support/audit_records.hpp"
#include "tests/system/fixture.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace sluice::test {

/// The answers that the agents of crash_writer got in all its runs, and the invariants of the files after each run.
class crash_history {
public:
  explicit crash_history(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Records a line of the output of crash_writer, which describes them.
  void record(const std::string& line) {
    std::istringstream in{line};
    std::string event;
    int n = 0;
    in >> event >> n;
    if (event == "sent") {
      // An answer that arrived before this request was sent belongs to an earlier commit.
      writes_.try_emplace(n, write{newest_, std::nullopt, false});
      in_doubt_.insert(n);
    } else if (event == "acked") {
      uint64_t seq = 0;
      in >> seq;
      auto& result = writes_.at(n);
      // A repetition gets the answer of the first attempt.
      if (result.acked && *result.acked != seq)
        FAIL(line << ", and before with " << *result.acked);
      result.acked = seq;
      newest_ = std::max(newest_, seq);
      in_doubt_.erase(n);
    } else if (event == "refused") {
      std::string code;
      in >> code;
      if (code != "constraint" || n % 3 != 0)
        FAIL(line);
      writes_.at(n).refused = true;
      in_doubt_.erase(n);
    }
  }

  /// The writes that were sent and not answered.
  const std::set<int>& in_doubt() const { return in_doubt_; }

  /// Those of them that may be sent again, because they have a key; the others are given up.
  std::vector<int> to_repeat() {
    std::erase_if(in_doubt_, [](int n) { return n % 5 == 0; });
    return {in_doubt_.begin(), in_doubt_.end()};
  }

  size_t acknowledged() const {
    return static_cast<size_t>(
      std::count_if(writes_.begin(), writes_.end(), [](const auto& x) { return x.second.acked.has_value(); }));
  }

  std::filesystem::path file() const { return folder_ / "app.db"; }
  std::filesystem::path audit_file() const { return folder_ / ".sluice" / "audit.db"; }

  /// The numbers in the table.
  std::multiset<int> rows() const {
    std::multiset<int> result;
    if (std::filesystem::exists(file()) && integer_of(file(), "SELECT count(*) FROM sqlite_schema WHERE name = 'log'"))
      for (const auto& each : column_of(file(), "SELECT n FROM log"))
        result.insert(static_cast<int>(*each.integer()));
    return result;
  }

  /// The requests in the ledger, in the order of their commits; the ledger is whole.
  std::map<std::string, uint64_t> committed() const {
    std::map<std::string, uint64_t> result;
    if (!std::filesystem::exists(file()))
      return result;
    auto reader = must(sqlite::ledger_reader::open(file()));
    auto verdict = must(reader.verify());
    INFO(verdict.reason);
    REQUIRE(verdict.intact());
    uint64_t last = 0;
    for (const auto& commit : must(reader.after(0, 1'000'000))) {
      if (!commit.intact || commit.seq != ++last)
        FAIL("commit " << commit.seq << " is damaged, or follows another than " << commit.seq - 1);
      for (const auto& request : commit.requests) {
        if (!result.emplace(request.request_id, commit.seq).second)
          FAIL(request.request_id << " is there twice, the second time in commit " << commit.seq);
      }
    }
    return result;
  }

  /// The requests that the audit has as committed, each once; with `recovered`, those that a ledger gave back.
  std::set<std::string> audited(bool recovered = false) const {
    std::set<std::string> result;
    if (!std::filesystem::exists(audit_file()))
      return result;
    for (const auto& record : audit_records_in(audit_file()))
      if (record.status == "committed" && (record.recovered || !recovered) && !result.insert(record.request_id).second)
        FAIL("the audit has " << record.request_id << " twice");
    return result;
  }

  /// The requests of which the audit has a record, with any outcome.
  std::set<std::string> recorded() const {
    std::set<std::string> result;
    if (std::filesystem::exists(audit_file()))
      for (const auto& record : audit_records_in(audit_file()))
        result.insert(record.request_id);
    return result;
  }

  /// Checks the database at any time, before any repair.
  void check_database() const {
    if (!std::filesystem::exists(file()))
      return;
    require_sound(file());
    auto there = rows();
    auto ledger = committed();
    std::set<std::string> numbered;
    for (const auto& [id, seq] : ledger)
      if (id.starts_with("request-"))
        numbered.insert(id);
    REQUIRE(there.size() == numbered.size());
    int64_t keyed = 0;
    for (auto n : there) {
      if (!writes_.contains(n) || !numbered.contains(id_of(n)))
        FAIL("row " << n << " was never asked for, or is in no commit");
      keyed += n % 5 != 0 ? 1 : 0;
    }
    if (!there.empty())
      REQUIRE(integer_of(file(), "SELECT count(*) FROM _sluice_keys") == keyed);
    for (const auto& [n, x] : writes_)
      check_write(n, x, there, ledger);
  }

  /// Checks the audit after the store has been opened.
  void check_audit() const {
    auto audit = audited();
    for (const auto& [id, seq] : committed()) {
      if (!audit.contains(id))
        FAIL("the audit lacks " << id << " of commit " << seq);
    }
  }

  static std::string id_of(int n) { return "request-" + std::to_string(n); }

private:
  struct write {
    // The newest acknowledged commit when this was first sent.
    uint64_t after = 0;
    std::optional<uint64_t> acked;
    bool refused = false;
  };

  static void check_write(int n, const write& write, const std::multiset<int>& there,
                          const std::map<std::string, uint64_t>& ledger) {
    auto rows = there.count(n);
    if (write.acked ? rows != 1 : rows > (write.refused ? 0U : 1U))
      FAIL("write " << n << ", which was "
                    << (write.acked     ? "acknowledged"
                        : write.refused ? "refused"
                                        : "in doubt")
                    << ", is there " << rows << " times");
    if (rows == 0)
      return;
    auto seq = ledger.at(id_of(n));
    if (seq <= write.after || write.acked.value_or(seq) != seq)
      FAIL("write " << n << " is in commit " << seq << "; when it was asked for, there were " << write.after
                    << ", and it was acknowledged with " << write.acked.value_or(0));
  }

  std::filesystem::path folder_;
  std::map<int, write> writes_;
  std::set<int> in_doubt_;
  uint64_t newest_ = 0;
};

/// The number of bytes in a WAL after the last frame that ends a commit, which belong to an unfinished transaction.
/// Reads the file itself, so it must be called before the database is opened.
inline size_t bytes_of_unfinished_commit(const std::filesystem::path& wal) {
  constexpr size_t header = 32;
  constexpr size_t frame_header = 24;
  std::ifstream in{wal, std::ios::binary};
  std::string bytes{std::istreambuf_iterator<char>{in}, {}};
  auto number = [&](size_t at) {
    uint32_t result = 0;
    for (size_t i = 0; i < 4; ++i)
      result = result << 8U | static_cast<uint8_t>(bytes[at + i]);
    return result;
  };
  if (bytes.size() < header)
    return bytes.size();
  auto frame = frame_header + number(8);
  auto end_of_commit = header;
  for (auto at = header; at + frame <= bytes.size(); at += frame) {
    // Frames from before a restart of the WAL have other salts.
    if (bytes.compare(at + 8, 8, bytes, 16, 8) != 0)
      return at - end_of_commit;
    if (number(at + 4) != 0)
      end_of_commit = at + frame;
  }
  return bytes.size() - end_of_commit;
}

} // namespace sluice::test
