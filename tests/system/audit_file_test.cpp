#include "tests/system/fixture.hpp"

#include <filesystem>

namespace sluice::test::audit_file_test {

namespace {

namespace fs = std::filesystem;

uint64_t committed_in(const broker& host) {
  audit_query query;
  query.status = "committed";
  return must(host.audit(query)).records.size();
}

} // namespace

TEST_CASE("the audit of a broker that has just started lists the commits that only the ledger has", "[system]") {
  temp_dir folder;
  auto state = folder / "store/.sluice";
  fs::create_directory(folder / "store");
  constexpr int databases = 40;
  auto write_each = [&](const char* sql) {
    auto host = open_broker(folder / "store");
    for (int i = 0; i < databases; ++i)
      must(must(host.open_database(std::to_string(i) + ".db")).write("alice", sql_text{sql}));
  };
  write_each("CREATE TABLE t (n)");
  fs::copy(state, folder / "earlier", fs::copy_options::recursive);
  write_each("INSERT INTO t VALUES (1)");
  // The state after a kill before the audit was written.
  fs::remove_all(state);
  fs::copy(folder / "earlier", state, fs::copy_options::recursive);
  fs::permissions(state, fs::perms::owner_all);
  CHECK(committed_in(open_broker(folder / "store")) == 2 * databases);
}

} // namespace sluice::test::audit_file_test
