#pragma once

#include "runtime/broker/cursor.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace sluice {

/// The error of a cursor whose connection to the broker was lost: `errc::unavailable`.
inline caf::error cursor_lost() {
  return make_error(errc::unavailable,
                    "the connection to the broker that had this cursor was lost, and the cursor with "
                    "it: run the query again");
}

/// Requests pages, and has the broker close the cursor, through the client's `ask`. Used by one thread at a time; does
/// not outlive the client.
class remote_cursor final : public cursor {
public:
  using asking = std::function<caf::expected<nlohmann::json>(const char* method, uint64_t id)>;

  remote_cursor(asking ask, cursor_page first, cancel_token cancel)
    : ask_(std::move(ask)), cancel_(std::move(cancel)), id_(first.cursor), first_(std::move(first)) {}

  ~remote_cursor() override {
    auto is_open = first_ ? !first_->is_last : !over_;
    if (is_open)
      static_cast<void>(ask_("cursor.close", id_));
  }

  caf::expected<cursor_page> next() override {
    if (cancel_.cancelled())
      return make_error(errc::cancelled, "the cursor was cancelled");
    auto page = first_  ? caf::expected<cursor_page>{*std::exchange(first_, std::nullopt)}
                : over_ ? caf::expected<cursor_page>{cursor_page{id_, std::make_shared<const rowset>(), true, 0}}
                        : page_of(ask_("cursor.next", id_));
    // The next broker does not know the cursor.
    if (!page && code_of(page.error()) == errc::invalid_request)
      page = cursor_lost();
    over_ = page ? page->is_last : code_of(page.error()) != errc::overloaded;
    return page;
  }

private:
  static caf::expected<cursor_page> page_of(caf::expected<nlohmann::json> answer) {
    return answer ? rpc::cursor_page_from_json(*answer) : std::move(answer.error());
  }

  asking ask_;
  cancel_token cancel_;
  uint64_t id_;
  std::optional<cursor_page> first_;
  // There is no cursor left to close.
  bool over_ = false;
};

} // namespace sluice
