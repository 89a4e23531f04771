#pragma once

namespace sluice::sqlite {

/// From now on SQLite can be used in children that any thread of this process forks, for files that the parent had not
/// open: a fork waits until no other thread has a lock of SQLite's that all its connections share, and that the child
/// could never get otherwise, not even to allocate memory. Idempotent, thread-safe.
void make_usable_in_children();

} // namespace sluice::sqlite
