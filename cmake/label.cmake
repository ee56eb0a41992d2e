# label(LABEL TESTS PATTERN), read by ctest: tests of the list TESTS whose names match PATTERN. None
# is an error: a test that was renamed would leave its set unnoticed. A list is not defined where
# its program is not built.
function(label label tests pattern)
  if(NOT DEFINED ${tests})
    return()
  endif()
  set(found ${${tests}})
  list(FILTER found INCLUDE REGEX "${pattern}")
  if(NOT found)
    message(FATAL_ERROR "CMakeLists.txt labels '${pattern}' ${label}, but ${tests} has no such test")
  endif()
  set_tests_properties(${found} PROPERTIES LABELS ${label})
endfunction()
