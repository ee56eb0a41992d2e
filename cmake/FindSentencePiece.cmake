# SentencePiece::SentencePiece, libsentencepiece and its header. Not by its pkg-config file where a
# shared library is found: that file requires what the library was itself linked with
# (protobuf-lite), whose development package Debian does not install with it and nothing here needs.
# An archive does need it, and there the file is asked. From 0.2.2 on the header includes absl's.
find_path(SENTENCEPIECE_INCLUDE_DIR sentencepiece_processor.h)
find_library(SENTENCEPIECE_LIBRARY sentencepiece)
mark_as_advanced(SENTENCEPIECE_INCLUDE_DIR SENTENCEPIECE_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(SentencePiece
                                  REQUIRED_VARS SENTENCEPIECE_LIBRARY SENTENCEPIECE_INCLUDE_DIR)
if(SentencePiece_FOUND AND NOT TARGET SentencePiece::SentencePiece)
  add_library(SentencePiece::SentencePiece INTERFACE IMPORTED)
  if(SENTENCEPIECE_LIBRARY MATCHES "\\.a$")
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(SENTENCEPIECE_ARCHIVE REQUIRED IMPORTED_TARGET sentencepiece)
    target_link_libraries(SentencePiece::SentencePiece INTERFACE PkgConfig::SENTENCEPIECE_ARCHIVE)
  else()
    target_include_directories(SentencePiece::SentencePiece
                               INTERFACE ${SENTENCEPIECE_INCLUDE_DIR})
    target_link_libraries(SentencePiece::SentencePiece INTERFACE ${SENTENCEPIECE_LIBRARY})
  endif()
  file(STRINGS ${SENTENCEPIECE_INCLUDE_DIR}/sentencepiece_processor.h absl REGEX "#include <absl/")
  if(absl)
    find_package(absl REQUIRED)
    target_link_libraries(SentencePiece::SentencePiece INTERFACE absl::status)
  endif()
endif()
