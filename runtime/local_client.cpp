#include "runtime/client.hpp"
#include "runtime/sqlite/ledger.hpp"

#include <algorithm>
#include <unistd.h>

namespace sluice {

namespace {

class local_client final : public client {
public:
  explicit local_client(broker leader) : broker_(std::move(leader)) {}

  caf::expected<write_result> write(write_request request) override {
    auto db = broker_.open_database(request.db);
    return db ? db->write(std::move(request)) : std::move(db.error());
  }

  caf::expected<read_result> read(read_request request) override {
    auto db = broker_.open_database(request.db);
    return db ? db->read(std::move(request)) : std::move(db.error());
  }

  caf::expected<audit_page> audit(const audit_query& query) override { return broker_.audit(query); }

  caf::expected<audit_verdict> verify_audit() override { return broker_.verify_audit(); }

  caf::expected<store_status> status() override {
    store_status x;
    x.broker = broker_.status();
    x.files = find_database_files(x.broker.root);
    x.leader_pid = getpid();
    x.in_process = true;
    for (const auto& file : x.files)
      add_unopened(x, file.name);
    for (const auto& db : x.broker.databases)
      add_unlisted(x, db.name);
    return x;
  }

private:
  // A database that nobody has asked for in this process has no counters; its file still tells its newest commit.
  static void add_unopened(store_status& x, const std::string& name) {
    auto is_it = [&](const database_status& db) { return db.name == name; };
    if (std::any_of(x.broker.databases.begin(), x.broker.databases.end(), is_it))
      return;
    database_status db;
    db.name = name;
    if (auto seq = sqlite::last_commit_seq(std::filesystem::path{x.broker.root} / name))
      db.last_commit_seq = *seq;
    x.broker.databases.push_back(std::move(db));
  }

  // A database in a subfolder, or under another ending.
  static void add_unlisted(store_status& x, const std::string& name) {
    auto is_it = [&](const database_file& file) { return file.name == name; };
    if (std::none_of(x.files.begin(), x.files.end(), is_it))
      x.files.push_back(measure_database_file(x.broker.root, name));
  }

  broker broker_;
};

// The broker's own files are no databases of a store of their own.
bool lies_in_broker_folder(const std::filesystem::path& root) {
  std::error_code unreadable;
  auto path = std::filesystem::weakly_canonical(root, unreadable);
  return std::find(path.begin(), path.end(), ".sluice") != path.end();
}

} // namespace

caf::expected<std::unique_ptr<client>> open_client(const std::filesystem::path& root) {
  if (lies_in_broker_folder(root))
    return make_error(errc::invalid_request, "the folder lies in .sluice/, which belongs to the broker");
  auto config = load_config(root);
  if (!config)
    return std::move(config.error());
  auto leader = broker::open(std::move(*config));
  if (!leader)
    return std::move(leader.error());
  return std::unique_ptr<client>{std::make_unique<local_client>(std::move(*leader))};
}

} // namespace sluice
