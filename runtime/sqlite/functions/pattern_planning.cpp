#include "runtime/sqlite/functions/pattern_planning.hpp"

#include "runtime/sqlite/functions/pattern_match.hpp"

#include <sqlite3.h>

#include <cstdint>
#include <cstring>

namespace sluice::sqlite {

namespace {

// The beginning of FuncDef and sqlite3_context in SQLite 3.40.
struct function_head {
  int8_t arguments;
  uint32_t flags;
  const void* user_data;
};

struct context_head {
  void* result;
  function_head* function;
};

constexpr int tried_version = 3'040;
constexpr uint32_t text_encodings = 0x3;
constexpr uint32_t is_like = 0x4;
constexpr uint32_t is_case_sensitive = 0x8;

} // namespace

void mark_for_planner(sqlite3_context* context) noexcept {
  if (sqlite3_libversion_number() / 1'000 != tried_version || sizeof(void*) != 8)
    return;
  context_head head{};
  std::memcpy(&head, static_cast<const void*>(context), sizeof(head));
  const auto* rules = static_cast<const pattern_rules*>(sqlite3_user_data(context));
  function_head function{};
  std::memcpy(&function, head.function, sizeof(function));
  auto is_known = (function.arguments == 2 || function.arguments == 3) && function.user_data == rules
                  && (function.flags & text_encodings) == SQLITE_UTF8 && (function.flags & SQLITE_DETERMINISTIC) != 0
                  && (function.flags & (is_like | is_case_sensitive)) == 0;
  if (!is_known)
    return;
  function.flags |= is_like | (rules->folds_case != 0 ? 0U : is_case_sensitive);
  std::memcpy(&head.function->flags, &function.flags, sizeof(function.flags));
}

} // namespace sluice::sqlite
