#pragma once

#include <chrono>
#include <cstdint>

/// The heap policy of a process that is only a broker. An embedding host has its own policy: there `give_memory_back`
/// is not called, and `released` does nothing.
namespace sluice::heap_policy {

/// From now on the memory of large answers is returned to the system about a second after their delivery; the C library
/// would keep it. Starts a thread, which sleeps until there is such an answer. Call it once.
void give_memory_back();

/// The rows of an answer, which took `bytes`, have been freed. Thread-safe; costs nothing for small ones.
void released(uint64_t bytes) noexcept;

/// A statement has ended. Returns memory if it ran so long that it may have used much. Thread-safe.
void statement_ended(std::chrono::nanoseconds took) noexcept;

} // namespace sluice::heap_policy
