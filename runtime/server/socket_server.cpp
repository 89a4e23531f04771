#include "runtime/server/socket_server.hpp"

#include "runtime/os/descriptor.hpp"

#include <boost/asio/post.hpp>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace sluice {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::chrono::milliseconds pause_without_descriptors{50};

int open_spare() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

uint64_t id_of(const std::filesystem::path& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode) ? info.st_ino : 0;
}

std::optional<ucred> credentials_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return std::nullopt;
  return peer;
}

// The living process that listens at `path`, if any; 0 when it is unknown.
std::optional<pid_t> listener_at(const std::filesystem::path& path) {
  auto name = path.native();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  descriptor probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!probe || name.size() >= sizeof address.sun_path)
    return std::nullopt;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return errno == EAGAIN ? std::optional<pid_t>{0} : std::nullopt;
  auto peer = credentials_of(probe.get());
  auto pid = peer ? peer->pid : 0;
  // A child that was forked without exec may keep the socket of a leader that has ended.
  if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH)
    return std::nullopt;
  return pid;
}

caf::error listened_to_by(pid_t pid) {
  auto other = pid == getpid() ? "this process" : pid > 0 ? "process " + std::to_string(pid) : std::string{"a process"};
  return make_error(errc::busy, other
                                  + " listens at the socket already, for another broker; stop that one, or use another "
                                    "path for this store");
}

} // namespace

socket_server::socket_server(asio::io_context& loop, std::filesystem::path path, const broker_config& config,
                             port_opener open)
  : loop_(loop), path_(std::move(path)), open_(std::move(open)), shared_{.config = config, .closed = {}},
    acceptor_(loop), pause_(loop), spare_(open_spare()) {
  shared_.last_active = std::chrono::steady_clock::now();
  shared_.closed = [this](line_connection& x) { ended(x); };
}

caf::expected<std::unique_ptr<socket_server>> socket_server::listen(asio::io_context& loop, std::filesystem::path path,
                                                                    const broker_config& config, port_opener open) {
  std::unique_ptr<socket_server> server{new socket_server{loop, std::move(path), config, std::move(open)}};
  if (auto bound = server->bind(); !bound)
    return std::move(bound.error());
  return server;
}

socket_server::~socket_server() {
  drained_ = {};
  remove_file();
  while (!connections_.empty())
    (*connections_.begin())->close();
  close(spare_);
}

caf::expected<void> socket_server::bind() {
  error_code failed;
  acceptor_.close(failed);
  if (auto other = listener_at(path_))
    return listened_to_by(*other);
  // The owner of that socket no longer leads, because this process does.
  unlink(path_.c_str());
  // Other users cannot connect even before the socket's mode is set: the folder is 0700.
  asio::local::stream_protocol::endpoint at{path_.string()};
  acceptor_.open(at.protocol(), failed);
  if (!failed)
    acceptor_.bind(at, failed);
  if (!failed && chmod(path_.c_str(), 0600) != 0)
    failed.assign(errno, boost::system::system_category());
  if (!failed)
    acceptor_.listen(asio::socket_base::max_listen_connections, failed);
  if (!failed)
    acceptor_.non_blocking(true, failed);
  if (failed)
    return make_error(errc::io_error, "the socket cannot be made: " + failed.message());
  file_id_ = id_of(path_);
  accept();
  return {};
}

void socket_server::renew() {
  if (acceptor_.is_open() && id_of(path_) != file_id_)
    static_cast<void>(bind());
}

void socket_server::accept() {
  acceptor_.async_accept([this](const error_code& failed, socket_type socket) {
    if (failed == asio::error::operation_aborted)
      return;
    if (!failed) {
      welcome(std::move(socket));
      return accept();
    }
    if (failed == asio::error::no_descriptors || failed == boost::system::errc::too_many_files_open_in_system)
      shed_one();
    // The waiting connection stays in the queue; an immediate retry would spin.
    pause_.expires_after(pause_without_descriptors);
    pause_.async_wait([this](const error_code& stopped) {
      if (!stopped && acceptor_.is_open())
        accept();
    });
  });
}

void socket_server::shed_one() {
  // The client learns at once that there is no room, instead of waiting for another client to leave.
  close(std::exchange(spare_, -1));
  if (auto client = ::accept(acceptor_.native_handle(), nullptr, nullptr); client >= 0)
    close(client);
  spare_ = open_spare();
}

void socket_server::welcome(socket_type socket) {
  error_code failed;
  socket.non_blocking(true, failed);
  // Asio accepts without this flag; a host may start programs.
  fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  auto peer = credentials_of(socket.native_handle());
  auto connection = std::make_shared<line_connection>(std::move(socket), shared_);
  connections_.insert(connection);
  shared_.last_active = std::chrono::steady_clock::now();
  if (!peer || peer->uid != geteuid())
    return connection->refuse(make_failure(errc::not_authorized, "this broker serves another user"));
  if (connections_.size() > shared_.config.max_connections)
    return connection->refuse(
      make_failure(errc::overloaded, "there are too many connections (max_connections)", {.retry_after_ms = 250}));
  auto push = [weak = std::weak_ptr{connection}](const std::string& line, bool must) {
    auto self = weak.lock();
    return self && self->push(line, must);
  };
  connection->start(open_({static_cast<uint32_t>(peer->uid), static_cast<uint32_t>(peer->pid)}, std::move(push)));
}

void socket_server::ended(line_connection& connection) {
  shared_.last_active = std::chrono::steady_clock::now();
  connections_.erase(connection.shared_from_this());
  if (connections_.empty() && drained_)
    asio::post(loop_, std::exchange(drained_, {}));
}

void socket_server::drain(std::function<void()> done) {
  error_code ignored;
  pause_.cancel();
  remove_file();
  acceptor_.close(ignored);
  drained_ = std::move(done);
  if (connections_.empty() && drained_)
    return asio::post(loop_, std::exchange(drained_, {}));
  for (const auto& connection : connections_)
    connection->drain();
}

void socket_server::remove_file() {
  // If ours was deleted, the socket at the path belongs to another leader, and must stay.
  if (acceptor_.is_open() && id_of(path_) == file_id_)
    unlink(path_.c_str());
}

} // namespace sluice
