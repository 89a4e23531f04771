#include "runtime/doctor/leadership.hpp"

#include "runtime/doctor/processes.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/os/descriptor.hpp"
#include "runtime/os/silent_process.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace sluice::doctor {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds longest_silence{2'000};

std::string content_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// A leader answers a `ping` at once, even under load.
bool answers_ping(int socket) {
  constexpr std::string_view ping = R"({"jsonrpc":"2.0","id":1,"method":"ping"})"
                                    "\n";
  if (send(socket, ping.data(), ping.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(ping.size()))
    return true;
  pollfd watched{socket, POLLIN, 0};
  return poll(&watched, 1, static_cast<int>(longest_silence.count())) != 0;
}

void examine_socket(leadership& found, const fs::path& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto& name = socket_path.native();
  if (name.empty() || name.size() >= sizeof address.sun_path)
    return;
  std::memcpy(address.sun_path, name.data(), name.size());
  descriptor fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd)
    return;
  auto connected = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (!connected && errno == EAGAIN)
    found.silence = silence_of(0);
  else if (connected && !(found.answers = answers_ping(fd.get())))
    found.silence = silence_of(peer_of(fd.get()));
}

std::string process_text(pid_t pid) { return fmt::format("process {} ({})", pid, command_of(pid)); }

// When root runs the check, the claim is that of the store's owner.
uid_t owner_of(const fs::path& folder) {
  struct stat info {};
  return lstat(folder.c_str(), &info) == 0 ? info.st_uid : geteuid();
}

void examine_claims(leadership& found, const fs::path& folder, const std::optional<file_identity>& root) {
  if (!root)
    return;
  auto uid = owner_of(folder);
  for (auto& holder : claim_holders(*root, uid))
    if (holder.uid == uid)
      found.claim_holder = holder.pid;
    else
      found.strangers.push_back(holder);
}

// Several processes may hold the lock: a process that starts a broker holds it until the broker is ready.
pid_t choose(const std::vector<pid_t>& holders, std::initializer_list<pid_t> preferred) {
  for (auto pid : preferred)
    if (std::find(holders.begin(), holders.end(), pid) != holders.end())
      return pid;
  return holders.empty() ? 0 : holders.front();
}

} // namespace

leadership look_at_leadership(const fs::path& root) {
  leadership result;
  auto folder = root / ".sluice";
  std::error_code failed;
  result.has_lock_file = fs::exists(folder / "broker.lock", failed);
  auto socket_path = folder / "broker.sock";
  auto identity = identity_of(root);
  auto info = nlohmann::json::parse(content_of(folder / "broker.json"), nullptr, false);
  if (info.is_object() && info.contains("root"))
    if (auto led = file_identity_from_json(info["root"]); led)
      result.is_copied = *led != identity;
  if (info.is_object() && !result.is_copied) {
    if (info.contains("pid") && info["pid"].is_number_integer())
      result.named = info["pid"].get<pid_t>();
    if (auto path = text_from_json(info.value("socket", nlohmann::json{})))
      socket_path = *path;
  }
  examine_claims(result, folder, identity);
  result.lock_holder = choose(find_lock_holders({folder / "broker.lock"})[0], {result.named, result.claim_holder});
  result.has_socket = fs::is_socket(socket_path, failed);
  if (result.has_socket)
    examine_socket(result, socket_path);
  return result;
}

findings judge_leadership(const leadership& found) {
  findings out;
  auto add = [&](severity how_bad, std::string text, std::string advice) {
    out.push_back({how_bad, "leader", "store", std::move(text), std::move(advice)});
  };
  auto leader = found.leader();
  auto locked = found.lock_holder != 0 || found.claim_holder != 0;
  if (found.lock_holder > 0 && found.claim_holder > 0 && found.lock_holder != found.claim_holder)
    add(severity::problem,
        fmt::format("two processes hold the lock and the claim of this store: {} and {}",
                    process_text(found.lock_holder), process_text(found.claim_holder)),
        "stop both; the next use through sluice begins cleanly");
  else if (found.claim_holder > 0 && found.lock_holder == 0 && found.has_lock_file)
    add(severity::warning,
        process_text(leader)
          + " works in this folder without the lock of this store: it has databases in it open as part of a store "
            "further up, so no process can lead this one",
        "use the root of that store, or stop its broker");
  else if (locked && !found.has_lock_file)
    add(severity::warning,
        process_text(leader) + " leads the store, but its lock file was removed, so clients cannot find it",
        "it stops by itself once it notices; else stop it");
  else if (locked && !found.has_socket)
    add(severity::note,
        process_text(leader)
          + " leads the store without a socket: it serves no other process, and commands fail as busy",
        "let the host open a front door (docs/guides/embedding.md), or wait until it ends");
  else if (!found.silence.empty())
    add(severity::problem, found.silence,
        "let it go on, or kill it: the next use through sluice begins cleanly. .sluice/broker.log may say more");
  else if (locked && !found.answers)
    add(severity::problem, process_text(leader) + " leads the store, but does not answer at its socket",
        "look into .sluice/broker.log; sluice stop, or kill the process: nothing acknowledged is lost");
  else if (locked)
    add(severity::ok, process_text(leader) + " leads the store and answers", "");
  else if (found.answers)
    add(severity::warning, "a process answers at the socket, but no visible process holds the lock",
        "if it runs in another container, run the doctor there; else stop it");
  else if (found.has_socket || found.named > 0)
    add(severity::note,
        "the socket and broker.json of a leader that has gone are left over; that is what a kill leaves behind",
        "nothing: the next leader replaces them");
  else
    add(severity::ok, "no process leads the store at the moment; the next use starts a broker", "");
  if (found.is_copied)
    add(severity::note,
        ".sluice/broker.json is that of another folder: this store is a copy, made while a broker led the original; "
        "clients ignore it",
        "nothing: the next leader replaces it");
  for (const auto& stranger : found.strangers)
    add(
      severity::warning,
      fmt::format("process {} of uid {} occupies a name by which brokers claim this folder: it excludes no broker, but "
                  "with every name gone only the lock file keeps two brokers apart",
                  stranger.pid, static_cast<int64_t>(static_cast<int32_t>(stranger.uid))),
      "end that process, or ask its user why");
  return out;
}

} // namespace sluice::doctor
