// A network of its own, whose loopback can go down: then the peer of a TCP connection has vanished, and neither FIN nor
// RST nor an acknowledgement tells of it (fault F10).
#pragma once

#include "support/descriptor.hpp"

#include <sys/types.h>

#include <utility>

namespace actnet::test {

/// Lives in a child process, which makes a network namespace (user_namespaces(7): no rights are needed where the
/// system allows them at all) and hands its sockets over. Make it while there are no threads.
class own_network {
 public:
  own_network();
  ~own_network();
  own_network(const own_network&) = delete;
  own_network& operator=(const own_network&) = delete;

  /// Whether the system allows it. If not, there is nothing else to call.
  bool possible() const noexcept { return possible_; }

  /// The ends of a TCP connection.
  std::pair<descriptor, descriptor> connect();

  /// From now on nothing reaches anybody. For good.
  void go_down();

 private:
  void order(char what);

  descriptor orders_;
  pid_t child_ = -1;
  bool possible_ = false;
};

} // namespace actnet::test
