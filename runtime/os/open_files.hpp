#pragma once

#include "messages/error.hpp"

#include <caf/expected.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

/// The use of a database's files, shared by its connections. Thread-safe.
class file_use {
public:
  explicit file_use(std::string db) : db_(std::move(db)) {}
  file_use(const file_use&) = delete;
  file_use& operator=(const file_use&) = delete;

  const std::string& db() const noexcept { return db_; }

  /// A request begins to use the files: cancels a request to close them.
  void begin() noexcept;

  void set_in_use(bool in_use) noexcept { is_in_use_.store(in_use, std::memory_order_relaxed); }

  /// Whether to close the files now, although they have not been idle for long.
  bool is_to_be_closed() const noexcept { return asked_at_ms_.load(std::memory_order_relaxed) != 0; }

private:
  friend class open_files;

  const std::string db_;
  std::atomic<int64_t> last_use_ms_{0};
  // 0 before the first request.
  std::atomic<int64_t> asked_at_ms_{0};
  std::atomic<bool> is_in_use_{false};
  // Protected by the mutex of `open_files`.
  uint64_t connections_ = 0;
};

/// Limits the descriptors of all open databases of one broker. A database takes five with its first connection (file,
/// log, index, folder, claim) and two with each further one.
///
/// From three quarters of them on, and when less than an eighth of all descriptors of the process is free, it asks
/// unused databases to close, the least recently used first. Thread-safe.
class open_files : public std::enable_shared_from_this<open_files> {
public:
  /// The descriptors of the process; tests replace it.
  struct process {
    /// The limit of descriptors of the process (RLIMIT_NOFILE).
    std::function<uint64_t()> limit;
    /// The number that it may still open up to that limit; may be an underestimate.
    std::function<uint64_t(uint64_t limit)> free;
  };

  /// @param max_descriptors 0 means half of the limit of the process
  explicit open_files(uint64_t max_descriptors);
  open_files(uint64_t max_descriptors, process machine);

  /// Sets the function that closes the files of a database: `close` sends a message and returns. Called by any thread,
  /// without a lock held.
  /// @pre nothing is open
  void on_shortage(std::function<void(const std::string& db)> close) { close_ = std::move(close); }

  /// The descriptors of one connection, which its destructor returns. Used by the thread of the connection.
  class share {
  public:
    share() = default;
    share(share&& other) noexcept : of_(std::move(other.of_)), use_(std::move(other.use_)) {}
    share& operator=(share&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(use_, other.use_);
      return *this;
    }
    ~share() {
      if (of_)
        of_->give_back(*use_);
    }

  private:
    friend class open_files;
    share(std::shared_ptr<open_files> of, std::shared_ptr<file_use> use) : of_(std::move(of)), use_(std::move(use)) {}

    std::shared_ptr<open_files> of_;
    std::shared_ptr<file_use> use_;
  };

  /// Takes the descriptors for one more connection. `errc::busy` when there are none; other databases have then been
  /// asked to close, so that another try a moment later may succeed.
  caf::expected<share> open(const std::shared_ptr<file_use>& use);

  /// The error to report for a connection that could not be opened because of `error`: `error` itself, or, when that is
  /// an `io_error` and the process has fewer descriptors left than a database takes, `busy` as above, or `unavailable`
  /// when there is no database to close.
  caf::error explain(const file_use& use, caf::error error);

  /// The descriptors that the open databases use.
  uint64_t used() const;

private:
  void give_back(file_use& use) noexcept;
  uint64_t max(uint64_t limit) const noexcept;
  // Both with the lock held: asks databases to close until `descriptors` have been requested; returns the databases to
  // notify.
  std::vector<std::string> ask_to_close(uint64_t descriptors, const file_use& but, bool& will_be_closed);
  std::string shortage(const file_use& use) const;
  void request_close(const std::vector<std::string>& databases) const;

  const uint64_t max_descriptors_;
  const process machine_;
  std::function<void(const std::string&)> close_;
  mutable std::mutex mutex_;
  // Databases with connections, in the order in which they were opened.
  std::vector<file_use*> open_;
  uint64_t used_ = 0;
};

} // namespace sluice
