#include "runtime/store/file_registry.hpp"

#include "runtime/json/json.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/json/json_writer.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace sluice {

namespace {

using nlohmann::json;

// No database has this name: names in `.sluice/` are refused.
constexpr const char* audit_name = ".sluice/audit.db";

void append_identity(json_writer& to, const char* name, const file_identity& identity) {
  to.key(name).begin_object().key("device").number(identity.device).key("inode").number(identity.inode).end_object();
}

// Without a tree of JSON: a broker of a thousand databases may write all of their records at once.
void append_record(std::string& text, const std::string& db, const file_record& record) {
  text += dump(json(db));
  text += ':';
  json_writer to{text};
  to.begin_object();
  append_identity(to, "database", record.database);
  to.key("closed").boolean(record.closed).key("size").number(record.size);
  to.key("changed_ns").number(record.changed_ns);
  if (!record.head.empty())
    to.key("head").text(to_base64(record.head)).key("round").number(uint64_t{record.round});
  if (record.log) {
    to.key("log_size").number(record.log_size).key("log_changed_ns").number(record.log_changed_ns);
    append_identity(to, "log", *record.log);
    to.key("log_born_ns").number(record.log_born_ns);
  }
  to.end_object();
}

std::optional<file_record> from_json(const json& document) {
  try {
    file_record result;
    auto database = file_identity_from_json(document.at("database"));
    if (!database)
      return std::nullopt;
    result.database = *database;
    if (auto log = document.find("log"); log != document.end())
      if (auto identity = file_identity_from_json(*log))
        result.log = *identity;
    result.log_born_ns = document.value("log_born_ns", int64_t{0});
    result.closed = document.at("closed").get<bool>();
    result.size = document.at("size").get<uint64_t>();
    result.changed_ns = document.at("changed_ns").get<int64_t>();
    result.log_size = document.value("log_size", uint64_t{0});
    result.log_changed_ns = document.value("log_changed_ns", int64_t{0});
    result.head = from_base64(document.value("head", std::string{})).value_or("");
    result.round = document.value("round", uint32_t{0});
    return result;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

json to_json(const audit_end& end) { return {{"seq", end.seq}, {"hash", end.hash}}; }

std::optional<audit_end> end_from_json(const json& all, const char* name) {
  try {
    const auto& document = all.at(name);
    return audit_end{document.at("seq").get<uint64_t>(), document.at("hash").get<std::string>()};
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

} // namespace

bool has_log_of_another_file(const file_record& record, const std::filesystem::path& path) noexcept {
  auto now = identity_of(path);
  if (!now || *now == record.database || !record.log || record.log_born_ns == 0)
    return false;
  auto log = path;
  log += "-wal";
  // The system reuses the inode of a deleted file, but not its creation time.
  return identity_of(log) == record.log && birth_time_ns(log) == record.log_born_ns;
}

file_registry::file_registry(std::filesystem::path file) : file_(std::move(file)) {
  for (const auto& line : file_.read())
    if (!read(line)) {
      // A process was killed while it wrote this line, or the power was cut before the disk had it.
      file_.reject();
      return;
    }
}

bool file_registry::read(const std::string& line) {
  auto all = json::parse(line, nullptr, false);
  if (!all.is_object())
    return false;
  for (auto i = all.begin(); i != all.end(); ++i)
    if (i.key() == audit_name)
      read_audit_end(*i);
    else if (auto record = from_json(*i))
      records_[i.key()] = *record;
  return true;
}

void file_registry::read_audit_end(const json& document) {
  kept_end_ = end_from_json(document, "kept");
  noted_end_ = end_from_json(document, "noted");
  auto boot = document.find("boot");
  noted_boot_ = boot != document.end() && boot->is_string() ? boot->get<std::string>() : std::string{};
}

std::optional<file_record> file_registry::find(const std::string& db) const {
  std::lock_guard guard{mutex_};
  auto found = records_.find(db);
  return found == records_.end() ? std::nullopt : std::optional{found->second};
}

void file_registry::put(const std::string& db, const file_record& record) {
  std::unique_lock held{mutex_};
  auto [i, added] = records_.try_emplace(db, record);
  if (!added && i->second == record)
    return;
  i->second = record;
  unsaved_ += '{';
  append_record(unsaved_, db, record);
  unsaved_ += "}\n";
  save(held);
}

std::vector<std::string> file_registry::names() const {
  std::lock_guard guard{mutex_};
  std::vector<std::string> result;
  for (const auto& [db, record] : records_)
    result.push_back(db);
  return result;
}

std::optional<audit_end> file_registry::known_audit_end(std::string_view boot) const {
  std::lock_guard guard{mutex_};
  if (expected_end_)
    return expected_end_;
  return noted_end_ && !boot.empty() && boot == noted_boot_ ? noted_end_ : kept_end_;
}

void file_registry::expect_audit_end(const audit_end& end) {
  std::lock_guard guard{mutex_};
  expected_end_ = end;
}

void file_registry::note_audit_end(const audit_end& end, std::string_view boot) {
  std::unique_lock held{mutex_};
  expected_end_ = end;
  auto is_known = noted_end_ == end && noted_boot_ == boot;
  noted_end_ = end;
  noted_boot_ = boot;
  if (!is_known)
    save_audit_end(held);
}

void file_registry::keep_audit_end(const audit_end& end) {
  std::unique_lock held{mutex_};
  expected_end_ = end;
  auto had_note = std::exchange(noted_end_, std::nullopt).has_value();
  if (std::exchange(kept_end_, end) != end || had_note)
    save_audit_end(held);
}

void file_registry::save_audit_end(std::unique_lock<std::mutex>& held) {
  unsaved_ += '{';
  append_audit_end(unsaved_);
  unsaved_ += "}\n";
  save(held);
}

// Returns when the file contains all changes made before the call.
void file_registry::save(std::unique_lock<std::mutex>& held) {
  auto change = ++changes_;
  while (saved_changes_ < change) {
    if (saving_) {
      saved_.wait(held);
      continue;
    }
    saving_ = true;
    auto saves = changes_;
    auto lines = std::exchange(unsaved_, {});
    held.unlock();
    auto is_appended = file_.append(lines);
    held.lock();
    if (!is_appended) {
      saves = changes_;
      unsaved_.clear();
      auto text = as_text();
      held.unlock();
      file_.replace(text);
      held.lock();
    }
    saving_ = false;
    saved_changes_ = saves;
    saved_.notify_all();
  }
}

void file_registry::append_audit_end(std::string& to) const {
  auto end = json::object();
  if (kept_end_)
    end["kept"] = to_json(*kept_end_);
  if (noted_end_) {
    end["noted"] = to_json(*noted_end_);
    end["boot"] = noted_boot_;
  }
  to += dump(json(audit_name));
  to += ':';
  to += dump(end);
}

std::string file_registry::as_text() const {
  std::string text = "{";
  if (kept_end_ || noted_end_)
    append_audit_end(text);
  for (const auto& [db, record] : records_) {
    text += text.back() == '{' ? "" : ",";
    append_record(text, db, record);
  }
  return text + "}\n";
}

} // namespace sluice
