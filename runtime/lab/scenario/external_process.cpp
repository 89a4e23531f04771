#include "runtime/lab/scenario/external_process.hpp"

#include "messages/error.hpp"
#include "runtime/lab/scenario/file_events.hpp"
#include "runtime/lab/scenario/line_link.hpp"

#include <chrono>
#include <functional>
#include <unistd.h>
#include <utility>

namespace sluice::scenario {

namespace {

using nlohmann::json;

// SQLite's own wait is at most half a second.
constexpr int lock_attempts = 60;

caf::expected<void> try_for_long(const std::function<caf::expected<void>()>& act) {
  for (int i = 1;; ++i) {
    auto done = act();
    if (done || code_of(done.error()) != errc::busy || i == lock_attempts)
      return done;
  }
}

} // namespace

std::optional<setup_error> make_databases(const setup& wanted,
                                          const std::function<caf::expected<json>(const json&)>& execute) {
  for (const auto& [db, statements] : wanted.databases) {
    // Executed even without statements, so that the file exists.
    if (auto made = execute({{"do", "execute"}, {"db", db}, {"sql", json::array()}}); !made)
      return setup_error{std::move(made.error()), {}};
    for (const auto& [sql, at] : statements)
      if (auto done = execute({{"do", "execute"}, {"db", db}, {"sql", {sql}}}); !done)
        return setup_error{std::move(done.error()), at};
  }
  return std::nullopt;
}

caf::expected<json> external_process::execute(const json& command) {
  auto action = command.value("do", "");
  auto db = command.value("db", "");
  if (action == "execute")
    return execute(db, command.at("sql"));
  if (action == "lock")
    return lock(db);
  if (action == "unlock")
    return unlock(db);
  return change_files(root_, command);
}

caf::expected<sqlite::connection> external_process::open(const std::string& db) const {
  sqlite::connection_options options;
  options.mode = sqlite::open_mode::read_write_create;
  return sqlite::connection::open(root_ / db, options);
}

caf::expected<json> external_process::execute(const std::string& db, const json& statements) const {
  std::error_code failed;
  std::filesystem::create_directories((root_ / db).parent_path(), failed);
  auto opened = open(db);
  if (!opened)
    return std::move(opened.error());
  for (const auto& sql : statements) {
    auto text = sql.get<std::string>();
    if (auto done = try_for_long([&] { return opened->exec(text.c_str()); }); !done) {
      auto error = describe(done.error());
      error.message = db + ": " + error.message + " in: " + text;
      return make_error(std::move(error));
    }
  }
  return json::object();
}

caf::expected<json> external_process::lock(const std::string& db) {
  if (locked_.contains(db))
    return make_error(errc::invalid_request, db + " is locked already");
  auto opened = open(db);
  if (!opened)
    return std::move(opened.error());
  if (auto done = try_for_long([&] { return opened->exec("BEGIN IMMEDIATE"); }); !done)
    return std::move(done.error());
  locked_.emplace(db, std::move(*opened));
  return json::object();
}

caf::expected<json> external_process::unlock(const std::string& db) {
  // A lock with a time limit may have ended already.
  auto found = locked_.find(db);
  if (found == locked_.end())
    return json::object();
  auto done = found->second.exec("ROLLBACK");
  locked_.erase(found);
  if (!done)
    return std::move(done.error());
  return json::object();
}

void run_external_process(const std::filesystem::path& root) {
  line_link controller{descriptor{dup(STDIN_FILENO)}, descriptor{dup(STDOUT_FILENO)}};
  external_process self{root};
  while (auto command = controller.receive(no_limit))
    if (!controller.send(answer_document(self.execute(*command))))
      return;
}

} // namespace sluice::scenario
