#include "runtime/catalogue/live_catalogue.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

namespace sluice {

namespace {

namespace fs = std::filesystem;

// Equal texts mean the same files. A file that is written again within the resolution of its time has another size, or
// is not noticed; editors and version control replace files, which changes the inode.
std::string state_of(const fs::path& folder) {
  struct stat whole {};
  if (lstat(folder.c_str(), &whole) != 0)
    return std::generic_category().message(errno);
  std::vector<std::string> files{fmt::format("folder {} {}", whole.st_ino, whole.st_mode)};
  std::error_code failed;
  for (fs::directory_iterator i{folder, failed}, end; !failed && i != end; i.increment(failed)) {
    struct stat info {};
    if (i->path().extension() == ".sql" && lstat(i->path().c_str(), &info) == 0)
      files.push_back(fmt::format("{} {} {}.{} {}.{} {}", i->path().filename().native(), info.st_size,
                                  info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec,
                                  info.st_ino));
  }
  std::sort(files.begin(), files.end());
  std::string result = failed ? failed.message() + "\n" : "";
  for (const auto& file : files)
    result += file + "\n";
  return result;
}

} // namespace

void live_catalogue::refresh() {
  // Before the files are read: a change in between is found the next time.
  auto state = state_of(folder_);
  if (state_of_files_ == state)
    return;
  auto loaded = load_catalogue(folder_);
  // Whatever the system refused may work the next time.
  auto is_final = loaded || code_of(loaded.error()) == errc::invalid_request;
  state_of_files_ = is_final ? std::optional{std::move(state)} : std::nullopt;
  mistake_.reset();
  if (loaded)
    operations_ = std::move(*loaded);
  else
    mistake_ = describe(loaded.error());
}

} // namespace sluice
