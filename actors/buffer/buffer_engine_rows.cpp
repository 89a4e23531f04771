// The part of `buffer_engine` that answers with pending and rejected rows.

#include "actors/base/utf8_text.hpp"
#include "actors/buffer/buffer_engine.hpp"
#include "actors/buffer/row_statement.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace sluice {

namespace {

// How often a lookup flushes the pending operations first, while other callers add new ones.
constexpr uint64_t max_flushes_per_lookup = 3;

caf::error row_is_busy(std::string reason) { return make_error(errc::busy, std::move(reason)); }

row_image image_of(const rowset& stored) {
  row_image image;
  const auto& columns = stored.columns();
  image.found = stored.size() > 0;
  for (size_t i = 0; image.found && i < columns.size(); ++i)
    image.columns[columns[i]] = {stored.at(0, i), false};
  return image;
}

} // namespace

void buffer_engine::answer_row(reply<buffered_row>& to, caf::expected<buffered_row> result) {
  effects_.rows.push_back({std::move(to), std::move(result)});
}

void buffer_engine::answer_decision(reply<uint64_t>& to, caf::expected<uint64_t> result) {
  effects_.decisions.push_back({std::move(to), std::move(result)});
}

void buffer_engine::get(buffer_get request, reply<buffered_row> to) {
  if (closing_)
    return answer_row(to, shutting_down());
  auto waits = std::make_shared<lookup>();
  auto db = request.row.db;
  auto table = request.row.table;
  waits->get = std::move(request);
  waits->to = std::move(to);
  with_shape(db, table, [this, waits](const caf::expected<schema_cache::shape>& shape) {
    if (!shape)
      return answer_row(waits->to, shape.error());
    auto key = check(**shape, waits->get.row);
    if (!key)
      return answer_row(waits->to, std::move(key.error()));
    waits->shape = *shape;
    waits->key = std::move(*key);
    look(waits);
  });
}

pending_operations buffer_engine::apply_pending(const lookup& row, row_image& image) const {
  const auto* db = find(row.key.row.db);
  return db ? db->apply(row.key, image) : pending_operations{};
}

uint64_t buffer_engine::generation_of(const row_key& row) const {
  const auto* db = find(row.db);
  return db ? db->generation(row.table) : 0;
}

// Pending operations can be applied to the row here if nothing but the operations themselves decides their effect.
// Otherwise the database must execute them first.
void buffer_engine::look(const lookup_ptr& row) {
  row_image unused;
  auto waiting = apply_pending(*row, unused);
  if (!waiting.certain)
    return continue_after_flush(row);
  const auto& key = row->key.row;
  if (waiting.wait)
    return parked_[key.db].push_back(row);
  row->generation = generation_of(key);
  auto request = read_of(key.db, query_of(key), row->get.agent);
  request.peer = row->get.peer;
  effects_.queries.push_back({next_lookup_, std::move(request)});
  lookups_.emplace(next_lookup_++, row);
}

void buffer_engine::row_read(uint64_t lookup_id, const caf::expected<read_result>& answer) {
  auto found = lookups_.extract(lookup_id);
  assert(found);
  const auto& row = found.mapped();
  if (answer)
    show(row, *answer);
  else
    answer_row(row->to, answer.error());
}

void buffer_engine::continue_after_flush(const lookup_ptr& row) {
  if (row->flushes++ >= max_flushes_per_lookup)
    return answer_row(row->to, row_is_busy("other operations on this table keep coming; their effect on the row cannot "
                                           "be foreseen"));
  const auto& key = row->key;
  // Operations on other tables may affect the row.
  flush(key.row.db, key.keeps_order ? std::string{} : key.row.table, [this, row](const flush_report& report) {
    if (report.kept > 0)
      return answer_row(
        row->to, row_is_busy("what waits for this table has to be written first, and could not be: " + report.reason));
    look(row);
  });
}

void buffer_engine::show(const lookup_ptr& row, const read_result& stored) {
  const auto& key = row->key.row;
  // Operations that were written meanwhile are no longer pending, and the answer may lack them.
  if (generation_of(key) != row->generation)
    return look(row);
  auto image = image_of(*stored.rows);
  auto waiting = apply_pending(*row, image);
  if (!waiting.certain || waiting.wait)
    return look(row);
  buffered_row result;
  result.found = image.found;
  result.pending = waiting.count;
  for (const auto& column : row->shape->columns()) {
    auto cell = image.columns.find(column.name);
    if (cell == image.columns.end())
      continue;
    auto content = cell->second.pending ? as_stored(column, cell->second.content) : cell->second.content;
    if (!content)
      return continue_after_flush(row);
    if (!is_utf8(column.name))
      return answer_row(row->to, make_error(errc::invalid_request, "the table '" + key.table
                                                                     + "' has a column whose name is not UTF-8; read "
                                                                       "the row with SELECT"));
    result.columns.push_back({column.name, std::move(*content)});
  }
  answer_row(row->to, std::move(result));
}

