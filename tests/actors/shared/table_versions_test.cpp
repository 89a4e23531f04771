#include "actors/shared/table_versions.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace sluice::test::table_versions_test {

namespace {

const std::vector<std::string> t_and_u{"t", "u"};
constexpr auto in_doubt = std::numeric_limits<uint64_t>::max();

} // namespace

TEST_CASE("a commit raises its tables above every version taken before it, and no other table") {
  table_versions v;
  auto before = v.now();
  const auto& t = v.changed_at("t");
  const auto& other = v.changed_at("other");
  CHECK(t.load() <= before);
  {
    commit_window window{v, t_and_u, false};
    window.committed(7);
  }
  CHECK(t.load() > before);
  CHECK(t.load() <= v.now());
  CHECK(other.load() <= before);
  CHECK(v.everything_changed_at().load() <= before);
  CHECK(v.last_commit() == 7);
}

TEST_CASE("during a COMMIT the stamps of its tables are in doubt, and the newest commit is not published yet") {
  table_versions v;
  commit_window window{v, t_and_u, false};
  CHECK(v.committing());
  CHECK(v.changed_at("t").load() == in_doubt);
  CHECK(v.changed_at("other").load() != in_doubt);
  window.committed(1);
  CHECK(v.last_commit() == 0);
  window.close();
  CHECK(!v.committing());
  CHECK(v.changed_at("t").load() == v.now());
  CHECK(v.last_commit() == 1);
}

TEST_CASE("a window without a known outcome still raises its stamps, but publishes no commit") {
  table_versions v;
  v.start_at(4);
  auto before = v.now();
  { commit_window window{v, t_and_u, true}; }
  CHECK(v.changed_at("u").load() > before);
  CHECK(v.everything_changed_at().load() > before);
  CHECK(v.last_commit() == 4);
}

TEST_CASE("closing a window twice counts once") {
  table_versions v;
  commit_window window{v, t_and_u, false};
  window.close();
  auto after = v.now();
  window.close();
  CHECK(v.now() == after);
}

TEST_CASE("names compare without the case of ASCII letters, and only of ASCII letters") {
  table_versions v;
  CHECK(&v.changed_at("Table_Z") == &v.changed_at("tABLE_z"));
  CHECK(&v.changed_at("\xc3\x84") != &v.changed_at("\xc3\xa4"));
  CHECK(&v.changed_at("[") != &v.changed_at("{"));
}

TEST_CASE("the address of a stamp is stable when more tables are added") {
  table_versions v;
  const auto* first = &v.changed_at("first");
  for (auto i = 0; i < 10'000; ++i)
    v.changed_at("t" + std::to_string(i));
  CHECK(first == &v.changed_at("first"));
}

TEST_CASE("raising everything never lowers a stamp that is in doubt") {
  table_versions v;
  auto before = v.now();
  v.raise_everything();
  CHECK(v.everything_changed_at().load() > before);
  CHECK(v.everything_changed_at().load() <= v.now());
  commit_window window{v, {}, true};
  v.raise_everything();
  CHECK(v.everything_changed_at().load() == in_doubt);
  window.close();
  CHECK(v.everything_changed_at().load() == v.now());
}

TEST_CASE("after two threads have raised everything, its stamp is above every version taken before the last raise") {
  table_versions v;
  auto commits = [&] {
    for (auto i = 1u; i <= 2'000; ++i) {
      commit_window window{v, t_and_u, i % 2 == 0};
      window.committed(i);
    }
  };
  std::thread writer{commits};
  for (auto i = 0; i < 2'000; ++i) {
    // A read that began here, outside any window, must not survive the raise.
    auto doubtful = v.committing();
    auto taken = v.now();
    v.raise_everything();
    auto stamp = v.everything_changed_at().load();
    if (!doubtful && stamp <= taken)
      FAIL("a stamp of " << stamp << " lets a read of version " << taken << " live");
  }
  writer.join();
  CHECK(v.everything_changed_at().load() <= v.now());
  CHECK(v.last_commit() == 2'000);
}

TEST_CASE("a commit concerns the cache if an answer from one of its tables was kept since the last one") {
  table_versions v;
  auto concerns = [&v](bool everything) {
    commit_window window{v, t_and_u, everything};
    window.close();
    return window.concerns_kept();
  };
  CHECK_FALSE(concerns(false));
  v.changed_at("other").note_kept();
  v.everything_changed_at().note_kept();
  CHECK_FALSE(concerns(false));
  v.changed_at("U").note_kept();
  CHECK(concerns(false));
  CHECK_FALSE(concerns(false));
  CHECK(concerns(true));
}

} // namespace sluice::test::table_versions_test
