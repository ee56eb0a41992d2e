# TTNN::TTNN, Tenstorrent's TTNN in C++. Either
# - the installed package TT-NN (CMAKE_PREFIX_PATH says where), or
# - PI0_TTNN_SOURCE, a tt-metal source tree, for the headers, and
#   PI0_TTNN_LIBRARIES, the folder of _ttnncpp.so and libtt_metal.so that were built from the same
#   sources (a source build's, or ttnn/build/lib of the wheel from PyPI), with
#   PI0_TTNN_HEADERS, folders to look in for what its headers include and the tree does not hold:
#   fmt, nlohmann_json, enchantum, reflect, tt-logger, spdlog, tracy, UMD. A source tree that has
#   been built once holds them all in .cpmcache and its submodules.
set(PI0_TTNN_SOURCE "" CACHE PATH "tt-metal source tree, for TTNN's headers")
set(PI0_TTNN_LIBRARIES "" CACHE PATH "Folder of TTNN's libraries, built from those sources")
set(PI0_TTNN_HEADERS "" CACHE STRING "Folders of the headers that TTNN's include")

# The build id of a library, which that of the one loaded at run time must be
# (src/device/ttnn/real/loaded_library.h); read anew when the file changes. None where it has none.
function(ttnn_build_id variable library)
  set(${variable} "" PARENT_SCOPE)
  if(EXISTS "${library}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${library})
    execute_process(COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C ${CMAKE_READELF} -n ${library}
                    OUTPUT_VARIABLE notes ERROR_QUIET)
    if(notes MATCHES "Build ID: ([0-9a-f]+)")
      set(${variable} ${CMAKE_MATCH_1} PARENT_SCOPE)
    endif()
  endif()
endfunction()

find_package(TT-NN CONFIG QUIET)
if(TARGET TTNN::TTNN)
  set(TTNN_VERSION ${TT-NN_VERSION})
  get_target_property(file TTNN::TTNN LOCATION)
  ttnn_build_id(TTNN_BUILD_ID "${file}")
  if(TARGET TT::Metalium)
    get_target_property(file TT::Metalium LOCATION)
    ttnn_build_id(TTNN_METAL_BUILD_ID "${file}")
  endif()
  set(TTNN_INCLUDES "in the package")
  set(TTNN_LIBRARY TTNN::TTNN)
elseif(PI0_TTNN_SOURCE AND PI0_TTNN_LIBRARIES)
  find_library(TTNN_LIBRARY NAMES _ttnncpp.so ttnncpp PATHS ${PI0_TTNN_LIBRARIES} NO_DEFAULT_PATH)
  set(TTNN_LINKED ${TTNN_LIBRARY})
  foreach(name tt_metal tt_stl tt-umd)
    find_library(TTNN_${name} ${name} PATHS ${PI0_TTNN_LIBRARIES} NO_DEFAULT_PATH)
    if(TTNN_${name})
      list(APPEND TTNN_LINKED ${TTNN_${name}})
    endif()
  endforeach()
  ttnn_build_id(TTNN_BUILD_ID "${TTNN_LIBRARY}")
  ttnn_build_id(TTNN_METAL_BUILD_ID "${TTNN_tt_metal}")
  # A wheel's metadata beside its package, or what a source build was configured as.
  file(GLOB versioned ${PI0_TTNN_LIBRARIES}/../../../ttnn-*.dist-info)
  if(NOT versioned AND EXISTS ${PI0_TTNN_LIBRARIES}/../CMakeCache.txt)
    file(STRINGS ${PI0_TTNN_LIBRARIES}/../CMakeCache.txt versioned REGEX "^CMAKE_PROJECT_VERSION:")
  endif()
  if(versioned MATCHES "/ttnn-([^/]+)\\.dist-info$|=([0-9.]+)$")
    set(TTNN_VERSION ${CMAKE_MATCH_1}${CMAKE_MATCH_2})
  endif()

  set(TTNN_INCLUDES "")
  foreach(folder ttnn/api ttnn/cpp ttnn . tt_metal/api tt_metal/hostdevcommon/api tt_stl)
    list(APPEND TTNN_INCLUDES ${PI0_TTNN_SOURCE}/${folder})
  endforeach()
  file(GLOB fetched ${PI0_TTNN_SOURCE}/.cpmcache/*/*)
  foreach(header umd/device/types/arch.hpp fmt/format.h nlohmann/json.hpp enchantum/enchantum.hpp
                 reflect tt-logger/tt-logger.hpp spdlog/spdlog.h tracy/Tracy.hpp)
    string(MAKE_C_IDENTIFIER "TTNN_HEADER_${header}" found)
    find_path(${found} ${header}
              PATHS ${PI0_TTNN_HEADERS} ${fetched} ${PI0_TTNN_SOURCE}/tt_metal/third_party/tracy
                    ${PI0_TTNN_SOURCE}/tt_metal/third_party/umd
              PATH_SUFFIXES include public device/api enchantum/include NO_DEFAULT_PATH)
    if(NOT ${found})
      set(TTNN_REASON "${header} is in none of PI0_TTNN_HEADERS")
      set(TTNN_INCLUDES "")
      break()
    endif()
    list(APPEND TTNN_INCLUDES ${${found}})
  endforeach()
else()
  set(TTNN_REASON
      "neither the package TT-NN is there (CMAKE_PREFIX_PATH) nor PI0_TTNN_SOURCE and PI0_TTNN_LIBRARIES are set (docs/tenstorrent.md shows both ways)")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TTNN REQUIRED_VARS TTNN_LIBRARY TTNN_INCLUDES
                                  VERSION_VAR TTNN_VERSION REASON_FAILURE_MESSAGE "${TTNN_REASON}")
if(TTNN_FOUND AND NOT TARGET TTNN::TTNN)
  add_library(TTNN::TTNN INTERFACE IMPORTED)
  target_include_directories(TTNN::TTNN SYSTEM INTERFACE ${TTNN_INCLUDES})
  target_compile_definitions(TTNN::TTNN INTERFACE FMT_HEADER_ONLY=1 SPDLOG_FMT_EXTERNAL NTEST)
  # The wheel's libraries find some of what they use beside themselves, where a linker does not look.
  target_link_libraries(TTNN::TTNN INTERFACE ${TTNN_LINKED} -Wl,--allow-shlib-undefined)
endif()
