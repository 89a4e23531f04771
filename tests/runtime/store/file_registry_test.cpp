#include "runtime/store/file_registry.hpp"

#include "runtime/os/descriptor.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <sys/inotify.h>
#include <thread>
#include <vector>

namespace sluice::test::file_registry_test {

namespace {

// Counts how often a file in the folder was replaced.
class replacement_count {
public:
  explicit replacement_count(const std::filesystem::path& folder) : events_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    REQUIRE(inotify_add_watch(events_.get(), folder.c_str(), IN_MOVED_TO) >= 0);
  }

  size_t take() const {
    size_t result = 0;
    std::array<char, 65'536> bytes{};
    for (ssize_t size = 0; (size = read(events_.get(), bytes.data(), bytes.size())) > 0;)
      for (ssize_t at = 0; at < size; ++result)
        at +=
          static_cast<ssize_t>(sizeof(inotify_event) + reinterpret_cast<const inotify_event*>(bytes.data() + at)->len);
    return result;
  }

private:
  descriptor events_;
};

} // namespace

TEST_CASE("records that threads put at the same time are written together before each thread continues") {
  temp_dir folder;
  auto path = folder.path() / "files.json";
  file_registry aut{path};
  replacement_count written{folder.path()};
  constexpr uint64_t threads = 32;
  constexpr uint64_t puts = 10;
  std::atomic<uint64_t> found = 0;
  std::vector<std::thread> all;
  for (uint64_t i = 0; i < threads; ++i)
    all.emplace_back([&, i] {
      for (uint64_t j = 0; j < puts; ++j) {
        file_record record;
        record.database = {i, j};
        auto name = std::to_string(i) + ".db";
        aut.put(name, record);
        found += file_registry{path}.find(name) == record ? 1 : 0;
      }
    });
  for (auto& each : all)
    each.join();
  CHECK(found == threads * puts);
  CHECK(file_registry{path}.names().size() == threads);
  auto writes = written.take();
  CHECK(writes > 0);
  CHECK(writes < threads * puts);
}

} // namespace sluice::test::file_registry_test
