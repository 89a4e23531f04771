#pragma once

#include "runtime/catalogue/operation.hpp"

#include <caf/expected.hpp>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sluice {

/// The operations of a store. Immutable; safe to share between threads.
class catalogue {
public:
  /// Without operations.
  catalogue();

  /// @pre no two of `operations` have the same name
  /// @param content_hash see `content_hash`
  catalogue(std::vector<operation> operations, std::string content_hash);

  catalogue(const catalogue&) = delete;
  catalogue& operator=(const catalogue&) = delete;

  /// In constant time. Null if there is none of this name; valid as long as the catalogue.
  const operation* find(std::string_view name) const noexcept;

  /// In the order of their names.
  const std::vector<operation>& operations() const noexcept { return operations_; }

  /// 64 hexadecimal digits (BLAKE2b), equal for catalogues that were read from the same files with the same names and
  /// contents.
  const std::string& content_hash() const noexcept { return content_hash_; }

private:
  std::vector<operation> operations_;
  // The keys are views of the names in `operations_`, which is never changed.
  std::unordered_map<std::string_view, size_t> places_;
  std::string content_hash_;
};

/// An operation file that has been read.
struct operation_source {
  /// For messages, as in `parse_operation_file`.
  std::string file;
  std::string text;
};

/// The operations of all `sources`. Pure; safe from any thread. `errc::invalid_request` for a mistake in one of them,
/// and for a name that two of them define, with both places.
caf::expected<std::shared_ptr<const catalogue>> make_catalogue(const std::vector<operation_source>& sources);

/// Reads the regular files of `folder` whose names end in `.sql`, in the order of their names; not those of folders in
/// it, and not hidden ones. A folder that does not exist has none, and a file that is removed meanwhile is left out.
/// Safe from any thread; blocks in the file system.
///
/// Besides the errors of `make_catalogue`: `errc::invalid_request` for a folder or file that is a symbolic link, which
/// might lead out of the store, and for a file of more than 1 MiB; `io_error` if the system refuses to read one.
caf::expected<std::shared_ptr<const catalogue>> load_catalogue(const std::filesystem::path& folder);

} // namespace sluice
