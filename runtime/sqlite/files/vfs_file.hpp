#pragma once

#include <filesystem>
#include <optional>
#include <string>

struct sqlite3;

/// Reads and writes whole files through SQLite's VFS: on the same disk as the databases, even if that is simulated.
namespace sluice::sqlite {

/// The content of the write-ahead log that the connection has open, whether or not it still has a name. Empty if the
/// log is; nothing when it cannot be read. @pre the connection is in WAL mode, has read, and no connection writes
std::optional<std::string> read_log(sqlite3* db);

/// The content of a file; nothing when it cannot be read. @pre no connection of this process has it open, whose locks
/// would be dropped
std::optional<std::string> read_file(const std::filesystem::path& file);

/// Whether there is such a file, and it is not empty.
bool has_content(const std::filesystem::path& file);

/// The first `size` bytes of a file; nothing when it has fewer, or cannot be read. @pre as `read_file`
std::optional<std::string> read_beginning(const std::filesystem::path& file, size_t size);

/// Writes the content to the file; creates it when it is missing. With `sync`, waits until it is on the disk. False
/// when that fails; the file may then contain a part. @pre as `read_file`
bool write_file(const std::filesystem::path& file, const std::string& content, bool sync);

/// Removes the file, and waits until the removal is on the disk. No effect when there is none.
void remove_file(const std::filesystem::path& file);

} // namespace sluice::sqlite