void buffer_engine::decide(const rejected_decision& decision, reply<uint64_t> done) {
  if (closing_)
    return answer_decision(done, shutting_down());
  if (decision.discard) {
    auto taken = store_.take(decision.ids);
    publish();
    return answer_decision(done, taken ? caf::expected<uint64_t>{taken->size()} : std::move(taken.error()));
  }
  auto rows = rows_to_put_again(decision.ids);
  if (!rows)
    return answer_decision(done, std::move(rows.error()));
  if (rows->empty())
    return answer_decision(done, uint64_t{0});
  std::vector<uint64_t> ids;
  std::set<std::pair<std::string, std::string>> tables;
  for (const auto& row : *rows) {
    ids.push_back(row.id);
    tables.emplace(row.operation.row.db, row.operation.row.table);
  }
  // When the schemas are known, the rest happens at once, so that a row is always either rejected or pending.
  auto to = std::make_shared<reply<uint64_t>>(std::move(done));
  auto left = std::make_shared<size_t>(tables.size());
  for (const auto& [db, table] : tables)
    with_shape(db, table, [this, ids, left, to](const caf::expected<schema_cache::shape>&) {
      if (--*left == 0)
        answer_decision(*to, closing_ ? caf::expected<uint64_t>{shutting_down()} : put_again(ids));
    });
}

// The rejected rows with these ids; without ids, as many as fit into the buffer.
caf::expected<std::vector<rejected_row>> buffer_engine::rows_to_put_again(const std::vector<uint64_t>& ids) {
  rejected_query all;
  all.limit = std::numeric_limits<int64_t>::max();
  auto page = store_.list(all);
  if (!page)
    return std::move(page.error());
  auto room = room_for_rejected();
  std::vector<rejected_row> result;
  for (auto& row : page->rows) {
    auto is_meant = ids.empty() ? result.size() < room : std::find(ids.begin(), ids.end(), row.id) != ids.end();
    // An unreadable row has no database.
    if (is_meant && !row.operation.row.db.empty())
      result.push_back(std::move(row));
  }
  auto lacks_room = result.empty() ? ids.empty() && !page->rows.empty() : result.size() > room;
  if (lacks_room)
    return make_error(errc::overloaded, "the write-behind buffer has no room for these rows");
  return result;
}

caf::expected<uint64_t> buffer_engine::put_again(const std::vector<uint64_t>& ids) {
  rejected_query all;
  all.limit = std::numeric_limits<int64_t>::max();
  auto page = store_.list(all);
  if (!page)
    return std::move(page.error());
  std::vector<uint64_t> possible;
  std::vector<checked_operation> operations;
  for (const auto& row : page->rows) {
    if (std::find(ids.begin(), ids.end(), row.id) == ids.end())
      continue;
    const auto& key = row.operation.row;
    if (is_quiet(key.db))
      return row_is_busy("the schema of " + key.db + " is being changed; try again");
    // A row that is still invalid stays rejected, with its reason.
    auto shape = shapes_.find(key.db, key.table);
    if (auto checked = shape ? check(*shape, row.operation) : caf::expected<checked_operation>{shutting_down()}) {
      possible.push_back(row.id);
      operations.push_back(std::move(*checked));
    }
  }
  if (operations.empty())
    return uint64_t{0};
  auto first = move_to_journal(possible, operations);
  if (!first)
    return first;
  for (size_t i = 0; i < operations.size(); ++i) {
    operations[i].seq = settings_.journal ? *first + i : 0;
    add(std::move(operations[i]));
  }
  pump_all();
  publish();
  arm();
  return uint64_t{possible.size()};
}

// Removes rows from the rejected ones. With a journal, moves them there, and answers with the place of the first.
caf::expected<uint64_t> buffer_engine::move_to_journal(const std::vector<uint64_t>& ids,
                                                       const std::vector<checked_operation>& operations) {
  if (!settings_.journal) {
    auto taken = store_.take(ids);
    return taken ? caf::expected<uint64_t>{uint64_t{0}} : std::move(taken.error());
  }
  std::vector<buffer_put> puts;
  for (const auto& operation : operations)
    puts.push_back(operation.put);
  return store_.requeue(ids, puts);
}

} // namespace sluice
