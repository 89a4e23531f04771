#pragma once

#include <chrono>
#include <cstdint>

/// How a process that is a broker and nothing else treats its heap. The process of an embedding host has a policy of
/// its own: there `give_memory_back` is not called, and `released` does nothing.
namespace sluice::heap_policy {

/// From now on the memory of large answers goes back to the system about a second after they have been delivered;
/// the C library would keep it. Starts a thread, which sleeps until there is such an answer. To be called once.
void give_memory_back();

/// The rows of an answer, which took `bytes`, have been freed. Thread-safe; costs nothing for small ones.
void released(uint64_t bytes) noexcept;

/// A statement has ended that may have taken much memory, if it took that long. Thread-safe.
void statement_ended(std::chrono::nanoseconds took) noexcept;

} // namespace sluice::heap_policy
