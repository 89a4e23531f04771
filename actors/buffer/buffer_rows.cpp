// The part of the buffer actor that shows rows: those that wait, and those that were refused.

#include "actors/base/utf8_text.hpp"
#include "actors/buffer/buffer.hpp"
#include "actors/buffer/row_statement.hpp"

#include <algorithm>
#include <limits>

namespace sluice {

namespace {

// How often a row is asked for that needs everything written first, while others go on putting.
constexpr uint64_t flushes_at_most = 3;

caf::error busy(std::string why) { return make_error(errc::busy, std::move(why)); }

} // namespace

void buffer_state::get(buffer_get x, reply<buffered_row> to) {
  if (closing)
    return to.deliver(refusal());
  auto waits = std::make_shared<lookup>();
  auto db = x.row.db;
  auto table = x.row.table;
  waits->get = std::move(x);
  waits->to = std::move(to);
  with_shape(db, table, [this, waits](const caf::expected<schema_cache::shape>& shape) {
    if (!shape)
      return waits->to.deliver(caf::error{shape.error()});
    auto key = check(**shape, waits->get.row);
    if (!key)
      return waits->to.deliver(std::move(key.error()));
    waits->shape = *shape;
    waits->key = std::move(*key);
    look(waits);
  });
}

// What waits can be applied to the row here as long as nothing but the operations themselves decides what comes of it.
// Otherwise the database has to execute them first.
void buffer_state::look(const lookup_ptr& x) {
  row_image unused;
  auto pending = rows->apply(x->key, unused);
  if (!pending.certain)
    return look_after_flush(x);
  if (pending.wait)
    return parked[x->key.row.db].push_back(x);
  x->generation = rows->generation(x->key.row.db, x->key.row.table);
  auto request = read_of(x->key.row.db, query_of(x->key.row), x->get.agent);
  request.peer = x->get.peer;
  self->request(parts.actors->cache(), caf::infinite, std::move(request))
    .then([this, x](const read_result& stored) { show(x, stored); },
          [x](caf::error& why) { x->to.deliver(std::move(why)); });
}

void buffer_state::look_after_flush(const lookup_ptr& x) {
  if (x->flushes++ >= flushes_at_most)
    return x->to.deliver(
      busy("other operations on this table keep coming; their effect on the row cannot be foreseen"));
  flush_request all;
  all.db = x->key.row.db;
  // Other tables may have a say in it.
  all.table = x->key.keeps_order ? "" : x->key.row.table;
  flush(all, [this, x](const flush_report& report) {
    if (report.kept > 0)
      return x->to.deliver(
        busy("what waits for this table has to be written first, and could not be: " + report.reason));
    look(x);
  });
}

void buffer_state::show(const lookup_ptr& x, const read_result& stored) {
  const auto& row = x->key.row;
  // What was written meanwhile waits no more, and may be missing from the answer.
  if (rows->generation(row.db, row.table) != x->generation)
    return look(x);
  row_image image;
  const auto& columns = stored.rows->columns();
  image.found = stored.rows->size() > 0;
  for (size_t i = 0; image.found && i < columns.size(); ++i)
    image.columns[columns[i]] = {stored.rows->at(0, i), false};
  auto pending = rows->apply(x->key, image);
  if (!pending.certain || pending.wait)
    return look(x);
  buffered_row result;
  result.found = image.found;
  result.pending = pending.operations;
  for (const auto& column : x->shape->columns()) {
    auto cell = image.columns.find(column.name);
    if (cell == image.columns.end())
      continue;
    auto content = cell->second.pending ? as_stored(column, cell->second.content) : cell->second.content;
    if (!content)
      return look_after_flush(x);
    if (!is_utf8(column.name))
      return x->to.deliver(make_error(errc::invalid_request, "the table '" + row.table
                                                               + "' has a column whose name is not UTF-8; read the row "
                                                                 "with SELECT"));
    result.columns.push_back({column.name, std::move(*content)});
  }
  x->to.deliver(std::move(result));
}

void buffer_state::decide(const rejected_decision& x, reply<uint64_t> done) {
  auto to = std::make_shared<reply<uint64_t>>(std::move(done));
  if (closing)
    return to->deliver(refusal());
  if (x.discard) {
    auto taken = store->take(x.ids);
    publish();
    return taken ? to->deliver(taken->size()) : to->deliver(std::move(taken.error()));
  }
  rejected_query query;
  query.limit = std::numeric_limits<int64_t>::max();
  auto page = store->list(query);
  if (!page)
    return to->deliver(std::move(page.error()));
  std::vector<uint64_t> ids;
  auto tables = std::make_shared<std::set<std::pair<std::string, std::string>>>();
  for (const auto& row : page->rows) {
    auto is_meant = x.ids.empty() ? ids.size() < rows->room_for_rejected()
                                  : std::find(x.ids.begin(), x.ids.end(), row.id) != x.ids.end();
    // One that cannot be read says of no database.
    if (!is_meant || row.operation.row.db.empty())
      continue;
    ids.push_back(row.id);
    tables->emplace(row.operation.row.db, row.operation.row.table);
  }
  if (ids.empty() && page->rows.empty())
    return to->deliver(uint64_t{0});
  if (ids.empty() ? x.ids.empty() : ids.size() > rows->room_for_rejected())
    return to->deliver(make_error(errc::overloaded, "the write-behind buffer has no room for these rows"));
  if (ids.empty())
    return to->deliver(uint64_t{0});
  // With the schemas at hand the rest is done at once, so that a row is always either here or there.
  auto left = std::make_shared<size_t>(tables->size());
  for (const auto& [db, table] : std::set{*tables})
    with_shape(db, table, [this, ids, left, to](const caf::expected<schema_cache::shape>&) {
      if (--*left == 0)
        to->deliver(closing ? caf::expected<uint64_t>{refusal()} : take_back(ids));
    });
}

caf::expected<uint64_t> buffer_state::take_back(const std::vector<uint64_t>& ids) {
  rejected_query query;
  query.limit = std::numeric_limits<int64_t>::max();
  auto page = store->list(query);
  if (!page)
    return std::move(page.error());
  std::vector<uint64_t> possible;
  std::vector<checked_operation> again;
  for (const auto& x : page->rows) {
    if (std::find(ids.begin(), ids.end(), x.id) == ids.end())
      continue;
    if (quiet.count(x.operation.row.db) > 0)
      return busy("the schema of " + x.operation.row.db + " is being changed; try again");
    // One that is as impossible as before stays where it is, with what is wrong with it.
    auto shape = shapes.find(x.operation.row.db, x.operation.row.table);
    if (auto checked = shape ? check(*shape, x.operation) : caf::expected<checked_operation>{refusal()}) {
      possible.push_back(x.id);
      again.push_back(std::move(*checked));
    }
  }
  if (again.empty())
    return uint64_t{0};
  auto first = put_back(possible, again);
  if (!first)
    return first;
  for (size_t i = 0; i < again.size(); ++i) {
    again[i].seq = parts.journal ? *first + i : 0;
    rows->add(std::move(again[i]));
  }
  pump_all();
  publish();
  arm();
  return uint64_t{possible.size()};
}

caf::expected<uint64_t> buffer_state::put_back(const std::vector<uint64_t>& ids,
                                               const std::vector<checked_operation>& again) {
  if (!parts.journal) {
    auto taken = store->take(ids);
    return taken ? caf::expected<uint64_t>{uint64_t{0}} : std::move(taken.error());
  }
  std::vector<buffer_put> puts;
  for (const auto& x : again)
    puts.push_back(x.put);
  return store->requeue(ids, puts);
}

} // namespace sluice
