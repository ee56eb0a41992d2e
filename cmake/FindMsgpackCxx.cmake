# msgpack for C++, headers alone: the target msgpack::cxx. Its own CMake package is called msgpack,
# msgpackc-cxx or msgpack-cxx, as its release is.
find_path(MSGPACK_INCLUDE msgpack.hpp)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(MsgpackCxx REQUIRED_VARS MSGPACK_INCLUDE)
if(MsgpackCxx_FOUND AND NOT TARGET msgpack::cxx)
  add_library(msgpack::cxx INTERFACE IMPORTED)
  target_include_directories(msgpack::cxx INTERFACE ${MSGPACK_INCLUDE})
  # Without Boost's, which later releases ask for unless told not to.
  target_compile_definitions(msgpack::cxx INTERFACE MSGPACK_NO_BOOST)
endif()
