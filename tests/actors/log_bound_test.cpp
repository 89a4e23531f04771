#include "tests/support/read_bench.hpp"
#include "tests/support/writer_bench.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::log_bound_test {

using namespace std::chrono_literals;

namespace {

struct reads : read_bench {
  reads() : read_bench(100, {}, 2) { add_readers(2); }

  void quiesce() {
    read_scheduler::outcome out;
    scheduler.quiesce(slot, 2s, {}, out);
    follow(std::move(out));
  }

  void resume() {
    read_scheduler::outcome out;
    scheduler.resume(slot, out);
    follow(std::move(out));
  }

  void expire() {
    read_scheduler::outcome out;
    scheduler.expire(out);
    follow(std::move(out));
  }
};

struct bench : writer_bench {
  using writer_bench::writer_bench;

  void write_with_log_of(uint64_t bytes) {
    disk.log_bytes = bytes;
    write("a", "put t 1 x");
    run();
  }
};

} // namespace

TEST_CASE("no read starts in a database that is quiesced, and that none runs is told when the last has ended", "[log]") {
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
  // Nothing is told twice.
  b.time.advance(3s);
  b.expire();
  CHECK(b.quiesced.size() == 1);
}

TEST_CASE("a database that nobody reads is quiet at once", "[log]") {
  reads b;
  b.quiesce();
  CHECK(b.quiesced == std::vector{true});
}

TEST_CASE("reads wait no longer than allowed for those that run", "[log]") {
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

TEST_CASE("a writer that does not come back keeps reads waiting no longer than allowed", "[log]") {
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
  read_scheduler::outcome out;
  CHECK(b.scheduler.cancel("long", out));
  b.follow(std::move(out));
  CHECK(b.quiesced.empty());
  b.finish(0, make_error(errc::cancelled, "interrupted"));
  CHECK(b.quiesced == std::vector{true});
}

TEST_CASE("the log begins anew at half of its bound, in a moment without reads", "[log]") {
  bench f;
  f.write_with_log_of(f.settings.max_log_bytes / 2 - 1);
  CHECK(f.log.quiesces == 0);
  f.write_with_log_of(f.settings.max_log_bytes / 2);
  CHECK(f.log.quiesces == 1);
  CHECK(f.disk.checkpoints == std::vector{checkpoint_mode::truncate});
  CHECK(f.log.resumes == 1);
  f.write_with_log_of(1'000);
  CHECK(f.log.quiesces == 1);
}

TEST_CASE("reads that take too long are not asked to end again at once", "[log]") {
  bench f;
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

} // namespace sluice::test::log_bound_test
