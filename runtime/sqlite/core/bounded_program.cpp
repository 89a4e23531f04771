#include "runtime/sqlite/core/bounded_program.hpp"

#include "runtime/sqlite/core/statement.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace sluice::sqlite {

namespace {

// Instructions that begin another round, run another program, or are not bounded themselves. Those of statements that
// change the schema are not among them.
constexpr std::array<std::string_view, 20> unbounded{
  "Next",       "Prev",       "SorterNext", "VNext",  "VOpen",      "VFilter",   "VUpdate",
  "Program",    "Yield",      "Gosub",      "Return", "Clear",      "Destroy",   "SqlExec",
  "ResetCount", "RowSetRead", "RowSetTest", "Vacuum", "Checkpoint", "IncrVacuum"};

// At the end of each program, to its beginning, after the transaction has been begun.
constexpr int64_t first_instruction = 1;

bool is_unbounded(std::string_view opcode, int64_t address, int64_t target) {
  if (opcode == "Goto")
    return target <= address && target != first_instruction;
  return std::find(unbounded.begin(), unbounded.end(), opcode) != unbounded.end();
}

} // namespace

bool is_bounded_by_its_form(const connection& db, std::string_view sql) {
  auto program = prepared_statement::prepare(db, "EXPLAIN " + std::string{sql});
  if (!program)
    return false;
  for (;;) {
    auto row = program->step();
    if (!row)
      return false;
    if (!*row)
      return true;
    if (is_unbounded(program->text(1), program->integer(0), program->integer(3)))
      return false;
  }
}

} // namespace sluice::sqlite
