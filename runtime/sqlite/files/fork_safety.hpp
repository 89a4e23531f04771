#pragma once

namespace sluice::sqlite {

/// From now on SQLite can be used in children that any thread of this process forks, for files that the parent had not
/// open. A fork waits until no other thread holds one of SQLite's global mutexes, which the child could otherwise never
/// lock, not even to allocate memory. Idempotent, thread-safe.
void make_usable_in_children();

} // namespace sluice::sqlite
