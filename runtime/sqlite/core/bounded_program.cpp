#include "runtime/sqlite/core/bounded_program.hpp"

#include "runtime/sqlite/core/statement.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace sluice::sqlite {

namespace {

// Instructions that begin another iteration, run another program, or are not bounded themselves. Instructions of schema
// changes are not listed.
constexpr std::array<std::string_view, 20> unbounded{
  "Next",       "Prev",       "SorterNext", "VNext",  "VOpen",      "VFilter",   "VUpdate",
  "Program",    "Yield",      "Gosub",      "Return", "Clear",      "Destroy",   "SqlExec",
  "ResetCount", "RowSetRead", "RowSetTest", "Vacuum", "Checkpoint", "IncrVacuum"};

// Instructions that find the first of any number of rows.
constexpr std::array<std::string_view, 8> many_rows{"Rewind", "Last",   "Sort",   "SorterSort",
                                                    "SeekGE", "SeekGT", "SeekLE", "SeekLT"};

// Each program ends with a jump to its beginning, after the transaction has been begun.
constexpr int64_t first_instruction = 1;

template <size_t Size> bool is_one_of(const std::array<std::string_view, Size>& opcodes, std::string_view opcode) {
  return std::find(opcodes.begin(), opcodes.end(), opcode) != opcodes.end();
}

} // namespace

bool is_bounded_by_its_form(const connection& db, std::string_view sql) {
  auto program = prepared_statement::prepare(db, "EXPLAIN " + std::string{sql});
  if (!program)
    return false;
  auto goes_back = false;
  auto looks_at_many_rows = false;
  for (;;) {
    auto row = program->step();
    if (!row)
      return false;
    // An upsert jumps back for each of its other constraints, of which each reads one row.
    if (!*row)
      return !goes_back || !looks_at_many_rows;
    auto opcode = program->text(1);
    if (is_one_of(unbounded, opcode))
      return false;
    auto target = program->integer(3);
    goes_back |= opcode == "Goto" && target <= program->integer(0) && target != first_instruction;
    looks_at_many_rows |= is_one_of(many_rows, opcode);
  }
}

} // namespace sluice::sqlite
