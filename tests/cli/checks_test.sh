#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# a_library ONE TWO : a project whose library has two sources with these texts in their anonymous namespaces.
a_library() {
  mkdir -p messages actors runtime tests/simulation
  echo 'file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cpp)' | tee {messages,actors,runtime,tests/simulation}/CMakeLists.txt >all
  printf 'namespace a {\n\nnamespace {\n\n%s\n\n} // namespace\n\n} // namespace a\n' "$1" >actors/one.cpp
  printf 'namespace a {\n\nnamespace {\n\n%s\n\n} // namespace\n\n} // namespace a\n' "$2" >actors/two.cpp
}

check_names() { python3 -B "$project/tests/support/private_names.py" .; }

test_two_sources_with_the_same_private_function_are_found() {
  a_library 'int twice(int x) { return 2 * x; }' 'int twice(int y) { return y + y; }'
  exits 1 check_names
  is "$out" "actors/two.cpp:5: 'twice' is private here and in actors/one.cpp"
}

test_two_sources_with_the_same_private_type_or_constant_are_found() {
  a_library 'struct row {
  int x = 0;
};' 'constexpr int row = 1;'
  exits 1 check_names
  has "$out" "'row' is private here and in"
}

test_a_private_function_that_hides_one_of_a_header_is_found() {
  a_library 'int half(const char* x) { return *x / 2; }' '#include "actors/half.hpp"'
  printf '#include "actors/half.hpp"\n' >actors/three.cpp
  printf 'namespace a {\n\nint half(int x);\n\n} // namespace a\n' >actors/half.hpp
  exits 1 check_names
  is "$out" "actors/one.cpp:5: 'half' is private here, and declared by actors/half.hpp"
}

test_private_overloads_members_and_texts_are_no_clash() {
  a_library 'int size_of(int x) { return x; }
using std::string;
constexpr auto text = "int size_of(long x) {";' 'int size_of(long x) { return x ? 1 : 0; }
using std::string;'
  printf 'namespace a {\n\nint row::size_of(int x) { return x; }\n\n} // namespace a\n' >actors/three.cpp
  gives "" check_names
}

test_the_sources_have_no_private_names_that_clash() {
  cd "$project"
  gives "" check_names
}

apply_defects() { bash "$project/tests/simulation/defects.sh" apply "$1" "$2"; }

a_copy_of_the_sources() {
  mkdir sources
  cp -r "$project/actors" "$project/runtime" sources/
}

test_a_source_that_a_hunk_does_not_fit_any_more_fails_and_leaves_the_copies_alone() {
  a_copy_of_the_sources
  exits 0 apply_defects sources copies
  cp -r copies before
  sed -i 's/state::add(audit_batch& batch) {/state::add(audit_batch\& other) {/' sources/actors/audit/*.cpp
  exits 1 apply_defects sources copies
  has "$err" "tests/simulation/defects.patch does not apply"
  diff -r copies before
}

test_a_source_that_has_moved_is_named() {
  a_copy_of_the_sources
  rm sources/actors/audit/audit.cpp
  exits 1 apply_defects sources copies
  has "$err" "changes actors/audit/audit.cpp, which does not exist"
}

test_copies_of_unchanged_sources_keep_their_times() {
  a_copy_of_the_sources
  exits 0 apply_defects sources copies
  touch -d 2020-01-01 copies/actors/audit/audit.cpp copies/actors/writer/writer.cpp
  sed -i '$a // The end.' sources/actors/audit/audit.cpp
  exits 0 apply_defects sources copies
  [[ copies/actors/audit/audit.cpp -nt copies/actors/writer/writer.cpp ]] || give_up "the changed one is as old"
  is "$(date -r copies/actors/writer/writer.cpp +%Y)" 2020
}

run_tests
