# What `cmake --install` puts where: the component `programs` is what users run, `development` what programs are built
# against, by find_package(actnet) or by pkg-config. Nothing of it knows its prefix: an install may be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS ${apps} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT programs)
install(
  FILES apps/README.md
  DESTINATION "${CMAKE_INSTALL_DOCDIR}"
  RENAME programs.md
  COMPONENT programs)
install(
  DIRECTORY config
  DESTINATION "${CMAKE_INSTALL_DOCDIR}"
  COMPONENT programs
  OPTIONAL FILES_MATCHING
  PATTERN "*.toml")

install(
  DIRECTORY net actors
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/actnet"
  COMPONENT development
  FILES_MATCHING
  PATTERN "*.hpp")
set_target_properties(actnet_net PROPERTIES EXPORT_NAME net)
set_target_properties(actnet_actors PROPERTIES EXPORT_NAME actors)
install(
  TARGETS actnet_net actnet_actors
  EXPORT actnetTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development
  INCLUDES
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
# CMake itself strips programs only.
install(
  CODE "set(archives $<TARGET_FILE_NAME:actnet_net> $<TARGET_FILE_NAME:actnet_actors>)
  if(CMAKE_INSTALL_DO_STRIP)
    list(TRANSFORM archives PREPEND \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/\")
    execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-debug \${archives} COMMAND_ERROR_IS_FATAL ANY)
  endif()"
  COMPONENT development)

# The sources' own paths would otherwise lie in the debug information of all that is installed.
foreach(target IN LISTS apps ITEMS actnet_net actnet_actors)
  target_compile_options(${target} PRIVATE "-ffile-prefix-map=${PROJECT_BINARY_DIR}=."
                                           "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.")
endforeach()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/actnet")
configure_file(.cmake/actnetConfig.cmake.in package/actnetConfig.cmake @ONLY)
write_basic_package_version_file(package/actnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(
  FILES "${PROJECT_BINARY_DIR}/package/actnetConfig.cmake" "${PROJECT_BINARY_DIR}/package/actnetConfigVersion.cmake"
        .cmake/FindCAF.cmake
  DESTINATION "${package_dir}"
  COMPONENT development)
install(
  EXPORT actnetTargets
  NAMESPACE actnet::
  DESTINATION "${package_dir}"
  COMPONENT development)

# From the folder of actnet.pc back to the prefix.
set(pkg_config_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}/${pkg_config_dir}"
           OUTPUT_VARIABLE back_to_prefix)
configure_file(.cmake/actnet.pc.in package/actnet.pc @ONLY)
install(
  FILES "${PROJECT_BINARY_DIR}/package/actnet.pc"
  DESTINATION "${pkg_config_dir}"
  COMPONENT development)
