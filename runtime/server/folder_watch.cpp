#include "runtime/server/folder_watch.hpp"

#include <boost/asio/buffer.hpp>

#include <cstring>
#include <sys/inotify.h>

namespace sluice {

namespace {

constexpr std::chrono::milliseconds quiet_time{100};

}

folder_watch::folder_watch(boost::asio::io_context& loop, const std::filesystem::path& folder,
                           std::function<void()> on_removal)
  : events_(loop), quiet_(loop), on_removal_(std::move(on_removal)) {
  auto fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0)
    return;
  events_.assign(fd);
  constexpr uint32_t itself = IN_DELETE_SELF | IN_MOVE_SELF;
  // inotify reports nothing for folders that this user may not read.
  for (auto above = folder.parent_path(); above.has_relative_path(); above = above.parent_path())
    inotify_add_watch(fd, above.c_str(), itself);
  if (inotify_add_watch(fd, folder.c_str(), IN_DELETE | IN_MOVED_FROM | itself) >= 0)
    await();
}

void folder_watch::await() {
  auto take = [this, here = std::weak_ptr{alive_}](const boost::system::error_code& failed, size_t bytes) {
    if (failed || here.expired())
      return;
    if (has_move(bytes))
      on_removal_();
    await_quiet();
    await();
  };
  events_.async_read_some(boost::asio::buffer(buffer_), take);
}

bool folder_watch::has_move(size_t bytes) const {
  for (size_t at = 0; at + sizeof(inotify_event) <= bytes;) {
    inotify_event event{};
    std::memcpy(&event, buffer_.data() + at, sizeof event);
    if ((event.mask & IN_MOVE_SELF) != 0)
      return true;
    at += sizeof event + event.len;
  }
  return false;
}

void folder_watch::await_quiet() {
  quiet_.expires_after(quiet_time);
  quiet_.async_wait([this, here = std::weak_ptr{alive_}](const boost::system::error_code& cancelled) {
    if (!cancelled && !here.expired())
      on_removal_();
  });
}

} // namespace sluice
