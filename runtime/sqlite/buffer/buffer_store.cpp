#include "runtime/sqlite/buffer/buffer_store.hpp"

#include "runtime/sqlite/buffer/buffer_codec.hpp"
#include "runtime/sqlite/buffer/buffer_file.hpp"
#include "runtime/sqlite/buffer/buffer_recovery.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <utility>

namespace sluice::sqlite {

namespace {

int64_t as_integer(uint64_t number) {
  return static_cast<int64_t>(std::min<uint64_t>(number, std::numeric_limits<int64_t>::max()));
}

// Works in the open transaction.
caf::error add_batch(buffer_file::content& file, const std::string& key, std::string_view request,
                     std::span<const uint64_t> operations) {
  file.sql.add_batch.bind_text(1, key);
  file.sql.add_batch.bind_blob(2, request);
  auto place = run_for_number(file.sql.add_batch);
  if (!place)
    return std::move(place.error());
  for (auto seq : operations) {
    file.sql.claim.bind(1, **place);
    file.sql.claim.bind(2, as_integer(seq));
    if (auto failed = run(file.sql.claim))
      return failed;
  }
  return caf::none;
}

class buffer_file_store final : public buffer_store {
public:
  buffer_file_store(std::filesystem::path path, synchronous_mode synchronous) : file_(std::move(path), synchronous) {
    file_.on_replaced([this](buffer_file::content& file, bool anew) { return restore_journal(file, anew); });
  }

  caf::expected<uint64_t> append(std::span<const buffer_put> operations) override { return requeue({}, operations); }
  caf::expected<void> begin_batch(const journal_batch& batch) override;
  caf::expected<void> end_batch(const std::string& idempotency_key) override;
  caf::expected<void> abandon_batch(const std::string& idempotency_key) override;
  caf::expected<journal_content> recover() override;
  caf::expected<uint64_t> reject(std::span<const rejected_row> rows) override;
  caf::expected<rejected_page> rejected(const rejected_query& query) override;
  caf::expected<std::vector<rejected_row>> take_rejected(std::span<const uint64_t> ids) override;
  caf::expected<uint64_t> requeue(std::span<const uint64_t> ids, std::span<const buffer_put> operations) override;
  caf::expected<uint64_t> count_rejected() override;

private:
  caf::error leave_batch(const std::string& idempotency_key,
                         prepared_statement buffer_file::statements::*with_operations);

  caf::error restore_journal(buffer_file::content& file, bool anew);

  // A stored batch, and its operations.
  struct kept_batch {
    std::string request;
    std::vector<uint64_t> operations;
  };

