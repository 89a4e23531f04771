#include "runtime/doctor/repair.hpp"

#include "runtime/sqlite/audit/audit_mending.hpp"
#include "runtime/sqlite/files/damaged_files.hpp"
#include "runtime/sqlite/writer/write_store.hpp"
#include "tests/runtime/sqlite/writer/store_fixture.hpp"
#include "tests/support/fake_clock.hpp"

#include <algorithm>
#include <fstream>

namespace sluice::test::repair_test {

namespace {

store_root with_folder(store_root root) {
  must(root.make_folder());
  return root;
}

// A store with a database of one commit, which the audit has, and without a broker.
struct fixture {
  temp_dir folder;
  store_root root = with_folder(must(store_root::open(folder.path())));
  broker_config config;
  fake_clock time;

  fixture() {
    auto writes = sqlite::make_write_store(root.path_of("app.db"), config);
    auto begun = must(writes->begin());
    auto request = request_of("CREATE TABLE t (n)");
    must(writes->execute(request, no_deadline));
    must(commit_of(*writes, begun, request));
    auto store = open_audit();
    auto missing = must(store->compare("app.db")).missing;
    must(store->append(missing));
  }

  std::unique_ptr<audit_store> open_audit() {
    auto registry = std::make_shared<file_registry>(root.folder() / "files.json");
    return must(sqlite::open_mended_audit_store(root, config, time, registry, [](const std::string&) {}));
  }

  void damage_audit() {
    std::fstream file{root.audit_path(), std::ios::in | std::ios::out | std::ios::binary};
    file << std::string(4'096, 'x');
  }

  // The names of files of which the audit has a gap.
  std::vector<std::string> gaps() {
    audit_query query;
    query.limit = 10'000;
    std::vector<std::string> result;
    for (const auto& record : must(open_audit()->list(query)).records)
      if (record.type == request_type::audit_gap)
        result.push_back(record.key);
    return result;
  }

  std::vector<std::string> files_with(const std::string& part) const {
    std::vector<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator{root.folder()})
      if (auto name = entry.path().filename().string(); name.find(part) != std::string::npos)
        result.push_back(name);
    return result;
  }
};

} // namespace

TEST_CASE("a repair records a damaged audit file under the name that the file has afterwards", "[doctor]") {
  fixture f;
  f.damage_audit();
  for (const auto& action : doctor::repair_store(f.root, f.time))
    CHECK_FALSE(action.failed);
  CHECK(f.files_with(".damaged-").empty());
  auto kept = f.files_with(".kept-");
  REQUIRE(kept.size() == 1);
  CHECK(f.gaps() == kept);
}

TEST_CASE("a repair names its own damaged audit file when it acknowledges an older one as well", "[doctor]") {
  fixture f;
  // Both would have the same name once they are acknowledged.
  auto older = must(sqlite::move_damaged_file(f.root.audit_path(), wall_us(f.time)));
  std::filesystem::copy_file(f.root.folder() / older, f.root.audit_path());
  f.damage_audit();
  std::filesystem::copy_file(f.root.audit_path(), f.root.folder() / sqlite::acknowledged_name(f.root.folder() / older));
  doctor::repair_store(f.root, f.time);
  CHECK(f.files_with(".damaged-").empty());
  auto gaps = f.gaps();
  REQUIRE(gaps.size() == 1);
  std::string head(16, '\0');
  std::ifstream{f.root.folder() / gaps[0], std::ios::binary}.read(head.data(), 16);
  CHECK(head == std::string(16, 'x'));
}

TEST_CASE("a repair reports a new audit file only when that file exists", "[doctor]") {
  fixture f;
  std::filesystem::remove(f.root.audit_path());
  // SQLite cannot create a database without its journal.
  std::filesystem::create_directory(f.root.audit_path().string() + "-journal");
  auto actions = doctor::repair_store(f.root, f.time);
  CHECK(std::any_of(actions.begin(), actions.end(),
                    [](const auto& action) { return action.failed && action.subject == ".sluice/audit.db"; }));
  for (const auto& action : actions)
    CHECK(action.text.find("begun") == std::string::npos);
}

} // namespace sluice::test::repair_test
