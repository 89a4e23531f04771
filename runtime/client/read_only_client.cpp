#include "runtime/client/read_only_client.hpp"

#include "actors/base/utf8_text.hpp"
#include "runtime/broker/request_check.hpp"
#include "runtime/broker/retry.hpp"
#include "runtime/json/json.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/sqlite/reader/cursor_store.hpp"
#include "runtime/sqlite/reader/read_store.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <optional>

namespace sluice {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

caf::error nothing_but_reading() {
  return make_error(errc::read_only, "nothing may be written in this folder, so its databases can only be read: use a "
                                     "folder that may be written, or run as a user who may write this one");
}

template <class Result> std::future<caf::expected<Result>> ready(caf::expected<Result> result) {
  std::promise<caf::expected<Result>> answer;
  answer.set_value(std::move(result));
  return answer.get_future();
}

uint64_t bounded(uint64_t wanted, uint64_t most) { return wanted == 0 ? most : std::min(wanted, most); }

// No other request waits for it, so that only its pages are bounded.
class direct_cursor final : public cursor {
public:
  direct_cursor(std::unique_ptr<cursor_store> store, read_limits limits, cancel_token cancel)
    : store_(std::move(store)), limits_(limits), cancel_(std::move(cancel)) {}

  caf::error find_first() {
    retry_policy patient{.attempts = std::numeric_limits<uint64_t>::max(), .deadline = limits_.timeout};
    auto page = retry(patient, [this] { return store_->next(limits_, cancel_); });
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

  caf::expected<write_result> write(write_request) override { return nothing_but_reading(); }

  caf::expected<read_result> read(read_request request) override {
    auto name = admit(request);
    if (!name)
      return std::move(name.error());
    auto& limits = request.limits;
    const auto& usual = config_.of(*name);
    limits.max_rows = limits.max_rows > 0 ? limits.max_rows : usual.read_max_rows;
    limits.max_bytes = limits.max_bytes > 0 ? limits.max_bytes : usual.read_max_bytes;
    limits.timeout = limits.timeout.count() > 0 ? limits.timeout : usual.read_timeout;
    auto& own = store_of(*name);
    std::lock_guard guard{own.mutex};
    retry_policy patient{.attempts = std::numeric_limits<uint64_t>::max(), .deadline = limits.timeout};
    auto end = steady_clock::now() + limits.timeout;
    auto done = retry(patient, [&] {
      auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now());
      limits.timeout = std::max(left, milliseconds{1});
      return own.store->run(request, limits);
    });
    return done ? caf::expected<read_result>{std::move(done->result)} : std::move(done.error());
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
    return ready<read_result>(read(std::move(request)));
  }

  caf::expected<audit_page> audit(const audit_query&) override { return nothing_but_reading(); }
  caf::expected<audit_verdict> verify_audit() override { return nothing_but_reading(); }
  caf::expected<nlohmann::json> status() override { return nothing_but_reading(); }

  caf::expected<nlohmann::json> call(std::string_view method, nlohmann::json params) override {
    if (!is_utf8(method))
      return make_error(errc::invalid_request, "method is not valid UTF-8");
    if (auto error = why_not_utf8(params))
      return error;
    if (method != "read")
      return nothing_but_reading();
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
    if (auto error = check(request))
      return make_error(std::move(*error));
    if (request.min_seq > 0)
      return make_error(errc::invalid_request, "min_seq needs a broker; leave it out");
    std::call_once(warned_, [this] {
      if (warn_)
        warn_(
          "nothing may be written in this folder, so there is no broker: its databases are read in this process, and "
          "reads are not in the audit");
    });
    return root_.resolve(request.db);
  }

  struct database {
    std::mutex mutex;
    std::unique_ptr<read_store> store;
  };

  database& store_of(const std::string& name) {
    std::lock_guard guard{mutex_};
    auto& own = databases_[name];
    if (!own.store)
      own.store = sqlite::make_read_store(root_.path_of(name), config_.for_database(name));
    return own;
  }

  const store_root root_;
  const broker_config config_;
  const std::function<void(std::string_view)> warn_;
  const cancel_token closed_ = cancel_token::make();
  std::once_flag warned_;
  std::mutex mutex_;
  std::map<std::string, database> databases_;
};

} // namespace

std::unique_ptr<client> make_read_only_client(store_root root, broker_config config,
                                              std::function<void(std::string_view)> warn) {
  return std::make_unique<read_only_client>(std::move(root), std::move(config), std::move(warn));
}

} // namespace sluice
