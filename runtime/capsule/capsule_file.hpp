#pragma once

#include "runtime/capsule/capsule_clock.hpp"
#include "runtime/capsule/promotion.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// A row of issued capsules.
struct issued_capsule {
  std::string id;
  /// `capsule_hash` of the text.
  std::string hash;
  std::string text;
  int64_t expires_us = 0;
};

/// What a store keeps about capsules, in `.sluice/capsules.db` (0600): the lineage and the clock of the capsules, the
/// texts that it issued, the ids that it revoked, and the promotions. Opens the file in each call and blocks; safe from
/// any thread, and one process at a time writes: the leader.
class capsule_file {
public:
  explicit capsule_file(std::filesystem::path path) : path_(std::move(path)) {}

  struct content {
    /// 16 random bytes, made with the file: without the file its revocations would be lost, and its capsules with them.
    std::string lineage;
    capsule_clock::state clock;
    std::vector<std::string> revoked;
  };

  /// Nothing when there is no file. Errors as `open_own_database`.
  caf::expected<std::optional<content>> load() const;

  /// Makes the file with a new lineage, if there is none. Errors as `open_own_database`.
  caf::expected<content> load_or_make(const capsule_clock::state& time) const;

  /// These make the file if there is none, and are durable when they return.
  caf::expected<void> keep_time(const capsule_clock::state& time) const;
  /// Also forgets the texts of capsules that expired before `forget_before_us`.
  caf::expected<void> add_issued(const issued_capsule& row, const capsule_clock::state& time,
                                 int64_t forget_before_us) const;
  caf::expected<void> add_revoked(std::string_view id, const capsule_clock::state& time) const;
  /// False when this proof has been promoted before.
  caf::expected<bool> add_promotion(const promotion& row) const;

  /// The text of the capsule with this hash; nothing when it is not on record.
  caf::expected<std::optional<std::string>> find_text(std::string_view hash) const;

  /// The promotions with the highest numbers, at most `limit`, in ascending order.
  caf::expected<std::vector<promotion>> promotions(uint64_t limit) const;

private:
  std::filesystem::path path_;
};

} // namespace sluice
