#pragma once

#include "runtime/client/client.hpp"
#include "runtime/server/rpc/handler.hpp"
#include "runtime/server/rpc/methods.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

namespace sluice {

/// What the clients of a bridge may do.
struct bridge_rights {
  /// Whether methods that change something are refused.
  bool read_only = false;
  /// If not empty, every request is sent in this name, and one in another name is refused.
  std::string agent{};
};

/// Forwards methods to the leader of a store, for a bridge. Writes and reads are sent in the order of the calls; a
/// thread of `waiting` waits for each answer, for any other method (`cancel` among them) one of `control`. Answers are
/// given on the loop's thread. Calls are made on the loop's thread; all arguments outlive the answers.
class proxy_handler final : public rpc::handler {
public:
  proxy_handler(client& to, boost::asio::io_context& loop, boost::asio::thread_pool& waiting,
                boost::asio::thread_pool& control, bridge_rights rights = {})
    : to_(to), loop_(loop), waiting_(waiting), control_(control), rights_(std::move(rights)) {}

  void quote_texts() override { quotes_texts_ = true; }
  void call(const std::string& method, nlohmann::json params, rpc::answer_to done) override;
  void note_refusal(std::string_view method, const nlohmann::json& params, const rpc::error& error) override;

private:
  static constexpr size_t max_sending = 4;
  static constexpr size_t max_reports = 10'000;

  void refuse(const std::string& method, const nlohmann::json& params, rpc::error error, const rpc::answer_to& done);
  void refuse(const std::string& method, const nlohmann::json& params, const caf::error& error,
              const rpc::answer_to& done);

  // The error of a call that the rights do not permit; gives `params` what they require.
  caf::error limit(const rpc::method& method, nlohmann::json& params) const;

  void send_reports();

  // Answers with the result of `wait`.
  template <class Wait> void answer_later(boost::asio::thread_pool& where, Wait wait, rpc::answer_to done);

  client& to_;
  boost::asio::io_context& loop_;
  boost::asio::thread_pool& waiting_;
  boost::asio::thread_pool& control_;
  bridge_rights rights_;
  bool quotes_texts_ = false;
  // Reports of refusals: those that are being sent, those that wait, and numbers by method and status of those beyond.
  size_t sending_ = 0;
  std::deque<nlohmann::json> reports_;
  std::map<std::pair<std::string, std::string>, uint32_t> counted_;
};

} // namespace sluice
