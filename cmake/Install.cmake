# What `cmake --install` puts where: the library, its headers, its CMake package and pkg-config file,
# the command.
include(CMakePackageConfigHelpers)
set(PI0_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/pi0)
configure_package_config_file(cmake/pi0Config.cmake.in pi0Config.cmake
                              INSTALL_DESTINATION ${PI0_PACKAGE})
write_basic_package_version_file(pi0ConfigVersion.cmake COMPATIBILITY SameMinorVersion)

# What is linked with the archive; the shared library names its own. libsentencepiece's own file is
# not asked for: FindSentencePiece.cmake says why.
set(PI0_REQUIRES "")
set(PI0_LIBS "")
if(NOT BUILD_SHARED_LIBS)
  set(PI0_REQUIRES "fmt libpng libjpeg libxxhash")
  if(TARGET absl::status)  # libsentencepiece's header uses it
    string(APPEND PI0_REQUIRES " absl_status")
  endif()
  if(PI0_SERVE)
    string(APPEND PI0_REQUIRES " openssl")
  endif()
  set(PI0_LIBS "-lsentencepiece -pthread")
endif()
file(RELATIVE_PATH PI0_INCLUDE /to/${CMAKE_INSTALL_LIBDIR}/pkgconfig
     /to/${CMAKE_INSTALL_INCLUDEDIR})  # from the file itself: a prefix may be moved
configure_file(cmake/pi0.pc.in pi0.pc @ONLY)

install(TARGETS pi0 EXPORT pi0Targets LIBRARY COMPONENT library NAMELINK_COMPONENT development
                                      ARCHIVE COMPONENT development)
if(NOT PI0_SERVE)
  set(PI0_WITHOUT PATTERN client.h EXCLUDE PATTERN robot.h EXCLUDE)
endif()
install(DIRECTORY include/pi0 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
        ${PI0_WITHOUT})
install(EXPORT pi0Targets NAMESPACE pi0:: DESTINATION ${PI0_PACKAGE} COMPONENT development)
install(FILES ${PROJECT_BINARY_DIR}/pi0Config.cmake ${PROJECT_BINARY_DIR}/pi0ConfigVersion.cmake
              cmake/FindSentencePiece.cmake cmake/FindTTNN.cmake
        DESTINATION ${PI0_PACKAGE} COMPONENT development)
install(FILES ${PROJECT_BINARY_DIR}/pi0.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)
if(PI0_COMMAND)
  install(TARGETS pi0_command COMPONENT command)
endif()
if(PROJECT_IS_TOP_LEVEL AND BUILD_SHARED_LIBS)
  include(cmake/Packages.cmake)
endif()
