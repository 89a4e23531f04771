#include "runtime/store/file_registry.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

namespace sluice::test::file_registry_test {

namespace {

file_record record_of(uint64_t inode) {
  file_record result;
  result.database = {1, inode};
  result.head = std::string(100, 'h');
  return result;
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in{path};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void set_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream{path, std::ios::trunc} << text;
}

struct fixture {
  temp_dir folder;
  std::filesystem::path path = folder / "files.json";

  file_registry reopened() const { return file_registry{path}; }
};

} // namespace

TEST_CASE("records that threads put at the same time are written together before each thread continues") {
  fixture f;
  file_registry aut{f.path};
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
        found += f.reopened().find(name) == record ? 1 : 0;
      }
    });
  for (auto& each : all)
    each.join();
  CHECK(found == threads * puts);
  CHECK(f.reopened().names().size() == threads);
}

TEST_CASE("a change of one database writes as much as itself, however many there are") {
  fixture f;
  file_registry aut{f.path};
  for (uint64_t i = 0; i < 1'000; ++i)
    aut.put(std::to_string(i) + ".db", record_of(i));
  auto size = std::filesystem::file_size(f.path);
  auto file = identity_of(f.path);
  aut.put("500.db", record_of(5'000));
  CHECK(identity_of(f.path) == file);
  aut.note_audit_end({7, "hash"}, "boot");
  CHECK(identity_of(f.path) == file);
  CHECK(std::filesystem::file_size(f.path) - size < 1'000);
  CHECK(f.reopened().find("500.db") == record_of(5'000));
  CHECK(f.reopened().find("501.db") == record_of(501));
  CHECK(f.reopened().known_audit_end("boot") == audit_end{7, "hash"});
}

TEST_CASE("the file is written anew once for as many changes as it has records, and stays within twice its size") {
  fixture f;
  file_registry aut{f.path};
  constexpr uint64_t databases = 200;
  for (uint64_t i = 0; i < databases; ++i)
    aut.put(std::to_string(i) + ".db", record_of(i));
  auto file = identity_of(f.path);
  size_t replacements = 0;
  uint64_t largest = 0;
  for (uint64_t i = 0; i < 10 * databases; ++i) {
    aut.put(std::to_string(i % databases) + ".db", record_of(10'000 + i));
    // The new file exists beside the former one, so it has another inode.
    replacements += std::exchange(file, identity_of(f.path)) != file ? 1 : 0;
    largest = std::max(largest, std::filesystem::file_size(f.path));
  }
  CHECK(replacements >= 9);
  CHECK(replacements <= 11);
  auto last = text_of(f.path);
  CHECK(largest <= 2 * (last.find('\n') + 1));
  CHECK(f.reopened().names().size() == databases);
}

TEST_CASE("a file that was cut at any byte has the state of an earlier moment, and takes further changes") {
  fixture f;
  // The states after each change, by the size of the file then.
  std::map<size_t, std::vector<std::optional<uint64_t>>> states;
  auto state_of = [&](const file_registry& registry) {
    std::vector<std::optional<uint64_t>> result;
    for (const auto* db : {"a.db", "b.db", "c.db"}) {
      auto record = registry.find(db);
      result.push_back(record ? std::optional{record->database.inode} : std::nullopt);
    }
    auto end = registry.known_audit_end("boot");
    result.push_back(end ? std::optional{end->seq} : std::nullopt);
    return result;
  };
  states[0] = state_of(f.reopened());
  {
    file_registry aut{f.path};
    auto note = [&] { states[std::filesystem::file_size(f.path)] = state_of(aut); };
    aut.put("a.db", record_of(1));
    note();
    aut.put("b.db", record_of(2));
    note();
    aut.put("a.db", record_of(3));
    note();
    aut.note_audit_end({5, "five"}, "boot");
    note();
    aut.put("c.db", record_of(4));
    note();
    aut.keep_audit_end({6, "six"});
    note();
  }
  REQUIRE(states.size() == 7);
  auto whole = text_of(f.path);
  REQUIRE(states.rbegin()->first == whole.size());
  for (size_t size = 0; size <= whole.size(); ++size) {
    set_text(f.path, whole.substr(0, size));
    // The line feed alone may be missing.
    auto expected = std::prev(states.upper_bound(size + 1))->second;
    if (auto complete = states.find(size + 1); complete == states.end())
      expected = std::prev(states.upper_bound(size))->second;
    INFO(size);
    CHECK(state_of(f.reopened()) == expected);
    f.reopened().put("new.db", record_of(9));
    CHECK(state_of(f.reopened()) == expected);
    CHECK(f.reopened().find("new.db") == record_of(9));
  }
}

TEST_CASE("lines behind one that cannot be read are ignored, and removed by the next change") {
  fixture f;
  {
    file_registry aut{f.path};
    for (uint64_t i = 1; i <= 3; ++i)
      aut.put(std::to_string(i) + ".db", record_of(i));
  }
  // A power cut may leave zeros where the second of the lines was.
  auto text = text_of(f.path);
  auto second = text.find('\n') + 1;
  text.replace(second, 8, 8, '\0');
  set_text(f.path, text);
  CHECK(f.reopened().names() == std::vector<std::string>{"1.db"});
  f.reopened().put("4.db", record_of(4));
  CHECK(f.reopened().names() == std::vector<std::string>{"1.db", "4.db"});
}

TEST_CASE("the one line in the file of an earlier version is read and continued") {
  fixture f;
  set_text(f.path, R"({".sluice/audit.db":{"boot":"b","kept":{"hash":"k","seq":4},"noted":{"hash":"n","seq":6}},)"
                   R"("app.db":{"database":{"device":1,"inode":2},"closed":true,"size":3,"changed_ns":4}})"
                   "\n");
  CHECK(f.reopened().find("app.db")->size == 3);
  CHECK(f.reopened().known_audit_end("b") == audit_end{6, "n"});
  CHECK(f.reopened().known_audit_end("another") == audit_end{4, "k"});
  f.reopened().put("new.db", record_of(9));
  CHECK(f.reopened().names() == std::vector<std::string>{"app.db", "new.db"});
  f.reopened().keep_audit_end({7, "l"});
  CHECK(f.reopened().known_audit_end("b") == audit_end{7, "l"});
}

} // namespace sluice::test::file_registry_test
