# The Debian packages: `cpack -G DEB` in a build folder makes `actnet` (the programs) and `actnet-dev` (the libraries).
set(CPACK_PACKAGE_CONTACT "actnet maintainers <maintainers@users.noreply.b-seed-d77e04c2.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL programs development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ
    OWNER_WRITE
    OWNER_EXECUTE
    GROUP_READ
    GROUP_EXECUTE
    WORLD_READ
    WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME actnet)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAMS_DESCRIPTION
    "networking with actors: programs
TCP and UDP servers and clients in which every socket is owned by one actor,
on event loops of their own under the C++ Actor Framework.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME actnet-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
    "libcaf-dev (>= 0.17), libcaf-dev (<< 0.18), libspdlog-dev, libcli11-dev")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION
    "networking with actors: headers and libraries
A C++20 library in which every socket is owned by one actor of the C++ Actor
Framework: it turns what the socket does into messages and takes write, close
and the rest as messages. For CMake and for pkg-config.")
include(CPack)
