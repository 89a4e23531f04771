#include "runtime/sqlite/writer/write_tracker.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice::sqlite {

namespace {

constexpr size_t max_remembered = 4'096;

} // namespace

write_tracker::write_tracker(const connection& db) : db_(db) {
  sqlite3_preupdate_hook(db.handle(), &write_tracker::on_change, this);
}

write_tracker::~write_tracker() { sqlite3_preupdate_hook(db_.handle(), nullptr, nullptr); }

void write_tracker::start() noexcept {
  noted_.clear();
  noted_before_.clear();
  last_noted_ = false;
  if (names_.size() < max_remembered && sets_.size() < max_remembered)
    return;
  last_name_.clear();
  id_by_name_.clear();
  names_.clear();
  sets_.clear();
  last_set_.clear();
  last_tables_.reset();
}

void write_tracker::on_change(void* self, sqlite3*, int, const char*, const char* table, long long,
                              long long) noexcept {
  auto& tracker = *static_cast<write_tracker*>(self);
  if (tracker.last_noted_ && std::strcmp(tracker.last_name_.c_str(), table) == 0)
    return;
  tracker.touch(table);
}

void write_tracker::touch(std::string_view table) {
  if (table.starts_with("_sluice_"))
    return;
  if (table == "sqlite_master")
    table = "sqlite_schema";
  if (last_name_ != table)
    last_name_ = table;
  last_noted_ = true;
  auto [found, added] = id_by_name_.try_emplace(last_name_, static_cast<uint32_t>(names_.size()));
  if (added)
    names_.push_back(last_name_);
  if (std::find(noted_.begin(), noted_.end(), found->second) == noted_.end())
    noted_.push_back(found->second);
}

void write_tracker::watch() {
  noted_before_ = std::exchange(noted_, {});
  last_noted_ = false;
}

std::vector<std::string> write_tracker::watched() {
  std::vector<std::string> result;
  for (auto id : noted_)
    result.push_back(names_[id]);
  for (auto id : std::exchange(noted_before_, {}))
    if (std::find(noted_.begin(), noted_.end(), id) == noted_.end())
      noted_.push_back(id);
  return result;
}

table_set write_tracker::touched() {
  if (noted_.empty())
    return nullptr;
  std::sort(noted_.begin(), noted_.end());
  if (noted_ == last_set_)
    return last_tables_;
  auto& tables = sets_[noted_];
  if (!tables) {
    std::vector<std::string> names;
    for (auto id : noted_)
      names.push_back(names_[id]);
    tables = std::make_shared<const std::vector<std::string>>(std::move(names));
  }
  last_set_ = noted_;
  last_tables_ = tables;
  return tables;
}

} // namespace sluice::sqlite
