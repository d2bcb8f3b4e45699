# Finds the C++ Actor Framework: the targets CAF::core and, as the component io, CAF::io. Debian's libcaf-dev ships
# no CMake package of its own. Set CAF_ROOT to prefer another build of it (include/ and lib/ below one folder).
find_path(CAF_INCLUDE_DIR caf/config.hpp)
find_library(CAF_CORE_LIBRARY caf_core)
mark_as_advanced(CAF_INCLUDE_DIR CAF_CORE_LIBRARY)

if(CAF_CORE_LIBRARY)
  # The parts of two builds do not mix: io comes from where core lies or not at all.
  cmake_path(GET CAF_CORE_LIBRARY PARENT_PATH library_dir)
  find_library(CAF_IO_LIBRARY caf_io PATHS "${library_dir}" NO_DEFAULT_PATH)
  mark_as_advanced(CAF_IO_LIBRARY)
  if(CAF_IO_LIBRARY)
    set(CAF_io_FOUND TRUE)
  endif()
endif()

if(CAF_INCLUDE_DIR)
  # "#define CAF_VERSION 1706" is 0.17.6.
  file(STRINGS "${CAF_INCLUDE_DIR}/caf/config.hpp" CAF_VERSION REGEX "^#define CAF_VERSION [0-9]+")
  string(REGEX MATCH "[0-9]+" CAF_VERSION "${CAF_VERSION}")
  math(EXPR major "${CAF_VERSION} / 10000")
  math(EXPR minor "${CAF_VERSION} / 100 % 100")
  math(EXPR patch "${CAF_VERSION} % 100")
  set(CAF_VERSION "${major}.${minor}.${patch}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  CAF
  REQUIRED_VARS CAF_CORE_LIBRARY CAF_INCLUDE_DIR
  VERSION_VAR CAF_VERSION
  HANDLE_VERSION_RANGE
  HANDLE_COMPONENTS)

if(CAF_FOUND AND NOT TARGET CAF::core)
  find_package(Threads REQUIRED)
  add_library(CAF::core UNKNOWN IMPORTED)
  set_target_properties(
    CAF::core PROPERTIES IMPORTED_LOCATION "${CAF_CORE_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}"
                         INTERFACE_LINK_LIBRARIES Threads::Threads)
  if(CAF_IO_LIBRARY)
    add_library(CAF::io UNKNOWN IMPORTED)
    set_target_properties(CAF::io PROPERTIES IMPORTED_LOCATION "${CAF_IO_LIBRARY}" INTERFACE_LINK_LIBRARIES CAF::core)
  endif()
endif()
