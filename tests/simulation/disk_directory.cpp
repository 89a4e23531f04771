#include "tests/simulation/disk_directory.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace sluice::simulation {

namespace {

bool same(const struct stat& a, const struct stat& b) { return a.st_ino == b.st_ino && a.st_dev == b.st_dev; }

bool is_placeholder(const disk_file& file, const struct stat& there) {
  struct stat placeholder_stat {};
  return fstat(file.placeholder.get(), &placeholder_stat) == 0 && same(placeholder_stat, there);
}

descriptor open_placeholder(const std::string& path) {
  return descriptor{open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644)};
}

std::string_view folder_of(std::string_view path) { return path.substr(0, path.rfind('/') + 1); }

// FNV-1a with a word per step, because simulations compute the digest of the whole disk after each of their steps.
class summer {
public:
  void add(std::span<const uint8_t> bytes) {
    mix(bytes.size());
    for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, std::min(sizeof word, bytes.size() - at));
      mix(word);
    }
  }

  void add(std::string_view text) { add({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }

  uint64_t sum() const { return sum_; }

private:
  void mix(uint64_t number) {
    sum_ = (sum_ ^ number) * 0x100000001b3ULL;
    // The upper bits of a factor have no effect on the lower bits of a product.
    sum_ ^= sum_ >> 32U;
  }

  uint64_t sum_ = 0xcbf29ce484222325ULL;
};

} // namespace

disk_directory::~disk_directory() {
  while (!names_.empty())
    remove(names_.begin()->first);
  while (!indexes_.empty())
    hide_index(*indexes_.begin());
}

disk_directory::file disk_directory::find(const std::string& path) {
  auto known = names_.find(path);
  struct stat there {};
  if (stat(path.c_str(), &there) != 0 || !S_ISREG(there.st_mode)) {
    if (known != names_.end())
      names_.erase(known);
    return nullptr;
  }
  if (known != names_.end() && is_placeholder(*known->second, there))
    return known->second;
  for (const auto& [name, x] : names_)
    if (is_placeholder(*x, there))
      return names_[path] = x;
  return there.st_size == 0 ? make(path) : nullptr;
}

disk_directory::file disk_directory::make(const std::string& path) {
  auto result = std::make_shared<disk_file>();
  result->placeholder = open_placeholder(path);
  if (!result->placeholder)
    return nullptr;
  return names_[path] = std::move(result);
}

// Takes the name by value, because it may be the key that is erased.
void disk_directory::remove(std::string path) {
  names_.erase(path);
  unlink(path.c_str());
}

void disk_directory::sync(const std::string& path, const file& file) {
  auto found = names_.find(path);
  if (found != names_.end() && found->second == file)
    durable_[path] = file;
}

void disk_directory::sync_folder(const std::string& path) {
  auto folder = folder_of(path);
  std::erase_if(durable_, [&](const auto& x) { return folder_of(x.first) == folder; });
  for (const auto& [name, x] : names_)
    if (folder_of(name) == folder)
      durable_[name] = x;
}

void disk_directory::show_index(const std::string& path) {
  if (open_placeholder(path))
    indexes_.insert(path);
}

void disk_directory::hide_index(std::string path) {
  unlink(path.c_str());
  indexes_.erase(path);
}

void disk_directory::forget_removed() {
  std::vector<std::string> names;
  for (const auto& [name, x] : names_)
    names.push_back(name);
  for (const auto& name : names)
    static_cast<void>(find(name));
}

void disk_directory::crash(std::mt19937_64& random) {
  forget_removed();
  while (!indexes_.empty())
    hide_index(*indexes_.begin());
  std::set<std::string> all;
  for (const auto* map : {&names_, &durable_})
    for (const auto& [name, x] : *map)
      all.insert(name);
  for (const auto& name : all) {
    auto now = names_.find(name);
    auto before = durable_.find(name);
    auto is = now == names_.end() ? nullptr : now->second;
    auto was = before == durable_.end() ? nullptr : before->second;
    auto stays = is == was || random() % 2 == 0 ? is : was;
    if (!stays) {
      remove(name);
      continue;
    }
    if (stays != is)
      stays->placeholder = open_placeholder(name);
    names_[name] = stays;
  }
  durable_ = names_;
  for (auto& [name, x] : names_)
    x->content.crash(random);
}

uint64_t disk_directory::digest() const {
  // The path of the folder is not part of the digest.
  auto root = names_.empty() ? std::string_view{} : folder_of(names_.begin()->first);
  for (const auto& [name, x] : names_)
    while (!name.starts_with(root))
      root = folder_of(root.substr(0, root.size() - 1));
  summer result;
  for (const auto* map : {&names_, &durable_}) {
    for (const auto& [name, x] : *map) {
      result.add(std::string_view{name}.substr(std::min(root.size(), name.size())));
      result.add(x->content.seen());
      result.add(x->content.durable());
    }
  }
  return result.sum();
}

} // namespace sluice::simulation
