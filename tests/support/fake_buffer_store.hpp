#pragma once

#include "actors/buffer/buffer_store.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::test {

/// The file under a `fake_buffer_store`, which outlives the store as a file outlives a process, and its faults.
struct fake_buffer_file {
  struct entry {
    buffer_put content;
    // Empty for one that is in no batch.
    std::string batch;
  };

  std::map<uint64_t, entry> journal;
  std::vector<journal_batch> batches;
  std::map<uint64_t, rejected_row> rejects;
  uint64_t last_place = 0;
  uint64_t last_id = 0;
  bool refuses = false;
  bool refuses_appends = false;
  bool unreadable = false;
  uint64_t appends = 0;
  uint64_t begins = 0;
  uint64_t calls = 0;
};

class fake_buffer_store : public buffer_store {
public:
  explicit fake_buffer_store(fake_buffer_file& file) : file_(file) {}

  caf::expected<uint64_t> append(std::span<const buffer_put> operations) override {
    if (auto error = refusal())
      return error;
    if (file_.refuses_appends)
      return make_error(errc::disk_full, "no space for the journal");
    ++file_.appends;
    auto first = file_.last_place + 1;
    for (const auto& operation : operations)
      file_.journal[++file_.last_place] = {operation, {}};
    return first;
  }

  caf::expected<void> begin_batch(const journal_batch& batch) override {
    if (auto error = refusal())
      return error;
    ++file_.begins;
    auto has_key = [&](const auto& x) { return x.idempotency_key == batch.idempotency_key; };
    if (std::any_of(file_.batches.begin(), file_.batches.end(), has_key))
      return make_error(errc::constraint, "the key of the batch is in use");
    for (auto seq : batch.operations) {
      auto& batch_of = file_.journal.at(seq).batch;
      if (!batch_of.empty())
        throw std::logic_error("an operation is in two batches");
      batch_of = batch.idempotency_key;
    }
    file_.batches.push_back(batch);
    return caf::unit;
  }

  caf::expected<void> end_batch(const std::string& key) override {
    if (auto error = refusal())
      return error;
    std::erase_if(file_.journal, [&](const auto& x) { return x.second.batch == key; });
    forget(key);
    return caf::unit;
  }

  caf::expected<void> abandon_batch(const std::string& key) override {
    if (auto error = refusal())
      return error;
    for (auto& [seq, x] : file_.journal)
      if (x.batch == key)
        x.batch.clear();
    forget(key);
    return caf::unit;
  }

  caf::expected<journal_content> recover() override {
    ++file_.calls;
    if (file_.unreadable)
      return make_error(errc::corrupt, "the journal cannot be read");
    journal_content result;
    result.batches = file_.batches;
    for (const auto& [seq, x] : file_.journal)
      if (x.batch.empty())
        result.operations.push_back({seq, x.content});
    for (const auto& batch : file_.batches)
      for (const auto& [seq, x] : file_.journal)
        if (x.batch == batch.idempotency_key)
          result.in_batches.push_back({seq, x.content});
    return result;
  }

  caf::expected<uint64_t> reject(std::span<const rejected_row> rows) override {
    if (auto error = refusal())
      return error;
    auto first = file_.last_id + 1;
    for (const auto& row : rows) {
      auto id = ++file_.last_id;
      file_.rejects[id] = row;
      file_.rejects[id].id = id;
    }
    return first;
  }

  caf::expected<rejected_page> rejected(const rejected_query& query) override {
    if (auto error = refusal())
      return error;
    rejected_page page;
    for (auto i = file_.rejects.upper_bound(query.after_id); i != file_.rejects.end(); ++i)
      if (page.rows.size() < query.limit)
        page.rows.push_back(i->second);
    return page;
  }

  caf::expected<std::vector<rejected_row>> take_rejected(std::span<const uint64_t> ids) override {
    if (auto error = refusal())
      return error;
    std::vector<rejected_row> result;
    std::erase_if(file_.rejects, [&](const auto& each) {
      auto wanted = ids.empty() || std::find(ids.begin(), ids.end(), each.first) != ids.end();
      if (wanted)
        result.push_back(each.second);
      return wanted;
    });
    return result;
  }

  caf::expected<uint64_t> requeue(std::span<const uint64_t> ids, std::span<const buffer_put> operations) override {
    auto first = append(operations);
    for (auto id : ids)
      if (first)
        file_.rejects.erase(id);
    return first;
  }

  caf::expected<uint64_t> count_rejected() override {
    if (auto error = refusal())
      return error;
    return uint64_t{file_.rejects.size()};
  }

private:
  void forget(const std::string& key) {
    std::erase_if(file_.batches, [&](const auto& x) { return x.idempotency_key == key; });
  }

  caf::error refusal() {
    ++file_.calls;
    return file_.refuses ? make_error(errc::disk_full, "no space for the buffer's file") : caf::error{};
  }

  fake_buffer_file& file_;
};

} // namespace sluice::test
