#include "runtime/store/change_file.hpp"

#include "runtime/os/descriptor.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice {

namespace {

// So that a small snapshot is not written again for every second change.
constexpr uint64_t least_changes_bytes = 16'384;

bool write_whole(int fd, std::string_view text) {
  return write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

} // namespace

std::vector<std::string> change_file::read() {
  known_.reset();
  std::ifstream in{file_};
  std::stringstream content;
  content << in.rdbuf();
  auto text = content.str();
  std::vector<std::string> lines;
  for (std::string_view rest = text; !rest.empty();) {
    auto end = rest.find('\n');
    lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  if (!text.ends_with('\n'))
    return lines;
  known_ = identity_of(file_);
  size_ = text.size();
  snapshot_size_ = lines.front().size() + 1;
  return lines;
}

bool change_file::append(std::string_view lines) {
  auto changes = size_ - snapshot_size_ + lines.size();
  if (!known_ || changes > std::max(snapshot_size_, least_changes_bytes))
    return false;
  descriptor file{open(file_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)};
  struct stat info {};
  // Another program may have replaced it, or made a copy of the folder with hard links.
  auto is_as_left = file && fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1
                    && identity_of(file.get()) == known_ && static_cast<uint64_t>(info.st_size) == size_;
  if (!is_as_left || !write_whole(file.get(), lines)) {
    known_.reset();
    return false;
  }
  size_ += lines.size();
  return true;
}

void change_file::replace(std::string_view snapshot) {
  known_.reset();
  auto unfinished = file_;
  unfinished += ".new";
  descriptor file{open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!file || !write_whole(file.get(), snapshot) || rename(unfinished.c_str(), file_.c_str()) != 0) {
    unlink(unfinished.c_str());
    return;
  }
  known_ = identity_of(file.get());
  size_ = snapshot_size_ = snapshot.size();
}

} // namespace sluice
