#pragma once

#include "actors/buffer/table_schema.hpp"

#include <caf/expected.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

/// What is known of tables' schemas, and who waits for what is not known yet. Not synchronized.
class schema_cache {
public:
  using shape = std::shared_ptr<const table_schema>;
  using then = std::function<void(const caf::expected<shape>&)>;

  /// Null when the table is not known, or somebody waits for it already, who comes first.
  shape find(const std::string& db, const std::string& table) const;

  /// Calls `next` when the table is known. @returns whether the caller has to ask for it
  bool await(const std::string& db, const std::string& table, then next);

  /// The answer, to those who waited. @returns whether it is out of date already, and has to be asked for again
  bool put(const std::string& db, const std::string& table, caf::expected<table_schema> answer);

  /// The schema of the database may have changed.
  void forget(const std::string& db);

  /// How many wait.
  size_t waiting() const noexcept { return waiting_; }

private:
  struct entry {
    shape known;
    std::vector<then> waiting;
    bool outdated = false;
  };

  // By database and folded name.
  std::map<std::pair<std::string, std::string>, entry> entries_;
  size_t waiting_ = 0;
};

} // namespace sluice
