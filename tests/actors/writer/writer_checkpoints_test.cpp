#include "tests/support/writer_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::writer_checkpoints_test {

using namespace std::chrono_literals;

namespace {

struct fixture : writer_fixture {
  using writer_fixture::writer_fixture;

  void write_with_log_of(uint64_t bytes) {
    disk.wal_bytes = bytes;
    write("a", "put t 1 x");
    run();
  }

  uint64_t counted() const { return context.status(time).checkpoints; }
};

} // namespace

TEST_CASE("checkpoints of a grown WAL and of an idle database are counted") {
  fixture f;
  f.write_with_log_of(f.settings.checkpoint_wal_bytes - 1);
  CHECK(f.counted() == 0);
  f.write_with_log_of(f.settings.checkpoint_wal_bytes);
  CHECK(f.counted() == 1);
  // The first check finds another group than the one that scheduled it.
  f.advance(1s);
  f.advance(1s);
  CHECK(f.counted() == 2);
  CHECK(f.disk.checkpoints == std::vector{checkpoint_mode::passive, checkpoint_mode::truncate});
}

TEST_CASE("a checkpoint that fails is not counted, and the next one is") {
  fixture f;
  f.disk.checkpoint_errors = {errc::io_error, errc::disk_full};
  f.write_with_log_of(f.settings.checkpoint_wal_bytes);
  CHECK(f.counted() == 0);
  f.advance(1s);
  CHECK(f.disk.checkpoint_errors.empty());
  CHECK(f.counted() == 0);
  f.write_with_log_of(f.settings.checkpoint_wal_bytes);
  CHECK(f.counted() == 1);
}

TEST_CASE("no checkpoint is counted for a database whose file is not open") {
  fixture f;
  auto closed = f.ask<caf::ok_atom>(f.aut, caf::close_atom_v);
  f.run();
  CHECK(closed->has_value());
  CHECK(f.counted() == 0);
}

TEST_CASE("a WAL that another program pins is checkpointed again when it has grown as much, and not at each commit") {
  fixture f;
  auto bytes = f.settings.checkpoint_wal_bytes;
  auto write_with_wal_of = [&](uint64_t wal) {
    f.write_with_log_of(wal);
    return f.disk.checkpoints.size();
  };
  f.disk.pinned_wal_bytes = UINT64_MAX;
  CHECK(write_with_wal_of(bytes) == 1);
  CHECK(write_with_wal_of(bytes + 1) == 1);
  CHECK(write_with_wal_of(2 * bytes - 1) == 1);
  CHECK(write_with_wal_of(2 * bytes) == 2);
  // Its reader has ended, and another connection has emptied the log.
  f.disk.pinned_wal_bytes = 0;
  CHECK(write_with_wal_of(0) == 2);
  CHECK(write_with_wal_of(bytes) == 3);
  CHECK(write_with_wal_of(bytes) == 4);
}

} // namespace sluice::test::writer_checkpoints_test
