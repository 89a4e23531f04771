#pragma once

#include <filesystem>
#include <string>
#include <sys/types.h>

namespace sluice::sqlite {

/// Remembers which files a path and its `-wal` led to while the database there is open, to notice that somebody moved or
/// deleted them: what is written to such files is lost with their last descriptor. Looks, and opens nothing. Used by
/// one thread at a time.
class file_watch {
public:
  explicit file_watch(const std::filesystem::path& path) : path_(path.string()), log_path_(path_ + "-wal") {}

  /// The files are now those of the connection, which was just opened. Not to be said again of the same one: somebody
  /// may have come in between.
  void note() noexcept;

  /// Whether the path leads to another file since `note`, or to none.
  bool moved() const noexcept;

  /// Whether the write-ahead log that was there at `note`, or when this was asked first, is not there any more. Closing
  /// the connection then moves what is in it to the database file.
  bool log_moved() noexcept;

private:
  struct file_id {
    dev_t device = 0;
    ino_t inode = 0;
    friend bool operator==(const file_id&, const file_id&) = default;
  };

  static file_id look_up(const std::string& path) noexcept;

  std::string path_;
  std::string log_path_;
  file_id file_;
  file_id log_;
};

} // namespace sluice::sqlite
