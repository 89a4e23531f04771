#include "runtime/client/read_only_client.hpp"

#include "actors/base/utf8_text.hpp"
#include "runtime/broker/request_check.hpp"
#include "runtime/broker/retry.hpp"
#include "runtime/json/json.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/methods.hpp"
#include "runtime/sqlite/reader/cursor_store.hpp"
#include "runtime/sqlite/reader/read_store.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <limits>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace sluice {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

caf::error read_only_error() {
  return make_error(errc::read_only, "this process has no permission to write in the folder of the store, so it can "
                                     "only read: use another folder, or run as a user who may write in this one");
}

// Where nobody may write, no broker can help.
bool is_on_read_only_disk(const store_root& root) { return access(root.path().c_str(), W_OK) != 0 && errno == EROFS; }

// A change that does not come through a broker.
caf::error refuse_change(const store_root& root) {
  if (is_on_read_only_disk(root))
    return read_only_error();
  return make_error(errc::route_required, "this process may only read the folder of the store, and no broker leads it; "
                                          "changes go through a broker of a user who may write there: sluice serve");
}

// The maximum number of reads with a future, each of which has a thread.
constexpr size_t max_async_reads = 64;

// Tokens have no callback, so a read that waits polls them.
constexpr milliseconds cancel_poll{10};

template <class Result> std::future<caf::expected<Result>> ready(caf::expected<Result> result) {
  std::promise<caf::expected<Result>> answer;
  answer.set_value(std::move(result));
  return answer.get_future();
}

uint64_t bounded(uint64_t requested, uint64_t maximum) {
  return requested == 0 ? maximum : std::min(requested, maximum);
}

retry_policy retry_until(milliseconds timeout) {
  return {.attempts = std::numeric_limits<uint64_t>::max(), .deadline = timeout};
}

// No other request waits for it, so only its pages are bounded.
class direct_cursor final : public cursor {
public:
  direct_cursor(std::unique_ptr<cursor_store> store, read_limits limits, cancel_token cancel)
    : store_(std::move(store)), limits_(limits), cancel_(std::move(cancel)) {}

  caf::error find_first() {
    auto page = retry(retry_until(limits_.timeout), [this] { return store_->next(limits_, cancel_); });
    if (!page)
      return std::move(page.error());
    first_ = std::move(*page);
    return {};
  }

  caf::expected<cursor_page> next() override {
    auto page =
      first_ ? caf::expected<cursor_rows>{*std::exchange(first_, std::nullopt)} : store_->next(limits_, cancel_);
    if (!page)
      return std::move(page.error());
    return cursor_page{0, std::move(page->rows), page->is_last, 0};
  }

private:
  std::unique_ptr<cursor_store> store_;
  read_limits limits_;
  cancel_token cancel_;
  std::optional<cursor_rows> first_;
};

class read_only_client final : public client {
public:
  read_only_client(store_root root, broker_config config, std::function<void(std::string_view)> warn)
    : root_(std::move(root)), config_(std::move(config)), warn_(std::move(warn)) {}

  ~read_only_client() override {
    close();
    for (auto& read : async_reads_)
      read.thread.join();
  }
  read_only_client(const read_only_client&) = delete;
  read_only_client& operator=(const read_only_client&) = delete;

  caf::expected<write_result> write(write_request) override { return refuse_change(root_); }

  caf::expected<read_result> read(read_request request) override {
    auto name = admit(request);
    return name ? run(*name, std::move(request)) : std::move(name.error());
  }

  caf::expected<std::unique_ptr<cursor>> open_cursor(read_request request) override {
    auto name = admit(request);
    if (!name)
      return std::move(name.error());
    auto& limits = request.limits;
    limits.max_rows = bounded(limits.max_rows, max_cursor_page_rows);
    limits.max_bytes = bounded(limits.max_bytes, max_cursor_page_bytes);
    limits.timeout = limits.timeout.count() > 0 ? limits.timeout : config_.of(*name).read_timeout;
    auto store = sqlite::make_cursor_store(root_.path_of(*name), std::move(request.query), config_.for_database(*name));
    auto result = std::make_unique<direct_cursor>(std::move(store), limits, request.cancel);
    if (auto failed = result->find_first())
      return failed;
    return std::unique_ptr<cursor>{std::move(result)};
  }

  std::future<caf::expected<write_result>> write_async(write_request request) override {
    return ready<write_result>(write(std::move(request)));
  }

  std::future<caf::expected<read_result>> read_async(read_request request) override {
    auto name = admit(request);
    return name ? start(*name, std::move(request)) : ready<read_result>(std::move(name.error()));
  }

  caf::expected<audit_page> audit(const audit_query&) override { return read_only_error(); }
  caf::expected<audit_verdict> verify_audit() override { return read_only_error(); }
  caf::expected<nlohmann::json> status() override { return read_only_error(); }

