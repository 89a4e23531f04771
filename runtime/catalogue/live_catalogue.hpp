#pragma once

#include "messages/error.hpp"
#include "runtime/catalogue/catalogue.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace sluice {

/// The operations of a folder, which are read again when its files have changed. A mistake in a file leaves the earlier
/// operations in force. Used by one thread at a time.
class live_catalogue {
public:
  explicit live_catalogue(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Compares name, size, time and inode of each file, and reads all when one differs. Blocks in the file system.
  void refresh();

  /// Without operations before the first `refresh`. Never null.
  const std::shared_ptr<const catalogue>& operations() const noexcept { return operations_; }

  /// The reason why the files are not in force, as of the last `refresh`.
  const std::optional<failure>& mistake() const noexcept { return mistake_; }

private:
  std::filesystem::path folder_;
  std::shared_ptr<const catalogue> operations_ = std::make_shared<const catalogue>();
  std::optional<failure> mistake_;
  std::optional<std::string> state_of_files_;
};

} // namespace sluice
