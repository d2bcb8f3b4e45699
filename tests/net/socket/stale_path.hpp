// What the tests of Unix paths share: paths of the dead, and opening a socket there.
#pragma once

#include "net/socket/loopback.hpp"
#include "support/descriptor.hpp"
#include "support/scratch_folder.hpp"

#include "actnet/net/error.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <string>

namespace actnet::test {

inline net::errc open_error(const net::endpoint& where) {
  if (where.transport() == net::transport::unix_datagram) {
    const auto opened = net::datagram_socket::open(where, {});
    return opened ? net::errc::none : static_cast<net::errc>(opened.error().value());
  }
  const auto opened = net::listener_socket::open(where, {});
  return opened ? net::errc::none : static_cast<net::errc>(opened.error().value());
}

inline void bind_to(const descriptor& socket, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

/// A socket file that nobody answers on, as a killed server leaves it.
inline void leave_behind(const std::string& path, int type = SOCK_STREAM) {
  bind_to(descriptor{::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)}, path);
}

inline net::endpoint at(const std::string& path, net::transport kind) {
  return kind == net::transport::unix_stream ? net::endpoint::unix_stream(path) : net::endpoint::unix_datagram(path);
}

/// The file that whoever takes the place of a dead server locks meanwhile.
inline std::string lock_of(const std::string& path) {
  return path + ".actnet-lock";
}

/// Whether nobody is about to take a path in the folder, nor has left anything of it behind.
inline bool is_unlocked(const scratch_folder& folder) {
  for (const auto& each : std::filesystem::directory_iterator{folder / ""})
    if (each.path().string().ends_with(lock_of("")))
      return false;
  return true;
}

} // namespace actnet::test