  caf::expected<nlohmann::json> call(std::string_view method, nlohmann::json params) override {
    if (!is_utf8(method))
      return make_error(errc::invalid_request, "method is not valid UTF-8");
    if (auto reason = utf8_error(params))
      return reason;
    if (method != "read") {
      const auto* found = rpc::find_method(method);
      return found && found->effect == rpc::method_effect::changes ? refuse_change(root_) : read_only_error();
    }
    auto request = rpc::read_from_json(params);
    if (!request)
      return std::move(request.error());
    auto result = read(std::move(*request));
    return result ? caf::expected<nlohmann::json>{as_json(*result)} : std::move(result.error());
  }

  void close() override { closed_.cancel(); }

private:
  // Checks the request, gives it a token that `close` cancels, warns once, and returns the name of the database.
  caf::expected<std::string> admit(read_request& request) {
    request.cancel = request.cancel.possible() ? closed_.derive(request.cancel) : closed_;
    if (auto reason = check(request))
      return make_error(std::move(*reason));
    if (request.min_seq > 0)
      return make_error(errc::invalid_request, "min_seq needs a broker; leave it out");
    std::call_once(warned_, [this] {
      if (warn_)
        warn_("this process has no permission to write in the folder of the store, so there is no broker: it reads "
              "the databases itself, and the audit has no record of these reads");
    });
    return root_.resolve(request.db);
  }

  struct database {
    // Held during a read: only one thread at a time may use a read store.
    std::timed_mutex mutex;
    std::unique_ptr<read_store> store;
  };

  struct async_read {
    std::shared_ptr<std::atomic<bool>> has_ended = std::make_shared<std::atomic<bool>>(false);
    std::thread thread;
  };

  database& database_of(const std::string& name) {
    std::lock_guard guard{mutex_};
    auto& found = databases_[name];
    if (!found.store)
      found.store = sqlite::make_read_store(root_.path_of(name), config_.for_database(name));
    return found;
  }

  // Runs an admitted read; the wait for other reads of the database counts towards its time-out.
  caf::expected<read_result> run(const std::string& name, read_request request) {
    auto& limits = request.limits;
    const auto& defaults = config_.of(name);
    limits.max_rows = limits.max_rows > 0 ? limits.max_rows : defaults.read_max_rows;
    limits.max_bytes = limits.max_bytes > 0 ? limits.max_bytes : defaults.read_max_bytes;
    limits.timeout = limits.timeout.count() > 0 ? limits.timeout : defaults.read_timeout;
    auto end = steady_clock::now() + limits.timeout;
    auto& database = database_of(name);
    std::unique_lock held{database.mutex, std::defer_lock};
    if (auto error = await_turn(held, end, request.cancel))
      return error;
    auto time_left = [end] {
      return std::max(std::chrono::duration_cast<milliseconds>(end - steady_clock::now()), milliseconds{1});
    };
    auto done = retry(retry_until(time_left()), [&] {
      limits.timeout = time_left();
      return database.store->run(request, limits);
    });
    return done ? caf::expected<read_result>{std::move(done->result)} : std::move(done.error());
  }

  static caf::error await_turn(std::unique_lock<std::timed_mutex>& held, steady_clock::time_point end,
                               const cancel_token& cancel) {
    while (!cancel.cancelled()) {
      auto now = steady_clock::now();
      if (held.try_lock_until(std::min(end, now + cancel_poll)))
        return {};
      if (now >= end)
        return make_error(errc::deadline_exceeded,
                          "the time-out passed while the read waited for another read of this database; use a longer "
                          "time-out, or another client");
    }
    return make_error(errc::cancelled, "the read was cancelled while it waited for another read of this database");
  }

  std::future<caf::expected<read_result>> start(const std::string& name, read_request request) {
    std::lock_guard guard{threads_mutex_};
    std::erase_if(async_reads_, [](async_read& read) {
      if (!read.has_ended->load())
        return false;
      read.thread.join();
      return true;
    });
    if (async_reads_.size() >= max_async_reads)
      return ready<read_result>(
        make_error(errc::overloaded, "this client has " + std::to_string(max_async_reads)
                                       + " asynchronous reads under way; wait for the answer to one of them"));
    std::promise<caf::expected<read_result>> promise;
    auto answer = promise.get_future();
    try {
      auto& read = async_reads_.emplace_back();
      read.thread = std::thread{
        [this, name, request = std::move(request), promise = std::move(promise), has_ended = read.has_ended]() mutable {
          try {
            promise.set_value(run(name, std::move(request)));
          } catch (...) {
            promise.set_exception(std::current_exception());
          }
          has_ended->store(true);
        }};
    } catch (const std::system_error& error) {
      async_reads_.pop_back();
      return ready<read_result>(make_error(errc::unavailable, std::string{"cannot start a thread: "} + error.what()));
    }
    return answer;
  }

  const store_root root_;
  const broker_config config_;
  const std::function<void(std::string_view)> warn_;
  const cancel_token closed_ = cancel_token::make();
  std::once_flag warned_;
  std::mutex mutex_;
  std::map<std::string, database> databases_;
  std::mutex threads_mutex_;
  std::list<async_read> async_reads_;
};

} // namespace

std::unique_ptr<client> make_read_only_client(store_root root, broker_config config,
                                              std::function<void(std::string_view)> warn) {
  return std::make_unique<read_only_client>(std::move(root), std::move(config), std::move(warn));
}

} // namespace sluice
