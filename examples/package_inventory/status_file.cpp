#include "examples/package_inventory/inventory.hpp"

#include <algorithm>
#include <fstream>
#include <string_view>

namespace inventory {

namespace {

// "libc6 (>= 2.34) | libc6-udeb, perl:any" names libc6 and perl: the first alternative of each, without its version.
std::vector<std::string> names_in(std::string_view list) {
  std::vector<std::string> result;
  while (!list.empty()) {
    auto comma = std::min(list.find(','), list.size());
    auto item = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    auto begin = std::min(item.find_first_not_of(' '), item.size());
    auto end = std::min(item.find_first_of(" (|:", begin), item.size());
    if (end > begin)
      result.emplace_back(item.substr(begin, end - begin));
  }
  return result;
}

void set_field(package& package, std::string_view field, std::string_view content) {
  if (field == "Package")
    package.name = content;
  else if (field == "Version")
    package.version = content;
  else if (field == "Architecture")
    package.architecture = content;
  else if (field == "Section")
    package.section = content;
  else if (field == "Description")
    package.summary = content;
  else if (field == "Installed-Size")
    package.installed_kib = std::strtoll(std::string{content}.c_str(), nullptr, 10);
  else if (field == "Depends" || field == "Pre-Depends")
    for (auto& name : names_in(content))
      package.depends.push_back(std::move(name));
}

} // namespace

std::vector<package> read_status_file(const std::filesystem::path& file) {
  std::vector<package> result;
  package current;
  auto finish = [&] {
    if (!current.name.empty())
      result.push_back(std::move(current));
    current = {};
  };
  std::ifstream in{file};
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) {
      finish();
      continue;
    }
    // Lines that begin with a blank continue a field that we do not keep in full.
    auto colon = line.find(": ");
    if (line.front() != ' ' && colon != std::string::npos)
      set_field(current, std::string_view{line}.substr(0, colon), std::string_view{line}.substr(colon + 2));
  }
  finish();
  return result;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

} // namespace inventory
