#include "runtime/lab/scenario/line_link.hpp"

#include "messages/error.hpp"
#include "runtime/json/json.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

extern char** environ;

namespace sluice::scenario {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::string reason_of(int code) { return std::generic_category().message(code); }

// Whether input or the end arrives before the time is over and before `stop` becomes readable.
bool is_readable(int fd, int stop, steady_clock::time_point limit) {
  for (;;) {
    auto left = std::chrono::duration_cast<milliseconds>(limit - steady_clock::now()).count();
    std::array<pollfd, 2> watched{pollfd{fd, POLLIN, 0}, pollfd{stop, POLLIN, 0}};
    auto ready = poll(watched.data(), 2, left > 0 ? static_cast<int>(std::min<int64_t>(left + 1, 1 << 30)) : 0);
    if (ready < 0 && errno == EINTR)
      continue;
    return ready > 0 && watched[1].revents == 0;
  }
}

sockaddr_un address_of(const std::filesystem::path& path, bool& fits) {
  sockaddr_un result{};
  result.sun_family = AF_UNIX;
  fits = path.native().size() < sizeof(result.sun_path);
  if (fits)
    std::memcpy(result.sun_path, path.c_str(), path.native().size());
  return result;
}

} // namespace

bool line_link::send(const json& document) {
  auto line = dump(document) + "\n";
  auto fd = out_ ? out_.get() : in_.get();
  for (std::string_view rest = line; !rest.empty();) {
    auto count = ::write(fd, rest.data(), rest.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0 && errno == EAGAIN) {
      pollfd room{fd, POLLOUT, 0};
      poll(&room, 1, -1);
      continue;
    }
    if (count <= 0)
      return false;
    rest.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

std::optional<json> line_link::receive(milliseconds limit, int stop) {
  auto until = steady_clock::now() + limit;
  for (;;) {
    if (auto line = unread_->next()) {
      auto document = json::parse(*line, nullptr, false);
      return document.is_discarded() ? std::nullopt : std::optional{std::move(document)};
    }
    if (!is_readable(in_.get(), stop, until))
      return std::nullopt;
    auto room = unread_->room();
    auto count = ::read(in_.get(), room.data(), room.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
      continue;
    if (count <= 0)
      return std::nullopt;
    unread_->filled(static_cast<size_t>(count));
  }
}

caf::expected<json> line_link::ask(const json& command, milliseconds limit) {
  if (!in_ || !send(command))
    return make_error(errc::unavailable, "the helper process has ended");
  auto answer = receive(limit);
  if (!answer)
    return make_error(errc::unavailable, "the helper process has ended, or does not answer");
  if (auto error = answer->find("error"); error != answer->end()) {
    return make_error(errc_of(error->value("code", "")).value_or(errc::internal), error->value("message", ""));
  }
  return answer->value("result", json::object());
}

bool line_link::ends_within(milliseconds limit) {
  auto until = steady_clock::now() + limit;
  std::array<char, 1024> ignored{};
  while (is_readable(in_.get(), -1, until)) {
    auto count = ::read(in_.get(), ignored.data(), ignored.size());
    if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN))
      return true;
  }
  return false;
}

json answer_document(const caf::expected<json>& answer) {
  return answer ? json{{"result", *answer}} : error_document(describe(answer.error()));
}

caf::expected<helper_process> helper_process::start(const std::vector<std::string>& command) {
  std::array<int, 2> in{-1, -1};
  std::array<int, 2> out{-1, -1};
  if (pipe2(in.data(), O_CLOEXEC) != 0 || pipe2(out.data(), O_CLOEXEC) != 0)
    return make_error(errc::unavailable, "no pipe to a process: " + reason_of(errno));
  descriptor their_in{in[0]};
  descriptor their_out{out[1]};
  helper_process result;
  result.link = line_link{descriptor{out[0]}, descriptor{in[1]}};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, their_in.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, their_out.get(), STDOUT_FILENO);
  std::vector<char*> arguments;
  for (const auto& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  auto code = posix_spawn(&result.pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0) {
    result.pid_ = -1;
    return make_error(errc::unavailable, "a process cannot be started: " + reason_of(code));
  }
  return result;
}

void helper_process::end() {
  link.close();
  if (pid_ <= 0)
    return;
  ::kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR)
    continue;
  pid_ = -1;
}

caf::expected<control_socket> control_socket::open(const std::filesystem::path& path) {
  auto fits = false;
  auto address = address_of(path, fits);
  if (!fits)
    return make_error(errc::invalid_request, "the path of the temporary folder is too long for a socket; set TMPDIR");
  control_socket result;
  result.socket_ = descriptor{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!result.socket_ || bind(result.socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0
      || listen(result.socket_.get(), 16) != 0)
    return make_error(errc::io_error, "no socket for the broker of a scenario: " + reason_of(errno));
  return result;
}

line_link control_socket::accept(pid_t& pid) {
  auto fd = accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return {};
  ucred peer{};
  socklen_t size = sizeof(peer);
  pid = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : -1;
  return {descriptor{fd}, descriptor{}};
}

caf::expected<line_link> control_socket::connect(const std::filesystem::path& path) {
  auto fits = false;
  auto address = address_of(path, fits);
  descriptor fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!fits || !fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return make_error(errc::unavailable, "no scenario controls this broker: " + reason_of(errno));
  return line_link{std::move(fd), descriptor{}};
}

} // namespace sluice::scenario
