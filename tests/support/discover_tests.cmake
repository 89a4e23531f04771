# Run after PROGRAM is linked: writes OUTPUT, which tells ctest of one test for each test case in it. Catch2's own script
# cuts names at semicolons. COST, if given, has ctest begin with these tests: the higher, the earlier.

execute_process(COMMAND "${PROGRAM}" --list-test-names-only OUTPUT_VARIABLE names ERROR_VARIABLE complaint)
if(NOT complaint STREQUAL "" OR names STREQUAL "")
  message(FATAL_ERROR "${PROGRAM} does not list its tests: ${complaint}")
endif()

set(script "")
if(NOT COST)
  set(COST 0)
endif()
while(NOT names STREQUAL "")
  string(FIND "${names}" "\n" end)
  string(SUBSTRING "${names}" 0 ${end} name)
  math(EXPR next "${end} + 1")
  string(SUBSTRING "${names}" ${next} -1 names)
  # Escapes the characters that the runner takes for an expression.
  string(REPLACE "\\" "\\\\" pattern "${name}")
  foreach(special "," "[" "]" "\"")
    string(REPLACE "${special}" "\\${special}" pattern "${pattern}")
  endforeach()
  # A name that the runner cannot find again must not pass as "no test failed".
  string(APPEND script
    "add_test([==[${FOLDER}: ${name}]==] [==[${PROGRAM}]==] [==[${pattern}]==] --warn NoTests)\n"
    "set_tests_properties([==[${FOLDER}: ${name}]==] PROPERTIES TIMEOUT 900 COST ${COST})\n")
endwhile()
file(WRITE "${OUTPUT}" "${script}")
