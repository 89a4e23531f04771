#include "runtime/client/greeting.hpp"

#include "messages/error.hpp"
#include "runtime/json/json.hpp"
#include "runtime/os/silent_process.hpp"
#include "runtime/os/unix_socket.hpp"
#include "runtime/server/endpoint.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>

namespace sluice {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t max_answer_bytes = size_t{64} << 10;

// A line; nothing when the connection or the time has ended. There is only one request, so nothing follows the line.
std::optional<std::string> receive_line(int socket, steady_clock::time_point limit) {
  std::string line;
  while (line.size() <= max_answer_bytes && await_socket(socket, POLLIN, limit)) {
    std::array<char, 4'096> bytes{};
    auto count = recv(socket, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
      return std::nullopt;
    line.append(bytes.data(), static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (line.ends_with('\n'))
      return line;
  }
  return std::nullopt;
}

bool is_true(const nlohmann::json& object, const char* name) {
  auto at = object.find(name);
  return at != object.end() && at->is_boolean() && at->get<bool>();
}

caf::error refusal_in(const nlohmann::json& error) {
  auto refusal = rpc::failure_from_json(error);
  if (is_stepping_down(error))
    refusal.code = errc::unavailable;
  return make_error(std::move(refusal));
}

} // namespace

bool is_stepping_down(const nlohmann::json& error) {
  auto data = error.is_object() ? error.find("data") : error.end();
  return data != error.end() && data->is_object() && (is_true(*data, "hands_over") || is_true(*data, "draining"));
}

std::string greeting(const std::optional<file_identity>& root) {
  nlohmann::json params{{"protocol", protocol_version}, {"client", std::string{"sluice "} + SLUICE_VERSION}};
  if (root)
    params["root"] = as_json(*root);
  return R"({"jsonrpc":"2.0","id":0,"method":"hello","params":)" + dump(params) + "}\n";
}

caf::expected<void> confirm_root(int socket, const file_identity& root, bool trust_silence,
                                 steady_clock::time_point limit) {
  auto line = send_to_socket(socket, greeting(root), limit) ? receive_line(socket, limit) : std::nullopt;
  // In milliseconds, as in the wait.
  if (!line && limit - steady_clock::now() < milliseconds{1})
    return make_error(errc::deadline_exceeded, silence_of(peer_of(socket)));
  if (!line)
    return make_error(errc::unavailable, "the broker at the socket does not answer");
  auto answer = nlohmann::json::parse(*line, nullptr, false);
  if (answer.is_object() && answer.contains("error"))
    return refusal_in(answer["error"]);
  if (!answer.is_object() || !answer.contains("result") || !answer["result"].is_object())
    return make_error(errc::protocol_mismatch, "the process at the socket does not answer as a broker does");
  auto led = answer["result"].find("root");
  if (led == answer["result"].end() && trust_silence)
    return caf::unit;
  if (led == answer["result"].end())
    return make_error(errc::protocol_mismatch, "the broker at the socket is of an older version, and does not say "
                                               "which folder it leads; restart it");
  auto identity = file_identity_from_json(*led);
  if (!identity || *identity != root)
    return make_error(errc::wrong_store, "the broker at the socket leads another folder than the requested one");
  return caf::unit;
}

} // namespace sluice
