#include "runtime/sqlite/functions/bounded_functions.hpp"

#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/functions/builtin_functions.hpp"
#include "runtime/sqlite/functions/format_cost.hpp"
#include "runtime/sqlite/functions/pattern_match.hpp"
#include "runtime/sqlite/functions/pattern_planning.hpp"
#include "runtime/sqlite/functions/text_functions.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>

namespace sluice::sqlite {

namespace {

// The work that SQLite's own comparison does in a few milliseconds at most.
constexpr uint64_t short_work = 1ULL << 22;

// Shared by the functions of one connection.
struct function_state {
  function_state(const function_limits& given, std::function<bool()> due)
    : limits(given), is_due(std::move(due)), builtin(static_cast<int>(given.max_value_bytes)) {}

  function_limits limits;
  std::function<bool()> is_due;
  builtin_functions builtin;
  // Whether the planner must be able to use the current call.
  bool is_marking = false;
  bool like_takes_blobs = sqlite3_compileoption_used("LIKE_DOESNT_MATCH_BLOBS") == 0;
};

// The user data of one function; begins with the structure that SQLite's planner expects for LIKE and GLOB.
struct bounded_function {
  pattern_rules rules;
  std::shared_ptr<function_state> state;
  const char* name = "";
  bool trims_left = false;
  bool trims_right = false;
};

using call = void (*)(sqlite3_context*, bounded_function&, int, sqlite3_value**);

bounded_function& self(sqlite3_context* context) { return *static_cast<bounded_function*>(sqlite3_user_data(context)); }

template <call Function> void guarded(sqlite3_context* context, int count, sqlite3_value** arguments) noexcept {
  try {
    Function(context, self(context), count, arguments);
  } catch (const std::bad_alloc&) {
    sqlite3_result_error_nomem(context);
  }
}

void fail_too_large(sqlite3_context* context, const std::string& reason) {
  sqlite3_result_error(context, reason.c_str(), static_cast<int>(reason.size()));
  sqlite3_result_error_code(context, SQLITE_TOOBIG);
}

void fail_work(sqlite3_context* context, const bounded_function& f) {
  fail_too_large(context, std::string{f.name}
                            + "() would compare too long with texts of this size and such a second argument; make them "
                              "shorter or simpler");
}

bool ends_now(sqlite3_context* context, const bounded_function& f, uint64_t work) {
  if (work <= short_work || !f.state->is_due || !f.state->is_due())
    return false;
  sqlite3_result_error_code(context, SQLITE_INTERRUPT);
  return true;
}

std::string_view bytes_as_text(sqlite3_value* argument) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(argument));
  return text ? std::string_view{text, static_cast<size_t>(sqlite3_value_bytes(argument))} : std::string_view{};
}

std::string_view bytes_as_blob(sqlite3_value* argument) {
  const auto* bytes = static_cast<const char*>(sqlite3_value_blob(argument));
  return bytes ? std::string_view{bytes, static_cast<size_t>(sqlite3_value_bytes(argument))} : std::string_view{};
}

struct value_freer {
  void operator()(sqlite3_value* argument) const noexcept { sqlite3_value_free(argument); }
};

void instr(sqlite3_context* context, bounded_function& f, int, sqlite3_value** arguments) {
  auto in = sqlite3_value_type(arguments[0]);
  auto type = sqlite3_value_type(arguments[1]);
  if (in == SQLITE_NULL || type == SQLITE_NULL)
    return;
  if (ends_now(context, f, static_cast<uint64_t>(sqlite3_value_bytes(arguments[0]))))
    return;
  if (in == SQLITE_BLOB && type == SQLITE_BLOB)
    return sqlite3_result_int64(context, find_bytes(bytes_as_blob(arguments[0]), bytes_as_blob(arguments[1])));
  if (in != SQLITE_BLOB && type != SQLITE_BLOB)
    return sqlite3_result_int64(context, find_characters(bytes_as_text(arguments[0]), bytes_as_text(arguments[1])));
  // A conversion of the original to text would change the blob for its next use.
  std::unique_ptr<sqlite3_value, value_freer> first{sqlite3_value_dup(arguments[0])};
  std::unique_ptr<sqlite3_value, value_freer> second{sqlite3_value_dup(arguments[1])};
  if (!first || !second)
    throw std::bad_alloc{};
  sqlite3_result_int64(context, find_characters(bytes_as_text(first.get()), bytes_as_text(second.get())));
}

