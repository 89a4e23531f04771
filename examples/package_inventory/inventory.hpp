#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace inventory {

/// One installed package, as dpkg's status file describes it.
struct package {
  std::string name;
  std::string version;
  std::string architecture;
  std::string section;
  std::string summary;
  int64_t installed_kib = 0;
  std::vector<std::string> depends;
};

/// Reads dpkg's status file: paragraphs of `Field: value` lines. Paragraphs without a name are skipped.
std::vector<package> read_status_file(const std::filesystem::path& file);

inline constexpr const char* create_packages =
  "CREATE TABLE packages (name TEXT NOT NULL, architecture TEXT NOT NULL, version TEXT NOT NULL, "
  "section TEXT NOT NULL, summary TEXT NOT NULL, installed_kib INTEGER NOT NULL, PRIMARY KEY (name, architecture))";
inline constexpr const char* create_depends =
  "CREATE TABLE depends (package TEXT NOT NULL, architecture TEXT NOT NULL, on_package TEXT NOT NULL, "
  "PRIMARY KEY (package, architecture, on_package), "
  "FOREIGN KEY (package, architecture) REFERENCES packages (name, architecture)) WITHOUT ROWID";
inline constexpr const char* insert_package =
  "INSERT INTO packages (name, architecture, version, section, summary, installed_kib) VALUES (?, ?, ?, ?, ?, ?)";
inline constexpr const char* insert_depends =
  "INSERT OR IGNORE INTO depends (package, architecture, on_package) VALUES (?, ?, ?)";

inline constexpr const char* select_totals =
  "SELECT section, count(*) AS packages, sum(installed_kib) / 1024 AS mib FROM packages GROUP BY section "
  "ORDER BY mib DESC LIMIT 5";
inline constexpr const char* select_most_needed =
  "SELECT on_package, count(*) AS needed_by FROM depends GROUP BY on_package ORDER BY needed_by DESC LIMIT 5";

/// The result of one way of loading.
struct load_report {
  double seconds = 0;
  uint64_t written = 0;
  uint64_t failed = 0;
  uint64_t lock_errors = 0;
  std::vector<double> latencies_us;
};

/// Writes without a broker: each thread has a connection of its own and retries when the file is locked, while two
/// others read.
load_report load_directly(const std::vector<package>& packages, const std::filesystem::path& file, size_t agents);

/// The `q`-quantile of `values`, 0 to 1.
double quantile(std::vector<double> values, double q);

} // namespace inventory
