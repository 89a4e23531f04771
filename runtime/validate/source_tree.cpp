#include "runtime/validate/source_tree.hpp"

#include "runtime/os/descriptor.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace sluice::validate {

namespace {

namespace fs = std::filesystem;

// So much of a file shows its first line, and whether it is text.
constexpr size_t head_bytes = 4096;

std::string reason_of(int code) { return std::generic_category().message(code); }

// Appends up to `most` bytes; returns 0 or an errno.
int append(int fd, std::string& to, uint64_t most) {
  while (to.size() < most) {
    char part[65536];
    auto n = read(fd, part, std::min<uint64_t>(sizeof part, most - to.size()));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 ? errno : 0;
    to.append(part, static_cast<size_t>(n));
  }
  return 0;
}

class tree_reader {
public:
  tree_reader(fs::path root, const std::vector<std::string>& ignored, const tree_bounds& bounds,
              const source_visitor& visit)
    : root_(std::move(root)), ignored_(ignored), bounds_(bounds), visit_(visit) {}

  tree_look run() {
    std::error_code failed;
    if (fs::is_directory(root_, failed))
      read_folder("", 0);
    else
      read_file(root_, root_.filename().native());
    return std::move(look_);
  }

private:
  void skip(std::string path, std::string reason) {
    look_.unread.push_back({path.empty() ? "." : std::move(path), std::move(reason)});
  }

  bool is_ignored(const std::string& name) const {
    const auto& usual = usually_ignored_folders();
    return std::find(usual.begin(), usual.end(), name) != usual.end()
           || std::find(ignored_.begin(), ignored_.end(), name) != ignored_.end();
  }

  void read_folder(const std::string& path, size_t depth) {
    if (depth > bounds_.depth)
      return skip(path, fmt::format("more than {} folders deep", bounds_.depth));
    std::error_code failed;
    std::vector<fs::directory_entry> entries;
    for (fs::directory_iterator at{root_ / path, failed}, end; !failed && at != end; at.increment(failed)) {
      if (++entries_ > bounds_.entries) {
        if (entries_ == bounds_.entries + 1)
          skip(path, fmt::format("more than {} files and folders; validate parts of the tree", bounds_.entries));
        break;
      }
      entries.push_back(*at);
    }
    if (failed)
      skip(path, failed.message());
    std::sort(entries.begin(), entries.end());
    for (const auto& entry : entries)
      read_entry(entry, path.empty() ? entry.path().filename().native() : path + "/" + entry.path().filename().native(),
                 depth);
  }

  void read_entry(const fs::directory_entry& entry, const std::string& path, size_t depth) {
    std::error_code failed;
    switch (entry.symlink_status(failed).type()) {
    case fs::file_type::symlink: ++look_.links; break;
    case fs::file_type::directory:
      if (!is_ignored(entry.path().filename().native()))
        read_folder(path, depth + 1);
      break;
    case fs::file_type::regular: read_file(entry.path(), path); break;
    // Sockets, pipes and devices are no sources.
    default: break;
    }
  }

  void read_file(const fs::path& file, const std::string& path) {
    auto name = file.filename().native();
    auto of = language_of_name(name);
    if (!of && !has_no_ending(name))
      return;
    // It may have become something else since it was listed: a pipe would block, a link lead elsewhere.
    descriptor fd{
      open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | (path == name && is_root(file) ? 0 : O_NOFOLLOW))};
    if (!fd)
      return skip(path, reason_of(errno));
    struct stat status {};
    if (fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode))
      return;
    std::string text;
    auto code = append(fd.get(), text, head_bytes);
    if (!of && code == 0)
      of = language_of_first_line(std::string_view{text}.substr(0, text.find('\n')));
    if (code == 0 && !of)
      return;
    if (code == 0 && static_cast<uint64_t>(status.st_size) > bounds_.file_bytes)
      return skip(path, fmt::format("larger than {} bytes", bounds_.file_bytes));
    code = code != 0 ? code : append(fd.get(), text, bounds_.file_bytes + 1);
    if (code != 0)
      return skip(path, reason_of(code));
    if (text.size() > bounds_.file_bytes)
      return skip(path, fmt::format("larger than {} bytes", bounds_.file_bytes));
    if (text.find('\0') != std::string::npos)
      return skip(path, "it has NUL bytes, so it is no text");
    ++look_.sources;
    if (auto found = find_open_calls(text, *of); !found.empty())
      visit_(path, *of, std::move(found));
  }

  bool is_root(const fs::path& file) const { return file == root_; }

  fs::path root_;
  const std::vector<std::string>& ignored_;
  const tree_bounds& bounds_;
  const source_visitor& visit_;
  size_t entries_ = 0;
  tree_look look_;
};

} // namespace

tree_look look_at_tree(const fs::path& root, const std::vector<std::string>& ignored_folders, const tree_bounds& bounds,
                       const source_visitor& visit) {
  return tree_reader{root, ignored_folders, bounds, visit}.run();
}

const std::vector<std::string>& usually_ignored_folders() {
  static const std::vector<std::string> names{
    ".git", ".hg",   ".svn",        ".jj",  ".sluice", "build",       "node_modules",  "target",
    "venv", ".venv", "__pycache__", ".tox", ".nox",    ".mypy_cache", ".pytest_cache", "site-packages"};
  return names;
}

} // namespace sluice::validate