void replace(sqlite3_context* context, bounded_function& f, int, sqlite3_value** arguments) {
  if (!sqlite3_value_text(arguments[0]))
    return;
  auto text = bytes_as_text(arguments[0]);
  const auto* begin = sqlite3_value_text(arguments[1]);
  if (!begin)
    return;
  if (*begin == 0)
    return sqlite3_result_value(context, arguments[0]);
  auto pattern = bytes_as_text(arguments[1]);
  if (!sqlite3_value_text(arguments[2]))
    return;
  auto by = bytes_as_text(arguments[2]);
  if (ends_now(context, f, text.size()))
    return;
  auto count = occurrences(text, pattern);
  auto size = text.size() - count * pattern.size() + count * by.size();
  if (std::max(size, text.size() + 1) > f.state->limits.max_value_bytes)
    return sqlite3_result_error_toobig(context);
  auto* out = static_cast<char*>(sqlite3_malloc64(size + 1));
  if (!out)
    throw std::bad_alloc{};
  replace_into(out, text, pattern, by);
  out[size] = '\0';
  sqlite3_result_text64(context, out, size, sqlite3_free, SQLITE_UTF8);
}

void trim(sqlite3_context* context, bounded_function& f, int, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[0]) == SQLITE_NULL || !sqlite3_value_text(arguments[0]))
    return;
  auto text = bytes_as_text(arguments[0]);
  const auto* characters = reinterpret_cast<const char*>(sqlite3_value_text(arguments[1]));
  if (!characters)
    return;
  trim_set set{characters};
  auto steps = f.state->limits.max_steps;
  auto is_done = set.empty() || !ends_now(context, f, text.size());
  if (!is_done)
    return;
  if ((f.trims_left && !set.empty() && !set.trim_left(text, steps))
      || (f.trims_right && !set.empty() && !set.trim_right(text, steps)))
    return fail_work(context, f);
  sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

// Takes the escape character of `x LIKE y ESCAPE z` and removes its special meaning; false when the result is set
// already.
bool take_escape(sqlite3_context* context, sqlite3_value* from, pattern_rules& rules, uint32_t& escape) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(from));
  if (!text)
    return false;
  if (count_characters(text) != 1) {
    sqlite3_result_error(context, "ESCAPE expression must be a single character", -1);
    return false;
  }
  escape = first_character(text);
  if (escape == rules.any_run)
    rules.any_run = 0;
  if (escape == rules.any_one)
    rules.any_one = 0;
  return true;
}

void match(sqlite3_context* context, bounded_function& f, int count, sqlite3_value** arguments) {
  auto& state = *f.state;
  if (state.is_marking)
    mark_for_planner(context);
  if (!state.like_takes_blobs
      && (sqlite3_value_type(arguments[0]) == SQLITE_BLOB || sqlite3_value_type(arguments[1]) == SQLITE_BLOB))
    return sqlite3_result_int(context, 0);
  auto pattern_bytes = static_cast<uint64_t>(sqlite3_value_bytes(arguments[0]));
  auto longest = sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LIKE_PATTERN_LENGTH, -1);
  if (pattern_bytes > static_cast<uint64_t>(longest))
    return fail_too_large(context,
                          "LIKE or GLOB pattern too complex: it has more than " + std::to_string(longest) + " bytes");
  auto rules = f.rules;
  uint32_t escape = 0;
  if (count == 3 && !take_escape(context, arguments[2], rules, escape))
    return;
  const auto* pattern = reinterpret_cast<const char*>(sqlite3_value_text(arguments[0]));
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(arguments[1]));
  if (!pattern || !text)
    return;
  auto work = pattern_bytes * static_cast<uint64_t>(sqlite3_value_bytes(arguments[1]));
  auto is_usual = rules.any_run == f.rules.any_run && rules.any_one == f.rules.any_one;
  if (is_usual && work <= short_work) {
    auto differs = rules.set != 0 ? sqlite3_strglob(pattern, text) : sqlite3_strlike(pattern, text, escape);
    return sqlite3_result_int(context, differs == 0 ? 1 : 0);
  }
  if (ends_now(context, f, work))
    return;
  auto steps = state.limits.max_steps;
  auto verdict = match_pattern(pattern, text, rules, escape, steps);
  if (verdict == pattern_verdict::too_much_work)
    return fail_work(context, f);
  sqlite3_result_int(context, verdict == pattern_verdict::match ? 1 : 0);
}

