# A room is a folder under src/: its sources, its tests beside them (x_test.cc, and x_testing.cc that
# they share). USES: the rooms whose headers it may include, each of them, also where it is reached
# by another; its tests may include those of TESTS_USE too. LIBRARIES are other people's. PARSES
# where it reads what others write; COMPUTES where its loops are what a call or a load takes.
# tools/check_rooms.py reads these calls and holds the sources to them; docs/design.md says what is
# in each room.
set(PI0_ROOMS "")
# Headers that many read and that take seconds, JSON's above all, compiled once for all tests and
# once for most that parse; not where ccache compiles, which would keep none of what uses them.
set(PI0_PRECOMPILE <nlohmann/json.hpp> <filesystem> <fstream> <functional> <map> <sstream>)
if(CMAKE_CXX_COMPILER_LAUNCHER)
  set(PI0_PRECOMPILE "")
endif()
function(pi0_room name)
  cmake_parse_arguments(ROOM "PARSES;COMPUTES" "" "USES;TESTS_USE;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS src/${name}/*.cc)
  file(GLOB tests CONFIGURE_DEPENDS src/${name}/*_test.cc)
  file(GLOB tests_share CONFIGURE_DEPENDS src/${name}/*_testing.cc)
  list(FILTER sources EXCLUDE REGEX "/(main\\.cc$|${PI0_LEFT_OUT})")
  list(FILTER tests EXCLUDE REGEX "/(${PI0_LEFT_OUT})")
  if(tests)
    list(REMOVE_ITEM sources ${tests} ${tests_share})
  endif()
  string(REPLACE "/" "_" room ${name})
  pi0_room_targets(uses ${ROOM_USES})
  add_library(pi0_${room} STATIC ${sources})
  target_include_directories(pi0_${room} PUBLIC include src)
  target_link_libraries(pi0_${room} PUBLIC ${uses} ${ROOM_LIBRARIES})
  set_target_properties(pi0_${room} PROPERTIES UNITY_BUILD ${PI0_UNITY} UNITY_BUILD_BATCH_SIZE 8)
  if(NOT ROOM_COMPUTES)  # under the sanitizers compiling is the time: half of it is the optimiser's
    target_compile_options(pi0_${room} PRIVATE $<$<CONFIG:Debug>:-O0>)
  endif()
  if(PI0_FUZZERS AND ROOM_PARSES)  # coverage for the fuzzers where they look for ways in
    target_compile_options(pi0_${room} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  if(PI0_PRECOMPILE AND ROOM_PARSES AND NOT ROOM_COMPUTES AND "files" IN_LIST ROOM_USES)
    if(PI0_PRECOMPILED_IN)
      target_precompile_headers(pi0_${room} REUSE_FROM ${PI0_PRECOMPILED_IN})
    else()
      target_precompile_headers(pi0_${room} PRIVATE ${PI0_PRECOMPILE})
      set(PI0_PRECOMPILED_IN pi0_${room} PARENT_SCOPE)
    endif()
  endif()
  set(PI0_ROOMS ${PI0_ROOMS} pi0_${room} PARENT_SCOPE)
  if(PI0_TESTS AND tests)
    pi0_room_targets(tests_use ${ROOM_TESTS_USE})
    add_executable(${room}_test ${tests} ${tests_share})
    target_link_libraries(${room}_test PRIVATE pi0_${room} ${tests_use} GTest::gtest_main)
    target_compile_definitions(${room}_test PRIVATE PI0_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_compile_options(${room}_test PRIVATE -O0)  # compiling is the time
    if(PI0_PRECOMPILE)
      if(room STREQUAL base)
        target_precompile_headers(base_test PRIVATE <gtest/gtest.h> ${PI0_PRECOMPILE})
      else()
        target_precompile_headers(${room}_test REUSE_FROM base_test)
      endif()
    endif()
    gtest_discover_tests(${room}_test TEST_PREFIX ${name}/ DISCOVERY_TIMEOUT 120)
  endif()
endfunction()

function(pi0_room_targets variable)  # of the rooms that follow
  list(TRANSFORM ARGN REPLACE "/" "_")
  list(TRANSFORM ARGN PREPEND pi0_)
  set(${variable} ${ARGN} PARENT_SCOPE)
endfunction()

# Labels tests of a room whose names match: `slow` ones do in a minute under the sanitizers what
# others do in seconds, and `make check` leaves them out there; `threads` are what `make threads` runs.
file(WRITE ${PROJECT_BINARY_DIR}/labels.cmake "include(${PROJECT_SOURCE_DIR}/cmake/label.cmake)\n")
function(pi0_label label name)
  string(REPLACE "/" "_" room ${name})
  foreach(pattern ${ARGN})
    file(APPEND ${PROJECT_BINARY_DIR}/labels.cmake "label(${label} ${room}_test_TESTS ${pattern})\n")
  endforeach()
endfunction()
