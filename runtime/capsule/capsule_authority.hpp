#pragma once

#include "runtime/capsule/capsule.hpp"
#include "runtime/capsule/capsule_clock.hpp"
#include "runtime/capsule/capsule_file.hpp"
#include "runtime/store/store_root.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace sluice {

/// A capsule of this store whose signature was checked.
struct verified_capsule {
  capsule content;
  /// `capsule_hash` of its text.
  std::string hash;
};

/// What a new capsule is to grant.
struct capsule_wish {
  /// A name or a pattern.
  std::string agent;
  sluice::tier tier = sluice::tier::untrusted;
  std::vector<std::string> scopes;
  std::chrono::milliseconds lifetime{0};
  /// The text of the capsule that it is derived from; empty for none.
  std::string parent;
};

/// The identity of a store, as far as capsules and proofs depend on it.
struct capsule_issuer {
  signing_key key;
  /// 16 bytes: a hash of the key, of the lineage in `capsules.db` and of the inode of the folder, so that neither a
  /// copy of the folder nor a store whose file of capsules was lost is the same.
  std::string store;
};

/// Issues, verifies and revokes the capsules of one store. Thread-safe. Functions that block read and write files in
/// `.sluice/`; what they change is durable when they return.
class capsule_authority {
public:
  /// `time` outlives this. @pre the caller leads the store
  capsule_authority(const store_root& root, const clock& time);

  /// The error when a wish cannot be granted by any store: `errc::invalid_request` naming the field.
  static caf::error check(const capsule_wish& wish);

  /// Issues a capsule under the policy with the hash `policy` (32 bytes), which has permitted it. `capsule_invalid`
  /// when the parent is not valid under that policy, or narrower than the wish; errors as `check`, and of the files.
  /// Blocks.
  caf::expected<issued_capsule> issue(const capsule_wish& wish, const std::string& policy);

  /// The capsule with this text if it is one of this store, has not expired, was not revoked and belongs to the policy
  /// with the hash `policy`. `errc::capsule_invalid` names the check that failed: `form`, `store`, `signature`,
  /// `expired`, `revoked` or `policy`. Reads files only in the first call.
  caf::expected<std::shared_ptr<const verified_capsule>> verify(std::string_view text, std::string_view policy);

  /// Revokes the capsule with this text, and all that are derived from it; also one that has expired. Errors as
  /// `verify` for form, store and signature. Blocks.
  caf::expected<std::shared_ptr<const verified_capsule>> revoke(std::string_view text);

  /// Whether a capsule or one that it is derived from was revoked.
  caf::expected<bool> is_revoked(const capsule& content);

  /// Microseconds by the clock of capsules.
  caf::expected<int64_t> now_us();

  /// Whether the file has not been told for a minute how far the clock is.
  bool should_keep_time();

  /// Writes the time into the file, if a capsule was ever issued. Blocks.
  void keep_time();

  /// The identity of the store; makes the key and the file if they are missing. Blocks.
  caf::expected<std::shared_ptr<const capsule_issuer>> issuer();

  const capsule_file& file() const noexcept { return file_; }

private:
  // What is in memory, once the files have been read.
  struct memory {
    std::shared_ptr<const capsule_issuer> issuer;
    capsule_clock clock;
    std::unordered_set<std::string> revoked;
    std::unordered_map<std::string, std::shared_ptr<const verified_capsule>> known{};
    int64_t kept_us = 0;
  };

  // With the mutex held. Null if the store has no capsules.
  caf::expected<memory*> load();
  caf::expected<memory*> load_or_make();
  memory& begin(signing_key key, const capsule_file::content& kept);
  static bool is_revoked(const memory& in, const capsule& content);
  static caf::expected<std::shared_ptr<const verified_capsule>> look_up(memory& in, std::string_view text);
  static caf::expected<std::shared_ptr<const verified_capsule>> check(memory& in, std::string_view text,
                                                                      std::string_view policy);

  const std::filesystem::path key_path_;
  const uint64_t inode_;
  const clock& time_;
  const capsule_file file_;
  // Held while the file is changed; taken before `mutex_`, which is only held for short.
  std::mutex changes_;
  std::mutex mutex_;
  std::optional<memory> memory_;
};

} // namespace sluice
