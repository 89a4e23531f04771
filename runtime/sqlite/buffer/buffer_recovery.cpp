#include "runtime/sqlite/buffer/buffer_recovery.hpp"

#include "runtime/sqlite/buffer/buffer_codec.hpp"

#include <string>
#include <vector>

namespace sluice::sqlite {

namespace {

caf::expected<std::vector<uint64_t>> operations_of(buffer_file::content& file, int64_t place, journal_content& to) {
  std::vector<uint64_t> result;
  auto stmt = prepared_statement::prepare(file.db, "SELECT seq, content FROM journal WHERE batch = ? ORDER BY seq");
  if (stmt)
    stmt->bind(1, place);
  auto error = for_each_row(std::move(stmt), [&](prepared_statement& row) {
    result.push_back(static_cast<uint64_t>(row.integer(0)));
    // An unreadable operation is nevertheless in the batch's request.
    if (auto content = decode_put(row.blob(1)))
      to.in_batches.push_back({result.back(), std::move(*content)});
    return caf::error{};
  });
  if (error)
    return error;
  return result;
}

// The operations of the batch are known without the request, but not whether they were written; a person must decide.
caf::error give_up_batch(buffer_file::content& file, int64_t place) {
  auto stmt = prepared_statement::prepare(file.db, "SELECT content FROM journal WHERE batch = ? ORDER BY seq");
  if (stmt)
    stmt->bind(1, place);
  auto error = for_each_row(std::move(stmt), [&](prepared_statement& row) {
    return keep_unreadable_row(file,
                               "it was on its way when the broker died, in a batch whose record cannot be read; "
                               "it may have been written",
                               row.blob(0));
  });
  for (auto* each : {&file.sql.forget_operations, &file.sql.forget_batch})
    if (!error) {
      each->bind(1, place);
      error = run(*each);
    }
  return error;
}

caf::error recover_batches(buffer_file::content& file, journal_content& to) {
  std::vector<int64_t> unreadable;
  auto error = for_each_row(
    prepared_statement::prepare(file.db, "SELECT place, idempotency_key, content FROM batches ORDER BY place"),
    [&](prepared_statement& row) -> caf::error {
      auto request = decode_request(row.blob(2));
      if (!request) {
        unreadable.push_back(row.integer(0));
        return caf::none;
      }
      auto operations = operations_of(file, row.integer(0), to);
      if (!operations)
        return std::move(operations.error());
      to.batches.push_back({std::string{row.text(1)}, std::move(*request), std::move(*operations)});
      return caf::none;
    });
  for (auto place : unreadable)
    if (!error)
      error = give_up_batch(file, place);
  return error;
}

caf::error recover_operations(buffer_file::content& file, journal_content& to) {
  std::vector<std::pair<int64_t, std::string>> unreadable;
  auto error = for_each_row(
    prepared_statement::prepare(file.db, "SELECT seq, content FROM journal WHERE batch IS NULL ORDER BY seq"),
    [&](prepared_statement& row) -> caf::error {
      if (auto content = decode_put(row.blob(1)))
        to.operations.push_back({static_cast<uint64_t>(row.integer(0)), std::move(*content)});
      else
        unreadable.emplace_back(row.integer(0), row.blob(1));
      return caf::none;
    });
  for (const auto& [seq, content] : unreadable) {
    if (!error)
      error = keep_unreadable_row(file, "this record of the journal cannot be read by this version of sluice", content);
    file.sql.forget_operation.bind(1, seq);
    if (!error)
      error = run(file.sql.forget_operation);
  }
  return error;
}

} // namespace

caf::error recover_journal(buffer_file::content& file, journal_content& to) {
  if (auto error = recover_batches(file, to))
    return error;
  return recover_operations(file, to);
}

} // namespace sluice::sqlite
