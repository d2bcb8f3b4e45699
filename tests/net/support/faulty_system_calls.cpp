#include "support/faulty_system_calls.hpp"

#include "support/baseline.hpp"
#include "support/catch.hpp"
#include "support/peer.hpp"
#include "support/position_stream.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

using namespace actnet::test;
using actnet::net::replaced_system_calls;
using actnet::net::sys;

namespace {

constexpr auto both_edges = EPOLLIN | EPOLLOUT | EPOLLET;

/// What the tests below do, they do through `sys()`, as the library does.
struct fixture {
  baseline before;
  faulty_system_calls faults;
  replaced_system_calls in_force{faults};
  std::array<int, 2> ends = {-1, -1};
  int poller = -1;

  explicit fixture(int type = SOCK_STREAM) {
    REQUIRE(sys().socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    poller = sys().epoll_create1(EPOLL_CLOEXEC);
    REQUIRE(poller >= 0);
  }

  ~fixture() {
    faults.clear_faults();
    for (const auto fd : faults.open_descriptors())
      sys().close(fd);
    CHECK(faults.violations().empty());
  }

  void watch(int fd, std::uint32_t events = both_edges) {
    epoll_event event = {events, {.fd = fd}};
    REQUIRE(sys().epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
  }

  /// What is ready, as (descriptor, events); at once, or within `timeout_ms`.
  std::vector<std::pair<int, std::uint32_t>> ready(int timeout_ms = 0) {
    std::array<epoll_event, 8> events;
    const auto count = sys().epoll_wait(poller, events.data(), events.size(), timeout_ms);
    std::vector<std::pair<int, std::uint32_t>> all;
    for (auto* event = events.data(); event < events.data() + count; ++event)
      all.emplace_back(int{event->data.fd}, std::uint32_t{event->events});
    return all;
  }

  void put(std::string_view text) { REQUIRE(::write(ends[1], text.data(), text.size()) == ssize_t(text.size())); }

  /// The bytes, or minus errno.
  std::pair<std::string, int> get(std::size_t max = 100, int flags = 0) {
    std::string bytes(max, '\0');
    const auto done = sys().recv(ends[0], bytes.data(), max, flags);
    const auto error = done < 0 ? errno : 0;
    bytes.resize(done < 0 ? 0 : static_cast<std::size_t>(done));
    return {bytes, error};
  }
};

using got = std::pair<std::string, int>;
using events_of = std::vector<std::pair<int, std::uint32_t>>;

ssize_t send_parts(int fd, std::span<iovec> parts) {
  msghdr message = {};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  return sys().sendmsg(fd, &message, MSG_NOSIGNAL);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

int connect_to(int fd, std::uint16_t port) {
  const auto address = loopback(port);
  return sys().connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
}

int socket_error(int fd) {
  auto error = -1;
  socklen_t size = sizeof(error);
  REQUIRE(sys().getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0);
  return error;
}

} // namespace

TEST_CASE_METHOD(fixture, "without faults the calls are the kernel's and the book is kept", "[support]") {
  put("hello");
  CHECK(get() == got{"hello", 0});
  CHECK(get() == got{"", EAGAIN});
  iovec part = {const_cast<char*>("abc"), 3};
  CHECK(send_parts(ends[0], {&part, 1}) == 3);
  CHECK(faults.calls(call::recv) == 2);
  CHECK(faults.injected(call::recv) == 0);
  CHECK(faults.bytes_in() == 5);
  CHECK(faults.bytes_out() == 3);
  CHECK(faults.open_descriptors(call::socketpair) == std::vector<int>(ends.begin(), ends.end()));
  CHECK(faults.open_descriptors(call::epoll_create1) == std::vector<int>{poller});
  CHECK(to_string(call::epoll_ctl) == "epoll_ctl");
  CHECK(to_string(call::clock_gettime) == "clock_gettime");
}

TEST_CASE_METHOD(fixture, "the k-th calls fail, and only those", "[support]") {
  faults.fail(call::recv, ENOMEM, {.first = 2, .count = 2});
  put("abcd");
  CHECK(get(1) == got{"a", 0});
  CHECK(get(1) == got{"", ENOMEM});
  CHECK(get(1) == got{"", ENOMEM});
  CHECK(get(1) == got{"b", 0});
  CHECK(faults.injected(call::recv) == 2);
  CHECK(faults.calls(call::recv) == 4);
}

TEST_CASE_METHOD(fixture, "a fault for one descriptor spares and does not count the others", "[support]") {
  faults.fail(call::recv, ECONNRESET, {.first = 2, .fd = ends[0]});
  char byte;
  for (auto i = 0; i < 3; ++i)
    CHECK((sys().recv(ends[1], &byte, 1, 0) == -1 && errno == EAGAIN));
  put("ab");
  CHECK(get(1).first == "a");
  CHECK(get(1) == got{"", ECONNRESET});
  CHECK(get(1).first == "b");
}

TEST_CASE_METHOD(fixture, "a fault can last until it is lifted", "[support]") {
  faults.fail(call::eventfd, EMFILE, {.count = occurrence::forever});
  for (auto i = 0; i < 5; ++i)
    CHECK((sys().eventfd(0, EFD_CLOEXEC) == -1 && errno == EMFILE));
  faults.clear_faults();
  CHECK(sys().eventfd(0, EFD_CLOEXEC) >= 0);
}

TEST_CASE_METHOD(fixture, "every second call is interrupted, each kind for itself", "[support]") {
  faults.interrupt_every_second_call();
  put("abc");
  CHECK(get(1) == got{"a", 0});
  CHECK(ready().empty());
  CHECK(get(1) == got{"", EINTR});
  std::array<epoll_event, 1> events;
  CHECK((sys().epoll_wait(poller, events.data(), 1, 0) == -1 && errno == EINTR));
  CHECK(get(1) == got{"b", 0});
  CHECK(faults.injected(call::recv) == 1);
}

TEST_CASE_METHOD(fixture, "an interrupted close has closed, and closing again is a violation", "[support]") {
  faults.interrupt_every_second_call();
  CHECK(sys().close(ends[0]) == 0);
  CHECK((sys().close(ends[1]) == -1 && errno == EINTR));
  CHECK((::fcntl(ends[1], F_GETFD) == -1 && errno == EBADF));
  CHECK(faults.open_descriptors() == std::vector<int>{poller});
}

TEST_CASE("closing twice is a violation and hits nobody else's descriptor", "[support]") {
  baseline before;
  faulty_system_calls faults;
  CHECK((faults.close(54'321) == -1 && errno == EBADF));
  CHECK(faults.violations() == std::vector<std::string>{"close(54321): not open"});
  const auto fd = faults.eventfd(0, EFD_CLOEXEC);
  CHECK(faults.close(fd) == 0);
  const descriptor foreign(::eventfd(0, EFD_CLOEXEC));
  REQUIRE(foreign.fd() == fd);
  CHECK((faults.close(fd) == -1 && errno == EBADF));
  CHECK(::fcntl(fd, F_GETFD) >= 0);
  CHECK(faults.violations().size() == 2);
}

TEST_CASE("a descriptor that was adopted or opened again may be closed", "[support]") {
  baseline before;
  faulty_system_calls faults;
  const auto fd = faults.eventfd(0, EFD_CLOEXEC);
  CHECK(faults.close(fd) == 0);
  CHECK(faults.eventfd(0, EFD_CLOEXEC) == fd);
  CHECK(faults.close(fd) == 0);
  REQUIRE(::eventfd(0, EFD_CLOEXEC) == fd);
  CHECK(faults.fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
  CHECK(faults.close(fd) == 0);
  CHECK(faults.violations().empty());
}

TEST_CASE_METHOD(fixture, "a short read comes with a new edge, until all is read", "[support]") {
  watch(ends[0]);
  put("abcde");
  faults.limit_read(2);
  std::string all;
  auto rounds = 0;
  // Reads once for each edge, as a reader does that takes "short" for "drained".
  while (all.size() < 5 && rounds++ < 10) {
    REQUIRE_FALSE(ready().empty());
    all += get().first;
  }
  CHECK(all == "abcde");
  CHECK(rounds == 3);
  CHECK(faults.injected(call::recv) == 2);
  CHECK(ready().empty());
}

TEST_CASE_METHOD(fixture, "every second limited read is EAGAIN, and either comes with a new edge", "[support]") {
  watch(ends[0], EPOLLIN | EPOLLET);
  put("ab");
  faults.limit_read(1, true);
  const events_of edge = {{ends[0], EPOLLIN}};
  CHECK(ready() == edge);
  CHECK(get() == got{"a", 0});
  CHECK(ready() == edge);
  CHECK(get() == got{"", EAGAIN});
  CHECK(ready() == edge);
  CHECK(get() == got{"b", 0});
  CHECK(get() == got{"", EAGAIN});
  CHECK(ready().empty());
}

TEST_CASE_METHOD(fixture, "a made-up EAGAIN wakes a wait that has begun", "[support]") {
  watch(ends[0], EPOLLIN | EPOLLET);
  put("a");
  CHECK(ready().size() == 1);
  events_of seen;
  std::thread waiting([&] { seen = ready(10'000); });
  faults.fail(call::recv, EAGAIN);
  CHECK(get() == got{"", EAGAIN});
  waiting.join();
  CHECK(seen == events_of{{ends[0], EPOLLIN}});
}

TEST_CASE_METHOD(fixture, "a short write takes the head of all parts and comes with a new edge", "[support]") {
  watch(ends[0], EPOLLOUT | EPOLLET);
  CHECK(ready().size() == 1);
  CHECK(ready().empty());
  faults.limit_write(5);
  std::array<iovec, 3> parts = {{{const_cast<char*>("ab"), 2}, {nullptr, 0}, {const_cast<char*>("cdefg"), 5}}};
  CHECK(send_parts(ends[0], parts) == 5);
  CHECK(ready() == events_of{{ends[0], EPOLLOUT}});
  char bytes[10];
  CHECK(::read(ends[1], bytes, sizeof(bytes)) == 5);
  CHECK(std::string_view(bytes, 5) == "abcde");
  CHECK(faults.bytes_out() == 5);
}

TEST_CASE_METHOD(fixture, "the bytes of a descriptor are counted until its number is used again", "[support]") {
  put("abc");
  CHECK(get(2) == got{"ab", 0});
  faults.limit_write(1);
  iovec part = {const_cast<char*>("12345"), 5};
  CHECK(send_parts(ends[0], {&part, 1}) == 1);
  CHECK(send_parts(ends[0], {&part, 1}) == 1);
  CHECK(faults.bytes_in(ends[0]) == 2);
  CHECK(faults.bytes_out(ends[0]) == 2);
  CHECK(faults.bytes_in(ends[1]) == 0);
  CHECK(faults.opened_count(call::socketpair) == 2);
  CHECK(faults.opened_count(call::socket) == 0);
  CHECK(sys().close(ends[0]) == 0);
  CHECK(faults.bytes_out(ends[0]) == 2);
  const auto again = sys().eventfd(0, EFD_CLOEXEC);
  REQUIRE(again == ends[0]); // the lowest free number
  CHECK(faults.bytes_out(again) == 0);
}

TEST_CASE_METHOD(fixture, "a descriptor that was opened elsewhere is counted from its adoption on", "[support]") {
  put("abc");
  CHECK(get() == got{"abc", 0});
  CHECK(sys().close(ends[0]) == 0);
  const descriptor elsewhere{::dup(ends[1])};
  REQUIRE(elsewhere.fd() == ends[0]);
  CHECK(faults.bytes_in(elsewhere.fd()) == 3);
  CHECK(sys().fcntl(elsewhere.fd(), F_GETFL, 0) >= 0);
  CHECK(faults.bytes_in(elsewhere.fd()) == 0);
}

TEST_CASE_METHOD(fixture, "a short recvmsg fills the first parts only", "[support]") {
  put("abcdef");
  faults.limit_read(3);
  char first[2];
  char second[4] = {};
  std::array<iovec, 2> parts = {{{first, 2}, {second, 4}}};
  msghdr message = {};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  CHECK(sys().recvmsg(ends[0], &message, 0) == 3);
  CHECK(std::string_view(first, 2) == "ab");
  CHECK(std::string_view(second, 4) == std::string_view("c\0\0\0", 4));
  CHECK(message.msg_iovlen == 2);
  CHECK(parts[1].iov_len == 4);
}

TEST_CASE_METHOD(fixture, "peeking and event counters are never cut", "[support]") {
  put("abc");
  faults.limit_read(1);
  faults.limit_write(1);
  CHECK(get(100, MSG_PEEK) == got{"abc", 0});
  CHECK(faults.bytes_in() == 0);
  CHECK(get() == got{"a", 0});
  const auto counter = sys().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const std::uint64_t added = 7;
  std::uint64_t value = 0;
  CHECK(sys().write(counter, &added, sizeof(added)) == 8);
  CHECK(sys().read(counter, &value, sizeof(value)) == 8);
  CHECK(value == 7);
}

TEST_CASE("datagrams are never cut", "[support]") {
  fixture pair(SOCK_DGRAM);
  pair.faults.limit_read(1, true);
  pair.faults.limit_write(1, true);
  pair.put("abc");
  CHECK(pair.get() == got{"abc", 0});
  iovec part = {const_cast<char*>("abc"), 3};
  CHECK(send_parts(pair.ends[0], {&part, 1}) == 3);
}

TEST_CASE_METHOD(fixture, "spurious readiness is reported once, with the registered data", "[support]") {
  CHECK_FALSE(faults.spurious_readiness(ends[0]));
  watch(ends[0], EPOLLIN | EPOLLET);
  watch(ends[1], EPOLLIN | EPOLLET);
  CHECK(faults.spurious_readiness(ends[0]));
  CHECK(ready(10'000) == events_of{{ends[0], EPOLLIN | EPOLLOUT}});
  CHECK(get() == got{"", EAGAIN});
  CHECK(ready().empty());

  SECTION("joined with what is really there") {
    put("x");
    faults.spurious_readiness(ends[0]);
    CHECK(ready() == events_of{{ends[0], EPOLLIN | EPOLLOUT}});
  }
  SECTION("to a wait that has begun") {
    events_of seen;
    std::thread waiting([&] { seen = ready(10'000); });
    faults.spurious_readiness(ends[0]);
    waiting.join();
    CHECK(seen == events_of{{ends[0], EPOLLIN | EPOLLOUT}});
  }
  SECTION("unless the descriptor went away") {
    faults.spurious_readiness(ends[0]);
    sys().close(ends[0]);
    CHECK(ready() == events_of{{ends[1], EPOLLIN | EPOLLHUP}});
  }
}

TEST_CASE_METHOD(fixture, "a connect fails at once, or later through SO_ERROR", "[support]") {
  listening_peer server;
  const auto fd = sys().socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  faults.fail(call::connect, EADDRNOTAVAIL);
  CHECK(connect_to(fd, server.port()) == EADDRNOTAVAIL);
  faults.fail_connect_later(ETIMEDOUT);
  CHECK(connect_to(fd, server.port()) == EINPROGRESS);
  watch(fd);
  CHECK(ready(10'000).size() == 1);
  CHECK(socket_error(fd) == ETIMEDOUT);
  CHECK(socket_error(fd) == 0);
}

TEST_CASE_METHOD(fixture, "an interrupted connect goes on in the background", "[support]") {
  listening_peer server;
  const auto fd = sys().socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  faults.fail(call::connect, EINTR);
  CHECK(connect_to(fd, server.port()) == EINTR);
  watch(fd);
  CHECK(ready(10'000) == events_of{{fd, EPOLLOUT}});
  CHECK(socket_error(fd) == 0);
  CHECK(server.accept().fd() >= 0);
}

TEST_CASE_METHOD(fixture, "descriptors that arrive in a message are in the book", "[support]") {
  descriptor sent(::eventfd(0, EFD_CLOEXEC));
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  char byte = 'x';
  iovec part = {&byte, 1};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  auto* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const auto number = sent.fd();
  std::copy_n(reinterpret_cast<const char*>(&number), sizeof(int), reinterpret_cast<char*>(CMSG_DATA(header)));
  REQUIRE(::sendmsg(ends[1], &message, 0) == 1);
  CHECK(sys().recvmsg(ends[0], &message, MSG_CMSG_CLOEXEC) == 1);
  CHECK(faults.open_descriptors(call::recvmsg).size() == 1);
}

TEST_CASE_METHOD(fixture, "an edge-triggered exchange is whole under all of it, across threads", "[support]") {
  const auto [read_max, write_max] = GENERATE(std::pair{1, 1}, std::pair{1, 7}, std::pair{1'000, 3});
  constexpr std::size_t size = 5'000;
  watch(ends[0], both_edges);
  faults.limit_read(static_cast<std::size_t>(read_max), true);
  faults.limit_write(static_cast<std::size_t>(write_max), true);
  faults.interrupt_every_second_call();
  position_checker received(1);
  position_checker answered(2);
  std::thread sender([&] {
    peer other(descriptor(::dup(ends[1])));
    other.send_all(position_stream(1).bytes(size));
    while (answered.offset() < size)
      answered.feed(other.read_some(1'000));
  });
  const auto outgoing = position_stream(2).bytes(size);
  std::size_t sent = 0;
  while (received.offset() < size || sent < size) {
    std::array<epoll_event, 1> event;
    const auto count = sys().epoll_wait(poller, event.data(), 1, 10'000);
    REQUIRE((count == 1 || errno == EINTR));
    if (count < 1)
      continue;
    for (got next = get(); next.second != EAGAIN; next = get())
      received.feed(next.first);
    iovec part = {const_cast<std::byte*>(outgoing.data()) + sent, size - sent};
    while (part.iov_len > 0) {
      const auto done = send_parts(ends[0], {&part, 1});
      if (done < 0 && errno == EAGAIN)
        break;
      if (done < 0)
        continue;
      sent += static_cast<std::size_t>(done);
      part = {const_cast<std::byte*>(outgoing.data()) + sent, size - sent};
    }
  }
  sender.join();
  CHECK_FALSE(received.first_difference());
  CHECK_FALSE(answered.first_difference());
  CHECK(faults.bytes_in() == size);
  CHECK(faults.bytes_out() == size);
}
