#include "support/own_network.hpp"

#include "support/peer.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>

namespace actnet::test {

namespace {

constexpr char ready = 'r', connect_order = 'c', down_order = 'd';

bool set_loopback(bool up) {
  const descriptor any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = static_cast<short>(up ? IFF_UP : 0);
  return ::ioctl(any.fd(), SIOCSIFFLAGS, &request) == 0;
}

void hand_over_connection(int to) {
  listening_peer listener;
  peer near{listener.port()};
  attach(to, near.fd(), "n");
  attach(to, listener.accept().fd(), "f");
}

/// The child: carries out orders until there is nobody to give any.
int serve(int orders) {
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 || !set_loopback(true))
    return 1;
  char what = ready;
  do {
    if (what == connect_order)
      hand_over_connection(orders);
    if (what == down_order && !set_loopback(false))
      return 1;
    if (what != connect_order && ::send(orders, &ready, 1, MSG_NOSIGNAL) != 1)
      return 1;
  } while (::recv(orders, &what, 1, 0) == 1);
  return 0;
}

descriptor receive_descriptor(int from) {
  char byte;
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const auto size = ::recvmsg(from, &message, MSG_CMSG_CLOEXEC);
  const auto* header = CMSG_FIRSTHDR(&message);
  if (size != 1 || header == nullptr)
    throw std::runtime_error{"own_network: no connection"};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return descriptor{fd};
}

} // namespace

own_network::own_network() {
  int both[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) != 0)
    throw std::runtime_error{"own_network: socketpair"};
  orders_.reset(both[0]);
  descriptor theirs{both[1]};
  child_ = ::fork();
  if (child_ == 0) {
    orders_.reset();
    ::_exit(serve(theirs.fd()));
  }
  theirs.reset();
  char answer = 0;
  possible_ = ::recv(orders_.fd(), &answer, 1, 0) == 1;
}

own_network::~own_network() {
  orders_.reset();
  ::waitpid(child_, nullptr, 0);
}

void own_network::order(char what) {
  if (::send(orders_.fd(), &what, 1, MSG_NOSIGNAL) != 1)
    throw std::runtime_error{"own_network: it has ended"};
}

std::pair<descriptor, descriptor> own_network::connect() {
  order(connect_order);
  auto near = receive_descriptor(orders_.fd());
  return {std::move(near), receive_descriptor(orders_.fd())};
}

void own_network::go_down() {
  order(down_order);
  char answer = 0;
  if (::recv(orders_.fd(), &answer, 1, 0) != 1)
    throw std::runtime_error{"own_network: it stays up"};
}

} // namespace actnet::test
