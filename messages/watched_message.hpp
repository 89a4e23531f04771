#pragma once

#include <caf/all.hpp>

#include <functional>
#include <utility>

namespace sluice {

/// A message that notifies its sender when it leaves the receiver's mailbox: the receiver has handled it, or has ended.
/// Copies of the content that the receiver keeps make no difference. This depends on CAF 0.17.
template <class T>
class watched_message final : public caf::mailbox_element,
                              public caf::detail::tuple_vals_impl<caf::type_erased_tuple, T> {
public:
  using content_type = caf::detail::tuple_vals_impl<caf::type_erased_tuple, T>;

  /// Sends `message` to `receiver`, as `anon_send` does. `gone` is called once, by any thread, possibly before this
  /// returns.
  template <class Handle> static void send(const Handle& receiver, T message, std::function<void()> gone) {
    caf::mailbox_element_ptr element{new watched_message{std::move(message), std::move(gone)}};
    caf::actor_cast<caf::abstract_actor*>(receiver)->enqueue(std::move(element), nullptr);
  }

  ~watched_message() override { gone_(); }

  caf::type_erased_tuple& content() override { return *this; }
  const caf::type_erased_tuple& content() const override { return *this; }

  caf::message move_content_to_message() override { return caf::make_message(std::move(std::get<0>(this->data()))); }
  caf::message copy_content_to_message() const override { return caf::make_message(std::get<0>(this->data())); }

private:
  watched_message(T message, std::function<void()> gone)
    : mailbox_element(nullptr, caf::make_message_id(), {}), content_type(std::move(message)), gone_(std::move(gone)) {}

  std::function<void()> gone_;
};

} // namespace sluice
