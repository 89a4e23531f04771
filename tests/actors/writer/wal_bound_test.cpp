#include "tests/support/read_fixture.hpp"
#include "tests/support/writer_fixture.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::wal_bound_test {

using namespace std::chrono_literals;

namespace {

struct reads : read_fixture {
  reads() : read_fixture(100, {}, 2) { add_readers(2); }

  void quiesce() {
    read_scheduler::effects out;
    scheduler.quiesce(context, 2s, {}, out);
    apply(std::move(out));
  }

  void resume() {
    read_scheduler::effects out;
    scheduler.resume(context, out);
    apply(std::move(out));
  }

  void expire() {
    read_scheduler::effects out;
    scheduler.expire(out);
    apply(std::move(out));
  }
};

cursors_actor::behavior_type cursors_stub(cursors_actor::pointer, std::vector<failure>* ended) {
  auto no_page = [](auto&) -> caf::result<cursor_page> { return make_error(errc::internal, "a stub has no pages"); };
  return {
    [no_page](open_cursor& x) { return no_page(x); },
    [no_page](next_page& x) { return no_page(x); },
    [](const close_cursor&) { return false; },
    [ended](end_cursors& x) { ended->push_back(std::move(x.why)); },
    [](page_done&) {},
    [](caf::tick_atom) {},
    [](drain_atom) {},
    [](running_atom) { return std::vector<running_request>{}; },
    [](caf::close_atom) { return caf::ok_atom_v; },
  };
}

struct fixture : writer_fixture {
  using writer_fixture::writer_fixture;

  void write_with_log_of(uint64_t bytes) {
    disk.log_bytes = bytes;
    write("a", "put t 1 x");
    run();
  }
};

} // namespace

TEST_CASE("no read starts in a quiesced database, and the end of the last running one is reported", "[log]") {
  reads b;
  b.submit("first", "first");
  b.submit("second", "second");
  b.quiesce();
  b.submit("third", "third");
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(b.quiesced.empty());
  b.finish(0, b.answer_of(1, {"t"}));
  CHECK(b.quiesced == std::vector{true});
  CHECK(b.running.empty());
  b.resume();
  REQUIRE(b.running.size() == 1);
  CHECK(b.running.at(0).request.request_id == "third");
  // No warning is repeated.
  b.time.advance(3s);
  b.expire();
  CHECK(b.quiesced.size() == 1);
}

TEST_CASE("a database without reads is quiet at once", "[log]") {
  reads b;
  b.quiesce();
  CHECK(b.quiesced == std::vector{true});
}

TEST_CASE("new reads wait for running ones no longer than allowed", "[log]") {
  reads b;
  b.submit("long", "long");
  b.quiesce();
  b.submit("waits", "waits");
  b.time.advance(1'999ms);
  b.expire();
  CHECK(b.running.size() == 1);
  b.time.advance(1ms);
  b.expire();
  CHECK(b.quiesced == std::vector{false});
  CHECK(b.running.size() == 2);
}

TEST_CASE("a writer that does not return keeps reads waiting no longer than allowed", "[log]") {
  reads b;
  b.quiesce();
  b.submit("waits", "waits");
  CHECK(b.running.empty());
  b.time.advance(2s);
  b.expire();
  CHECK(b.running.size() == 1);
}

TEST_CASE("a read that is given up while it runs counts until its reader has noticed", "[log]") {
  reads b;
  b.submit("long", "long");
  b.quiesce();
  read_scheduler::effects out;
  CHECK(b.scheduler.cancel("long", out));
  b.apply(std::move(out));
  CHECK(b.quiesced.empty());
  b.finish(0, make_error(errc::cancelled, "interrupted"));
  CHECK(b.quiesced == std::vector{true});
}

TEST_CASE("the WAL restarts at half of its bound, at a moment without reads", "[log]") {
  fixture f;
  f.write_with_log_of(f.settings.max_log_bytes / 2 - 1);
  CHECK(f.log.quiesces == 0);
  f.write_with_log_of(f.settings.max_log_bytes / 2);
  CHECK(f.log.quiesces == 1);
  CHECK(f.disk.checkpoints == std::vector{checkpoint_mode::truncate});
  CHECK(f.log.resumes == 1);
  f.write_with_log_of(1'000);
  CHECK(f.log.quiesces == 1);
}

TEST_CASE("a large file of a WAL that has restarted is truncated at the next checkpoint", "[log]") {
  fixture f;
  f.log.is_quiet = false;
  f.write_with_log_of(f.settings.max_log_bytes / 2);
  f.disk.wal_bytes = f.settings.checkpoint_wal_bytes - 1;
  f.write_with_log_of(f.settings.checkpoint_wal_bytes - 1);
  CHECK(f.disk.checkpoints.empty());
  for (auto i = 0; i < 2; ++i) {
    f.disk.wal_bytes = f.settings.checkpoint_wal_bytes;
    f.write_with_log_of(f.settings.checkpoint_wal_bytes);
  }
  CHECK(f.disk.checkpoints == std::vector{checkpoint_mode::truncate, checkpoint_mode::passive});
}

TEST_CASE("cursors are ended when the WAL passes its bound, and the next try follows soon", "[log]") {
  fixture f;
  std::vector<failure> ended;
  f.actors->set(f.sys.spawn(cursors_stub, &ended));
  f.disk.is_read = true;
  f.write_with_log_of(f.settings.max_log_bytes - 1);
  CHECK(f.log.quiesces == 1);
  CHECK(ended.empty());
  f.write_with_log_of(f.settings.max_log_bytes);
  CHECK(f.log.quiesces == 2);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].code == errc::unavailable);
  f.disk.is_read = false;
  f.time.advance(f.settings.quiesce_time);
  f.write_with_log_of(f.settings.max_log_bytes);
  CHECK(f.log.quiesces == 3);
  CHECK(f.disk.log_bytes == 0);
}

TEST_CASE("reads that take too long are not asked to end again at once", "[log]") {
  fixture f;
  f.log.is_quiet = false;
  f.disk.is_read = true;
  f.write_with_log_of(f.settings.max_log_bytes);
  CHECK(f.log.quiesces == 1);
  CHECK(f.log.resumes == 1);
  CHECK(f.disk.checkpoints.empty());
  f.write_with_log_of(f.settings.max_log_bytes);
  CHECK(f.log.quiesces == 1);
  f.time.advance(10 * f.settings.quiesce_time);
  f.write_with_log_of(f.settings.max_log_bytes);
  CHECK(f.log.quiesces == 2);
}

} // namespace sluice::test::wal_bound_test
