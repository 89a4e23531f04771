#include "runtime/lab/bench/pinned_log.hpp"

namespace sluice::bench {

namespace {

constexpr size_t bytes_of_megabyte = 1'000'000;

sqlite::connection open_filler(const std::filesystem::path& file) {
  sqlite::connection_options options;
  options.mode = sqlite::open_mode::read_write_create;
  auto db = must(sqlite::connection::open(file, options));
  must(db.exec("PRAGMA synchronous = OFF"));
  must(db.exec("CREATE TABLE IF NOT EXISTS filler (id INTEGER PRIMARY KEY, body BLOB NOT NULL)"));
  return db;
}

} // namespace

pinned_log::pinned_log(const std::filesystem::path& file, size_t megabytes)
  : log_(file.string() + "-wal"), megabytes_(megabytes), reader_(must(sqlite::connection::open(file, {}))),
    filler_(open_filler(file)) {
  refill();
}

bool pinned_log::has_room() const { return std::filesystem::file_size(log_) <= 2 * megabytes_ * bytes_of_megabyte; }

void pinned_log::refill() {
  if (reader_.in_transaction())
    must(reader_.exec("ROLLBACK"));
  must(filler_.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  if (std::filesystem::file_size(log_) != 0)
    throw std::runtime_error{"the write-ahead log cannot be emptied to begin a round"};
  must(reader_.exec("BEGIN"));
  must(reader_.exec("SELECT id FROM filler LIMIT 1"));
  // The same row again, so that the database does not grow.
  while (std::filesystem::file_size(log_) < megabytes_ * bytes_of_megabyte)
    must(filler_.exec("INSERT OR REPLACE INTO filler (id, body) VALUES (1, zeroblob(200000))"));
  sync_file(log_);
}

} // namespace sluice::bench
