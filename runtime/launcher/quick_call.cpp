#include "runtime/launcher/quick_call.hpp"

#include "runtime/json/json_writer.hpp"
#include "runtime/os/descriptor.hpp"
#include "runtime/os/unix_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utility>

namespace sluice::launcher {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// After a second without a byte the launcher sends a ping, and after another second the broker counts as silent. The
// main program uses the same times (`silence_policy`).
constexpr milliseconds ping_after{1'000};
constexpr milliseconds silent_after{2'000};

constexpr std::string_view ping = R"({"jsonrpc":"2.0","id":2,"method":"ping"})"
                                  "\n";

// The lines that come from a socket.
class line_reader {
public:
  explicit line_reader(int socket) noexcept : socket_(socket) {}

  /// The next line; nothing when it has not arrived by `limit`, or the connection has ended.
  std::optional<std::string> next(steady_clock::time_point limit) {
    std::array<char, 65'536> bytes{};
    for (;;) {
      if (auto end = received_.find('\n', searched_); end != std::string::npos) {
        auto line = received_.substr(0, end);
        received_.erase(0, end + 1);
        searched_ = 0;
        return line;
      }
      searched_ = received_.size();
      if (!await_socket(socket_, POLLIN, limit))
        return std::nullopt;
      auto count = recv(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (count > 0)
        received_.append(bytes.data(), static_cast<size_t>(count));
      else if (count == 0 || (errno != EINTR && errno != EAGAIN))
        has_ended_ = true;
      if (has_ended_)
        return std::nullopt;
    }
  }

  bool has_ended() const noexcept { return has_ended_; }

private:
  int socket_;
  std::string received_;
  size_t searched_ = 0;
  bool has_ended_ = false;
};

// A broker writes members in alphabetical order, so `id` comes first in a result, and after `error` in a failure.
bool is_answer_to(std::string_view line, char id) {
  return line.starts_with(std::string{R"({"id":)"} + id + ',')
         || (line.starts_with(R"({"error":)")
             && line.ends_with(std::string{R"(,"id":)"} + id + R"(,"jsonrpc":"2.0"})"));
}

// The answer to request 1, or none by `end`.
quick_answer await_answer(int socket, steady_clock::time_point end) {
  line_reader lines{socket};
  auto limit = std::min(end, steady_clock::now() + ping_after);
  auto asked = false;
  for (;;) {
    auto line = lines.next(limit);
    auto is_last = lines.has_ended() || asked || limit == end;
    if (!line && (is_last || !send_to_socket(socket, ping, limit)))
      return {.sent = true, .silent = asked && !lines.has_ended()};
    if (line && is_answer_to(*line, '1'))
      return {.sent = true, .line = std::move(*line)};
    // The broker has refused the greeting, and therefore refuses the request.
    if (line && line->starts_with(R"({"error":)"))
      return {.sent = true};
    asked = !line;
    limit = std::min(end, steady_clock::now() + (asked ? silent_after - ping_after : ping_after));
  }
}

// The `hello` line. It has the identity of the folder, so that the broker of a store that was moved or copied refuses
// the connection.
std::string greeting(const struct stat& root) {
  std::string line;
  json_writer to{line};
  to.begin_object().key("jsonrpc").text("2.0").key("id").number(uint64_t{0}).key("method").text("hello");
  to.key("params").begin_object().key("protocol").number(uint64_t{1}).key("client").text("sluice " SLUICE_VERSION);
  to.key("root").begin_object().key("device").number(uint64_t{root.st_dev});
  to.key("inode").number(uint64_t{root.st_ino}).end_object().end_object().end_object();
  return line + '\n';
}

void append_params(json_writer& to, const std::vector<value>& params) {
  if (params.empty())
    return;
  to.key("params").begin_array();
  for (const auto& content : params)
    to.content(content, integer_form::number);
  to.end_array();
}

} // namespace

std::string request_line(const quick_command& command, const std::string& key) {
  std::string line;
  json_writer to{line};
  to.begin_object().key("jsonrpc").text("2.0").key("id").number(uint64_t{1});
  to.key("method").text(command.is_write ? "write" : "read").key("params").begin_object();
  to.key("agent").text(command.agent).key("db").text(command.db);
  if (command.time_ms > 0)
    to.key(command.is_write ? "deadline_ms" : "timeout_ms").number(uint64_t{command.time_ms});
  if (command.is_write) {
    to.key("idempotency_key").text(key).key("statements").begin_array().begin_object();
    append_params(to, command.params);
    to.key("sql").text(command.sql).end_object().end_array();
  } else {
    if (command.fresh)
      to.key("freshness").text("fresh");
    append_params(to, command.params);
    to.key("sql").text(command.sql);
  }
  to.end_object().end_object();
  return line + '\n';
}

quick_answer call_broker(const quick_command& command, const std::string& key) {
  // Held open, so that its identity is not another folder's by the time the broker compares.
  descriptor root{open(command.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  struct stat identity {};
  if (!root || fstat(root.get(), &identity) != 0)
    return {};
  auto connected = connect_unix_socket(command.root + ".sluice/broker.sock");
  if (!connected.socket || !connected.is_own)
    return {.absent = !connected.socket && connected.error == 0};
  auto socket = connected.socket.get();
  auto limit = steady_clock::now() + silent_after;
  if (!send_to_socket(socket, greeting(identity) + request_line(command, key), limit))
    return {.sent = true, .silent = steady_clock::now() >= limit};
  // The broker answers at the deadline. The main program waits again for one that does not.
  constexpr milliseconds grace{300};
  auto end =
    command.time_ms > 0 ? steady_clock::now() + milliseconds{command.time_ms} + grace : steady_clock::time_point::max();
  return await_answer(socket, end);
}

} // namespace sluice::launcher
