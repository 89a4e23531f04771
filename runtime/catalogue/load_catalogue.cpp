#include "runtime/catalogue/catalogue.hpp"
#include "runtime/catalogue/operation_file.hpp"
#include "runtime/os/sql_folder.hpp"

namespace sluice {

caf::expected<std::shared_ptr<const catalogue>> load_catalogue(const std::filesystem::path& folder) {
  auto files = read_sql_folder(folder, max_operation_file_bytes, errc::invalid_request);
  if (!files)
    return std::move(files.error());
  if (!*files)
    return std::shared_ptr<const catalogue>{std::make_shared<catalogue>()};
  std::vector<operation_source> sources;
  for (auto& each : **files)
    sources.push_back({std::move(each.shown), std::move(each.text)});
  return make_catalogue(sources);
}

} // namespace sluice
