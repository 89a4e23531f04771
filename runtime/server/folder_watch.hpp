#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <filesystem>
#include <functional>
#include <memory>

namespace sluice {

/// Calls back when an entry was deleted from a folder or moved out of it, or when the folder or its parent was: a
/// moment after the last such event, so that a program that deletes the whole folder is not disturbed. When the folder
/// or one above it was moved, it calls back at once. Costs nothing until then (inotify). Has no effect where the system
/// refuses to watch. Used by the loop's thread.
class folder_watch {
public:
  folder_watch(boost::asio::io_context& loop, const std::filesystem::path& folder, std::function<void()> on_removal);

private:
  void await();
  void await_quiet();
  bool has_move(size_t bytes) const;

  boost::asio::posix::stream_descriptor events_;
  boost::asio::steady_timer quiet_;
  std::array<char, 4096> buffer_;
  std::function<void()> on_removal_;
  // A handler may already be due when this is destroyed.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace sluice
