#include "runtime/doctor/nesting.hpp"

#include <fmt/format.h>
#include <system_error>

namespace sluice::doctor {

namespace {

namespace fs = std::filesystem;

constexpr size_t max_entries = 20'000;
constexpr size_t max_named = 10;

bool is_store(const fs::path& folder) {
  std::error_code failed;
  return fs::is_directory(fs::symlink_status(folder / ".sluice", failed));
}

std::vector<fs::path> stores_below(const fs::path& root) {
  std::vector<fs::path> result;
  std::error_code failed;
  size_t seen = 0;
  fs::recursive_directory_iterator at{root, fs::directory_options::skip_permission_denied, failed};
  for (; !failed && at != fs::recursive_directory_iterator{}; at.increment(failed)) {
    std::error_code unreadable;
    if (++seen > max_entries || result.size() >= max_named)
      break;
    if (!fs::is_directory(at->symlink_status(unreadable)))
      continue;
    if (at->path().filename() == ".sluice") {
      at.disable_recursion_pending();
    } else if (is_store(at->path())) {
      result.push_back(at->path().lexically_relative(root));
      at.disable_recursion_pending();
    }
  }
  return result;
}

bool lies_in_a_store(const fs::path& root) {
  for (auto above = root; above.has_relative_path();) {
    above = above.parent_path();
    if (is_store(above))
      return true;
  }
  return false;
}

} // namespace

std::optional<fs::path> inner_store_of(const fs::path& root, const std::string& name) {
  fs::path inner;
  for (const auto& part : fs::path{name}.parent_path()) {
    inner /= part;
    if (is_store(root / inner))
      return inner;
  }
  return std::nullopt;
}

findings check_nesting(const fs::path& root, const std::vector<std::string>& databases) {
  findings out;
  for (const auto& inner : stores_below(root))
    out.push_back(
      {severity::note, "nested_stores", inner.native() + "/",
       "it is a store of its own (it has a .sluice/): requests to this store for databases in it are refused "
       "with wrong_store",
       ""});
  for (const auto& name : databases)
    if (auto inner = inner_store_of(root, name))
      out.push_back(
        {severity::warning, "nested_stores", name,
         fmt::format("it was used through this store, and now lies in {}/, a store of its own: requests for "
                     "it are refused here",
                     inner->native()),
         fmt::format("use {}/ as the store root; or stop both brokers and delete {}/.sluice", inner->native(),
                     inner->native())});
  if (lies_in_a_store(root))
    out.push_back({severity::note, "nested_stores", "store",
                   "a folder above it is a store, too; that one refuses names that lead here", ""});
  if (out.empty())
    out.push_back({severity::ok, "nested_stores", "store", "no store lies in it, and it lies in none"});
  return out;
}

} // namespace sluice::doctor
