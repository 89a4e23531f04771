#include "runtime/cli/remarks.hpp"

#include "actors/base/counted.hpp"

namespace sluice::cli {

std::string_view remark_on_unknown_write(bool has_key) {
  return has_key
           ? "the write may have been applied, or may be yet: repeat it under the same --key"
           : "the write may have been applied, or may be yet: look before you repeat it; under a --key of your own "
             "a repetition is safe";
}

std::string remark_on_cut_rows(size_t rows) {
  return "truncated: the output ends after " + counted(rows, "row")
         + "; for the rest use --all, raise --max-rows or --max-bytes, or read in parts with LIMIT";
}

std::string remark_on_cut_answer(size_t rows) {
  return "truncated: the answer ends after " + counted(rows, "row")
         + ", the bound of this agent: max_rows of its [[agent]] rule in sluice.toml, or read_max_rows and "
           "read_max_bytes there, whichever is lower; give the operation a parameter for LIMIT and call it for one "
           "part "
           "after another, or raise that bound";
}

} // namespace sluice::cli
