#include "runtime/server/endpoint.hpp"

#include "runtime/json/json.hpp"
#include "runtime/os/descriptor.hpp"
#include "runtime/os/system_error.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace sluice {

namespace {

namespace fs = std::filesystem;

constexpr size_t max_socket_bytes = sizeof(sockaddr_un::sun_path) - 1;
constexpr size_t max_info_bytes = 16 << 10;

bool is_private(const struct stat& folder) {
  return S_ISDIR(folder.st_mode) && folder.st_uid == geteuid() && (folder.st_mode & 077) == 0;
}

bool is_private_folder(const fs::path& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && is_private(info);
}

std::string name_for(const fs::path& root) {
  auto hash = sqlite::chain_hash{}.add(root.native()).finish();
  return sqlite::to_hex(sqlite::bytes_of(hash)).substr(0, 32) + ".sock";
}

// The first folder in which the path of a socket with such a name is short enough.
fs::path folder_outside(size_t name_bytes) {
  auto has_room = [&](const fs::path& folder) { return folder.native().size() + 1 + name_bytes <= max_socket_bytes; };
  // Ignores a folder of another user, which programs such as `su` leave in the environment.
  if (const auto* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime && *runtime == '/' && is_private_folder(runtime))
    if (auto folder = fs::path{runtime} / "sluice"; has_room(folder))
      return folder;
  auto name = "sluice-" + std::to_string(geteuid());
  std::error_code failed;
  auto temporary = fs::temp_directory_path(failed);
  if (!failed && has_room(temporary / name))
    return temporary / name;
  return fs::path{P_tmpdir} / name;
}

std::optional<std::string> read_small_file(const fs::path& path) {
  descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  struct stat info {};
  // Other users who can write the file could make it name a socket of theirs.
  if (!file || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != geteuid()
      || (info.st_mode & 022) != 0)
    return std::nullopt;
  std::string text(max_info_bytes + 1, '\0');
  auto size = read(file.get(), text.data(), text.size());
  if (size < 0 || static_cast<size_t>(size) > max_info_bytes)
    return std::nullopt;
  text.resize(static_cast<size_t>(size));
  return text;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    auto written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

bool is_socket_name(const std::string& name) {
  return name.starts_with('/') && name.size() <= max_socket_bytes && name.find('\0') == std::string::npos;
}

} // namespace

caf::expected<fs::path> socket_path_of(const store_root& root, bool make_folder) {
  auto path = root.socket_path();
  if (path.native().size() <= max_socket_bytes)
    return path;
  auto name = name_for(root.path());
  auto folder = folder_outside(name.size());
  if (make_folder && mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return file_error("create the folder for the socket", errno);
  struct stat info {};
  if (lstat(folder.c_str(), &info) != 0) {
    if (errno == ENOENT && !make_folder)
      return folder / name;
    return make_error(errc::io_error, "the folder for the socket: " + std::generic_category().message(errno));
  }
  if (!is_private(info))
    return make_error(errc::not_authorized, "the folder for the socket is not this user's alone");
  return folder / name;
}

bool is_own_socket(const store_root& root, const fs::path& socket) {
  auto own_path = socket_path_of(root, false);
  return socket == root.socket_path() || (own_path && socket == *own_path);
}

std::vector<leader_socket> leader_sockets(const store_root& root) {
  std::vector<leader_socket> result;
  auto own_path = socket_path_of(root, false);
  if (auto info = published_info(root); info && is_private_folder(info->socket.parent_path()))
    result.push_back({info->socket, is_own_socket(root, info->socket)});
  if (own_path && (result.empty() || result.front().path != *own_path))
    result.push_back({std::move(*own_path), true});
  return result;
}

caf::expected<void> publish(const store_root& root, const broker_info& info) {
  auto text = dump({{"pid", info.pid},
                    {"protocol", info.protocol},
                    {"version", info.version},
                    {"root", as_json(info.root.value_or(root.identity()))},
                    {"socket", text_as_json(info.socket.native())},
                    {"http", info.http},
                    {"transient", info.transient},
                    {"started_us", info.started_us}});
  auto path = root.info_path();
  // Only the leader writes the file, so one name for the unfinished file is enough.
  auto unfinished = path;
  unfinished += ".new";
  unlink(unfinished.c_str());
  descriptor file{open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (file && write_all(file.get(), text + '\n') && rename(unfinished.c_str(), path.c_str()) == 0)
    return caf::unit;
  auto code = errno;
  if (file)
    unlink(unfinished.c_str());
  return file_error("create .sluice/broker.json", code);
}

void unpublish(const store_root& root, const broker_info& info) {
  auto now = published_info(root);
  if (now && now->pid == info.pid && now->started_us == info.started_us)
    unlink(root.info_path().c_str());
}

namespace {

std::optional<broker_info> read_info(const store_root& root) {
  auto text = read_small_file(root.info_path());
  if (!text)
    return std::nullopt;
  try {
    auto document = nlohmann::json::parse(*text);
    broker_info info;
    info.pid = document.at("pid").get<pid_t>();
    info.protocol = document.at("protocol").get<int>();
    info.version = document.at("version").get<std::string>();
    auto socket = text_from_json(document.at("socket"));
    info.http = document.at("http").get<std::string>();
    info.transient = document.at("transient").get<bool>();
    info.started_us = document.at("started_us").get<int64_t>();
    if (document.contains("root")) {
      auto identity = file_identity_from_json(document["root"]);
      if (!identity)
        return std::nullopt;
      info.root = *identity;
    }
    if (info.pid <= 0 || !socket || !is_socket_name(*socket))
      return std::nullopt;
    info.socket = std::move(*socket);
    return info;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

} // namespace

std::optional<broker_info> published_info(const store_root& root) {
  auto info = read_info(root);
  if (info && info->root && *info->root != root.identity())
    return std::nullopt;
  // Without an identity the path of the socket decides: a copied file has the path of the original.
  if (info && !info->root && !is_own_socket(root, info->socket))
    return std::nullopt;
  return info;
}

std::optional<file_identity> published_root(const store_root& root) {
  auto info = read_info(root);
  return info ? info->root : std::nullopt;
}

} // namespace sluice