void format(sqlite3_context* context, bounded_function& f, int count, sqlite3_value** arguments) {
  if (count > 0)
    if (const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(arguments[0]))) {
      auto number = [&](size_t i) {
        return i < static_cast<size_t>(count) ? sqlite3_value_int64(arguments[i]) : int64_t{0};
      };
      if (format_cost(text, number) > f.state->limits.max_value_bytes)
        return fail_too_large(context, "the widths and precisions of this format add up to more than "
                                         + std::to_string(f.state->limits.max_value_bytes)
                                         + " bytes (max_value_bytes)");
    }
  f.state->builtin.call(context, f.name, count, arguments);
}

// For each member of the patch, the members of the document are searched linearly.
void json_patch(sqlite3_context* context, bounded_function& f, int count, sqlite3_value** arguments) {
  constexpr int is_json = 'J';
  auto members = [&](int i) {
    auto text = bytes_as_text(arguments[i]);
    return static_cast<uint64_t>(std::count(text.begin(), text.end(), ':'));
  };
  if (sqlite3_value_type(arguments[0]) != SQLITE_NULL && sqlite3_value_type(arguments[1]) != SQLITE_NULL) {
    auto work = members(0) * members(1);
    if (ends_now(context, f, work))
      return;
    if (work > f.state->limits.max_steps)
      return fail_work(context, f);
  }
  if (f.state->builtin.call(context, f.name, count, arguments))
    sqlite3_result_subtype(context, is_json);
}

struct registration {
  const char* name;
  int arguments;
  void (*function)(sqlite3_context*, int, sqlite3_value**);
  pattern_rules rules{};
  bool trims_left = false;
  bool trims_right = false;
};

// Arguments in SQLite's order.
constexpr std::array registrations{
  registration{"instr", 2, guarded<instr>},
  registration{"replace", 3, guarded<replace>},
  registration{"trim", 2, guarded<trim>, {}, true, true},
  registration{"ltrim", 2, guarded<trim>, {}, true, false},
  registration{"rtrim", 2, guarded<trim>, {}, false, true},
  registration{"like", 2, guarded<match>, like_rules},
  registration{"like", 3, guarded<match>, like_rules},
  registration{"glob", 2, guarded<match>, glob_rules},
  registration{"printf", -1, guarded<format>},
  registration{"format", -1, guarded<format>},
  registration{"json_patch", 2, guarded<json_patch>},
};

void release(void* data) noexcept { delete static_cast<bounded_function*>(data); }

} // namespace

caf::expected<void> bound_functions(connection& db, const function_limits& limits, std::function<bool()> is_due) {
  auto state = std::make_shared<function_state>(limits, std::move(is_due));
  for (const auto& function : registrations) {
    auto data = std::make_unique<bounded_function>();
    data->rules = function.rules;
    data->state = state;
    data->name = function.name;
    data->trims_left = function.trims_left;
    data->trims_right = function.trims_right;
    // SQLite releases the user data, even when it fails.
    auto code = sqlite3_create_function_v2(db.handle(), function.name, function.arguments,
                                           SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, data.release(),
                                           function.function, nullptr, nullptr, release);
    if (code != SQLITE_OK)
      return to_error(db.handle(), code);
  }
  state->is_marking = true;
  auto marked = db.exec("SELECT like('', ''), like('', '', '\\'), glob('', '')");
  state->is_marking = false;
  return marked;
}

} // namespace sluice::sqlite
