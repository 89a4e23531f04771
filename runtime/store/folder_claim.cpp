#include "runtime/store/folder_claim.hpp"

#include "messages/error.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace sluice {

namespace {

namespace fs = std::filesystem;

// Another user may occupy a name, and so may a forked child that keeps a copy of the socket after its parent released
// it. Then the next name is used. Each broker checks all names, so that two never hold different ones.
constexpr int name_count = 4;
constexpr int backlog = 64;
constexpr int max_tries = 5;

struct address {
  sockaddr_un value{};
  socklen_t size = 0;

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&value); }
  std::string_view name() const noexcept { return {value.sun_path + 1, size - offsetof(sockaddr_un, sun_path) - 1}; }
};

address address_of(const file_identity& folder, uid_t uid, int number) {
  address result;
  result.value.sun_family = AF_UNIX;
  auto name = "sluice/" + std::to_string(uid) + "/" + std::to_string(folder.device) + "/" + std::to_string(folder.inode)
              + "/" + std::to_string(number);
  // The first byte stays 0: the abstract namespace.
  std::memcpy(result.value.sun_path + 1, name.data(), name.size());
  result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return result;
}

descriptor new_socket() { return descriptor{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)}; }

caf::error cannot_claim(int code) {
  return make_error(errc::io_error, "the folder cannot be claimed: " + std::generic_category().message(code));
}

// Where Unix sockets are forbidden, a broker cannot serve other processes either, and the lock file suffices.
bool is_forbidden(int code) noexcept { return code == EACCES || code == EPERM || code == EAFNOSUPPORT; }

// The inode of the listening socket of this name, from /proc; empty when there is none.
std::string listening_inode(std::string_view name) {
  std::ifstream sockets{"/proc/net/unix"};
  auto ending = " @" + std::string{name};
  for (std::string line; std::getline(sockets, line);) {
    if (!line.ends_with(ending))
      continue;
    line.resize(line.size() - ending.size());
    // Connections that wait for accept have the name as well, but no inode.
    if (auto inode = line.substr(line.rfind(' ') + 1); inode != "0")
      return inode;
  }
  return {};
}

bool has_descriptor(const fs::path& process, const std::string& target) {
  std::error_code failed;
  fs::directory_iterator files{process / "fd", failed};
  return !failed && std::any_of(begin(files), end(files), [&](const fs::directory_entry& file) {
    std::error_code gone;
    return fs::read_symlink(file.path(), gone) == target;
  });
}

// The process that owns a socket that does not accept connections: its queue may be full, which any process can cause.
std::optional<claim_holder> search_holder(std::string_view name) {
  auto inode = listening_inode(name);
  if (inode.empty())
    return std::nullopt;
  auto target = "socket:[" + inode + "]";
  std::error_code failed;
  for (const auto& process : fs::directory_iterator{"/proc", failed}) {
    auto text = process.path().filename().string();
    struct stat info {};
    if (!std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })
        || stat(process.path().c_str(), &info) != 0 || !has_descriptor(process.path(), target))
      continue;
    return claim_holder{static_cast<pid_t>(std::stol(text)), info.st_uid};
  }
  // The process belongs to another user, whose descriptors are hidden.
  return claim_holder{0, static_cast<uid_t>(-1)};
}

// Nothing when the name is free, or was released.
std::optional<claim_holder> holder_of(const address& at) {
  auto probe = new_socket();
  if (!probe)
    return search_holder(at.name());
  if (connect(probe.get(), at.get(), at.size) == 0) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
      return claim_holder{peer.pid, peer.uid};
  } else if (errno == ECONNREFUSED) {
    return std::nullopt;
  }
  return search_holder(at.name());
}

std::optional<claim_holder> own_holder(const file_identity& folder, int number) {
  auto holder = holder_of(address_of(folder, geteuid(), number));
  return holder && holder->uid == geteuid() ? holder : std::nullopt;
}

bool is_claim_of(const file_identity& folder, int fd) {
  address at;
  at.size = sizeof at.value;
  int listening = 0;
  socklen_t size = sizeof listening;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&at.value), &at.size) != 0
      || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0)
    return false;
  // A broker that found every name occupied has no name.
  if (at.size <= offsetof(sockaddr_un, sun_path) + 1)
    return at.value.sun_family == AF_UNIX;
  for (auto number = 0; number < name_count; ++number)
    if (listening != 0 && at.name() == address_of(folder, geteuid(), number).name())
      return true;
  return false;
}

} // namespace

folder_claim::folder_claim(descriptor socket) : socket_(std::move(socket)) {}

folder_claim& folder_claim::operator=(folder_claim&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(led_, other.led_);
  return *this;
}

folder_claim::~folder_claim() { release(); }

void folder_claim::release() noexcept {
  led_.reset();
  // After close alone, children with copies would keep the claim.
  if (socket_)
    shutdown(socket_.get(), SHUT_RDWR);
  socket_.reset();
}

caf::expected<std::optional<folder_claim>> folder_claim::try_acquire(const file_identity& folder, pid_t& holder) {
  auto socket = new_socket();
  if (!socket && is_forbidden(errno))
    return std::optional<folder_claim>{folder_claim{descriptor{}}};
  if (!socket)
    return cannot_claim(errno);
  auto taken = -1;
  for (auto number = 0; number < name_count && taken < 0; ++number) {
    auto at = address_of(folder, geteuid(), number);
    if (bind(socket.get(), at.get(), at.size) == 0)
      taken = number;
    else if (errno != EADDRINUSE && !is_forbidden(errno))
      return cannot_claim(errno);
  }
  if (taken >= 0 && listen(socket.get(), backlog) != 0)
    return cannot_claim(errno);
  // Checked after listening: if two brokers do this at once, at least one sees the other.
  for (auto number = 0; number < name_count; ++number) {
    auto other = number == taken ? std::nullopt : own_holder(folder, number);
    // A broker with a later name that came after this one is about to detect it, and gives way.
    for (auto tries = 0; other && number > taken && taken >= 0 && tries < max_tries; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
      other = own_holder(folder, number);
    }
    if (other) {
      holder = other->pid;
      return std::optional<folder_claim>{};
    }
  }
  return std::optional<folder_claim>{folder_claim{std::move(socket)}};
}

void folder_claim::begin_to_lead(const file_identity& folder) { led_ = std::make_unique<led_folder>(folder); }

caf::expected<folder_claim> folder_claim::adopt(const file_identity& folder, int fd) {
  if (!is_claim_of(folder, fd))
    return make_error(errc::invalid_request, "the descriptor handed over is not the claim of this folder");
  // Listening again makes this process the one that others see as the holder.
  int listening = 0;
  socklen_t size = sizeof listening;
  getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
  if ((listening != 0 && listen(fd, backlog) != 0) || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    return cannot_claim(errno);
  return folder_claim{descriptor{fd}};
}

std::vector<claim_holder> claim_holders(const file_identity& folder, uid_t uid) {
  std::vector<claim_holder> result;
  for (auto number = 0; number < name_count; ++number)
    if (auto holder = holder_of(address_of(folder, uid, number)))
      result.push_back(*holder);
  return result;
}

} // namespace sluice