  buffer_file file_;
  // The content of the journal, in case the file is deleted and must be created anew.
  std::map<uint64_t, std::string> operations_;
  std::map<std::string, kept_batch> batches_;
};

// Leaves another journal in its place unchanged: its operations may have the same places. `anew` means that it is an
// older state of our own journal.
caf::error buffer_file_store::restore_journal(buffer_file::content& file, bool anew) {
  if (anew)
    if (auto forgotten = exec_atomically(file.db, "DELETE FROM journal; DELETE FROM batches"); !forgotten)
      return std::move(forgotten.error());
  auto found = read_number(file.db, "SELECT (SELECT count(*) FROM journal) + (SELECT count(*) FROM batches)");
  if (!found)
    return std::move(found.error());
  if (*found > 0 || operations_.empty())
    return caf::none;
  if (auto begun = file.sql.begin.run(); !begun)
    return std::move(begun.error());
  for (const auto& [seq, content] : operations_) {
    file.sql.append.bind(1, as_integer(seq));
    file.sql.append.bind_blob(2, content);
    if (auto error = run(file.sql.append))
      return error;
  }
  for (const auto& [key, batch] : batches_)
    if (auto error = add_batch(file, key, batch.request, batch.operations))
      return error;
  return run(file.sql.commit);
}

caf::error forget_rejected(buffer_file::content& file, uint64_t id) {
  file.sql.forget_rejected.bind(1, as_integer(id));
  return run(file.sql.forget_rejected);
}

caf::expected<uint64_t> buffer_file_store::requeue(std::span<const uint64_t> ids,
                                                   std::span<const buffer_put> operations) {
  uint64_t first = 0;
  std::vector<std::string> contents;
  for (const auto& operation : operations)
    contents.push_back(encode_put(operation));
  auto error = file_.atomically([&](buffer_file::content& file) -> caf::error {
    for (auto id : ids)
      if (auto failed = forget_rejected(file, id))
        return failed;
    auto seq = file_.last_place;
    first = static_cast<uint64_t>(seq) + 1;
    for (const auto& content : contents) {
      file.sql.append.bind(1, ++seq);
      file.sql.append.bind_blob(2, content);
      if (auto failed = run(file.sql.append))
        return failed;
    }
    // Set even when the commit fails: there may be gaps between places.
    file_.last_place = seq;
    return caf::none;
  });
  if (error)
    return error;
  for (size_t i = 0; i < contents.size(); ++i)
    operations_[first + i] = std::move(contents[i]);
  return first;
}

// Synced before the batch is written. Otherwise, after a power cut, the batch could be in its database while the
// journal lacks that it was sent; its operations would then be executed again, after later ones.
caf::expected<void> buffer_file_store::begin_batch(const journal_batch& batch) {
  auto content = encode_request(batch.request);
  auto error = file_.durably(
    [&](buffer_file::content& file) { return add_batch(file, batch.idempotency_key, content, batch.operations); });
  if (error)
    return error;
  batches_[batch.idempotency_key] = {std::move(content), batch.operations};
  return caf::unit;
}

caf::error buffer_file_store::leave_batch(const std::string& idempotency_key,
                                          prepared_statement buffer_file::statements::*with_operations) {
  if (file_.is_missing())
    return caf::none;
  return file_.atomically([&](buffer_file::content& file) -> caf::error {
    auto& find = file.sql.find_batch;
    find.bind_text(1, idempotency_key);
    auto place = run_for_number(find);
    if (!place)
      return std::move(place.error());
    if (!*place)
      return caf::none;
    for (auto* each : {&(file.sql.*with_operations), &file.sql.forget_batch}) {
      each->bind(1, **place);
      if (auto failed = run(*each))
        return failed;
    }
    return caf::none;
  });
}

caf::expected<void> buffer_file_store::end_batch(const std::string& idempotency_key) {
  if (auto error = leave_batch(idempotency_key, &buffer_file::statements::forget_operations))
    return error;
  if (auto batch = batches_.extract(idempotency_key))
    for (auto seq : batch.mapped().operations)
      operations_.erase(seq);
  return caf::unit;
}

caf::expected<void> buffer_file_store::abandon_batch(const std::string& idempotency_key) {
  if (auto error = leave_batch(idempotency_key, &buffer_file::statements::release))
    return error;
  batches_.erase(idempotency_key);
  return caf::unit;
}

caf::expected<journal_content> buffer_file_store::recover() {
  journal_content result;
  if (file_.is_missing())
    return result;
  auto error =
    file_.atomically([&](buffer_file::content& file) -> caf::error { return recover_journal(file, result); });
  if (error)
    return error;
  operations_.clear();
  batches_.clear();
  for (const auto* all : {&result.operations, &result.in_batches})
    for (const auto& operation : *all)
      operations_.emplace(operation.seq, encode_put(operation.content));
  for (const auto& batch : result.batches)
    batches_[batch.idempotency_key] = {encode_request(batch.request), batch.operations};
  return result;
}

// Works in the open transaction. Returns the id.
caf::expected<uint64_t> keep_rejected(buffer_file::content& file, const rejected_row& row) {
  auto content = encode_put(row.operation);
  auto& keep = file.sql.keep;
  keep.bind(1, row.ts_us);
  keep.bind_text(2, to_string(row.code));
  keep.bind_text(3, row.message);
  keep.bind_blob(4, content);
  auto given = run_for_number(keep);
  if (!given)
    return std::move(given.error());
  return static_cast<uint64_t>(**given);
}

caf::expected<uint64_t> buffer_file_store::reject(std::span<const rejected_row> rows) {
  uint64_t first = 0;
  auto error = file_.atomically([&](buffer_file::content& file) -> caf::error {
    for (const auto& row : rows) {
      auto id = keep_rejected(file, row);
      if (!id)
        return std::move(id.error());
      if (&row == &rows.front())
        first = *id;
    }
    return caf::none;
  });
  if (error)
    return error;
  return first;
}

caf::expected<prepared_statement> select_rejected(const buffer_file::content& file, const std::string& rest) {
  return prepared_statement::prepare(file.db, "SELECT id, ts_us, code, message, content FROM rejected " + rest);
}

// Reads a row of the query above; false when its content is unreadable.
bool read_rejected(const prepared_statement& from, rejected_row& to) {
  to.id = static_cast<uint64_t>(from.integer(0));
  to.ts_us = from.integer(1);
  to.code = errc_of(from.text(2)).value_or(errc::internal);
  to.message = from.text(3);
  auto content = decode_put(from.blob(4));
  if (content)
    to.operation = std::move(*content);
  else
    to.code = errc::corrupt;
  return content.has_value();
}

caf::expected<rejected_page> buffer_file_store::rejected(const rejected_query& query) {
  rejected_page result;
  if (file_.is_missing())
    return result;
  auto file = file_.open();
  if (!file)
    return std::move(file.error());
  auto stmt = select_rejected(**file, "WHERE id > ? ORDER BY id LIMIT ?");
  if (stmt) {
    stmt->bind(1, as_integer(query.after_id));
    stmt->bind(2, as_integer(query.limit));
  }
  auto error = for_each_row(std::move(stmt), [&](prepared_statement& row) {
    read_rejected(row, result.rows.emplace_back());
    return caf::error{};
  });
  if (error)
    return file_.give_up(std::move(error));
  return result;
}

caf::error take_all(buffer_file::content& file, std::vector<rejected_row>& to) {
  return for_each_row(select_rejected(file, "ORDER BY id"), [&](prepared_statement& row) {
    if (!read_rejected(row, to.emplace_back()))
      to.pop_back();
    return caf::error{};
  });
}

caf::error take_some(buffer_file::content& file, std::span<const uint64_t> ids, std::vector<rejected_row>& to) {
  std::vector<uint64_t> sorted{ids.begin(), ids.end()};
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  for (auto id : sorted) {
    auto stmt = select_rejected(file, "WHERE id = ?");
    if (stmt)
      stmt->bind(1, as_integer(id));
    auto error = for_each_row(std::move(stmt), [&](prepared_statement& row) {
      return read_rejected(row, to.emplace_back())
               ? caf::error{}
               : make_error(errc::corrupt, "row " + std::to_string(id)
                                             + " cannot be read by this version of sluice; it stays where it is");
    });
    if (error)
      return error;
  }
  return caf::none;
}

caf::expected<std::vector<rejected_row>> buffer_file_store::take_rejected(std::span<const uint64_t> ids) {
  std::vector<rejected_row> result;
  if (file_.is_missing())
    return result;
  auto error = file_.atomically([&](buffer_file::content& file) -> caf::error {
    auto failed = ids.empty() ? take_all(file, result) : take_some(file, ids, result);
    for (const auto& row : result) {
      if (failed)
        return failed;
      failed = forget_rejected(file, row.id);
    }
    return failed;
  });
  if (error)
    return error;
  return result;
}

caf::expected<uint64_t> buffer_file_store::count_rejected() {
  if (file_.is_missing())
    return uint64_t{0};
  auto file = file_.open();
  if (!file)
    return std::move(file.error());
  auto count = read_number((*file)->db, "SELECT count(*) FROM rejected");
  if (!count)
    return file_.give_up(std::move(count.error()));
  return static_cast<uint64_t>(*count);
}

} // namespace

std::unique_ptr<buffer_store> open_buffer_store(std::filesystem::path path, synchronous_mode synchronous) {
  return std::make_unique<buffer_file_store>(std::move(path), synchronous);
}

std::unique_ptr<buffer_store> open_buffer_store(const store_root& root, const broker_config& config) {
  return open_buffer_store(root.buffer_path(), config.synchronous);
}

} // namespace sluice::sqlite
