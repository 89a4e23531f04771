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

/// The cached schemas of tables, and the operations that wait for schemas that are not known yet. Not synchronized.
class schema_cache {
public:
  using shape = std::shared_ptr<const table_schema>;
  using then = std::function<void(const caf::expected<shape>&)>;

  /// Null when the schema is unknown, or when earlier operations still wait for it.
  shape find(const std::string& db, const std::string& table) const;

  /// Calls `next` when the schema is known. @returns whether the caller must query it
  bool await(const std::string& db, const std::string& table, then next);

  /// Passes the answer to those that waited. @returns whether it is out of date already and must be queried again
  bool put(const std::string& db, const std::string& table, caf::expected<table_schema> answer);

  /// The schema of the database may have changed.
  void forget(const std::string& db);

  /// The number of waiting operations.
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
