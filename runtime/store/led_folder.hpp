#pragma once

#include "runtime/os/file_identity.hpp"

namespace sluice {

/// Marks, as long as it lives, that a broker of this process works in a folder: leads it, or has databases in it open.
/// Other callers in the same process then do not wait for the lock. Thread-safe.
class led_folder {
public:
  explicit led_folder(const file_identity& folder);
  led_folder(const led_folder&) = delete;
  led_folder& operator=(const led_folder&) = delete;
  ~led_folder();

private:
  file_identity folder_;
};

/// Whether a broker of this process works in `folder`; false in a forked child for its parent's brokers.
bool is_led_here(const file_identity& folder);

/// Whether a process that this one was forked from had a broker in `folder` at that time. SQLite considers its
/// connections and locks those of this process, until this process executes a program.
bool was_led_before_fork(const file_identity& folder);

} // namespace sluice
