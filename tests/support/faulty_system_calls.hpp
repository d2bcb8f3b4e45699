// The real kernel with faults that a test asks for, and a book of what passed: calls, bytes, descriptors.
#pragma once

#include "actnet/net/socket/system_calls.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace actnet::test {

/// The members of `net::system_calls`, by their names; clock_gettime stays the last.
enum class call : std::uint8_t {
  socket,
  socketpair,
  bind,
  listen,
  accept4,
  connect,
  getsockname,
  getpeername,
  getsockopt,
  setsockopt,
  shutdown,
  close,
  recv,
  recvmsg,
  sendmsg,
  fcntl,
  ioctl,
  epoll_create1,
  epoll_ctl,
  epoll_wait,
  eventfd,
  read,
  write,
  open,
  getrlimit,
  setrlimit,
  if_nametoindex,
  if_indextoname,
  clock_gettime,
};

inline constexpr std::size_t call_kinds = static_cast<std::size_t>(call::clock_gettime) + 1;

std::string_view to_string(call which) noexcept;

/// Which calls of a kind a fault hits: `count` of them from the `first`-th on, counted from 1 at the moment when the
/// fault is set. With `fd`, only calls on this descriptor count (for epoll_ctl the one it is about).
struct occurrence {
  static constexpr std::size_t forever = std::numeric_limits<std::size_t>::max();

  std::size_t first = 1;
  std::size_t count = 1;
  int fd = -1;
};

/// Put it in force with `net::replaced_system_calls`. Any thread; faults may be set and lifted at any time.
///
/// A made-up EAGAIN, and a read or write made short, is followed by a new readiness event for the descriptor: its epoll
/// registration is re-armed (EPOLL_CTL_MOD), because an edge-triggered reader may take either for "drained". A
/// registration with EPOLLONESHOT is left to its owner. Knows one poller for each descriptor, the latest.
class faulty_system_calls final : public net::system_calls {
 public:
  faulty_system_calls();

  // -- faults -----------------------------------------------------------------------------------------------------

  /// Answers with `error` instead of making the call. Two calls happen all the same: a failing close closes
  /// (close(2)), and a connect on a stream that is "interrupted" or "in progress" has begun (connect(2)).
  void fail(call which, int error, occurrence when = {});

  /// The connect answers EINPROGRESS, then the descriptor becomes ready and SO_ERROR is `error`. Nothing is sent.
  void fail_connect_later(int error, occurrence when = {});

  /// EINTR from the 2nd, 4th, ... of each of recv, recvmsg, sendmsg, accept4, connect, epoll_wait, read, write, close.
  void interrupt_every_second_call();

  /// No read of a stream gives more than `bytes`; with `alternate_would_block`, every second one on a descriptor is
  /// EAGAIN. Datagrams, event counters and MSG_PEEK are left whole: the kernel never cuts those.
  void limit_read(std::size_t bytes, bool alternate_would_block = false);
  void limit_write(std::size_t bytes, bool alternate_would_block = false);

  /// The next epoll_wait reports EPOLLIN|EPOLLOUT for `fd`, with the data it is registered with; one that waits
  /// already is woken if `fd` has room to write. False if `fd` is not registered.
  bool spurious_readiness(int fd);

  /// Lifts every fault. Counters and descriptors stay.
  void clear_faults();

  // -- the book ---------------------------------------------------------------------------------------------------

  std::size_t calls(call which) const;

  /// How many of them were answered with a fault, a short read or write included.
  std::size_t injected(call which) const;

  /// Bytes that went through recv and recvmsg (without MSG_PEEK), and through sendmsg.
  std::uint64_t bytes_in() const;
  std::uint64_t bytes_out() const;

  /// The same for one descriptor, since it was opened through this object or adopted (see `violations`); also after
  /// its close, until the number is used again.
  std::uint64_t bytes_in(int fd) const;
  std::uint64_t bytes_out(int fd) const;

  /// How many descriptors a call has opened.
  std::size_t opened_count(call by) const;

  /// Descriptors opened through this object (also those received by SCM_RIGHTS) and not closed through it, ascending.
  std::vector<int> open_descriptors() const;
  std::vector<int> open_descriptors(call opened_by) const;

  /// Each close of a descriptor that was not open, or that was closed here before and has not been opened or adopted
  /// (a successful fcntl) since. The latter is answered with EBADF, so that nobody else's descriptor is hit.
  std::vector<std::string> violations() const;

  // -- net::system_calls ------------------------------------------------------------------------------------------

  int socket(int domain, int type, int protocol) noexcept override;
  int socketpair(int domain, int type, int protocol, int* fds) noexcept override;
  int bind(int fd, const sockaddr* address, socklen_t size) noexcept override;
  int listen(int fd, int backlog) noexcept override;
  int accept4(int fd, sockaddr* address, socklen_t* size, int flags) noexcept override;
  int connect(int fd, const sockaddr* address, socklen_t size) noexcept override;
  int getsockname(int fd, sockaddr* address, socklen_t* size) noexcept override;
  int getpeername(int fd, sockaddr* address, socklen_t* size) noexcept override;
  int getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept override;
  int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept override;
  int shutdown(int fd, int how) noexcept override;
  int close(int fd) noexcept override;
  ssize_t recv(int fd, void* buffer, std::size_t size, int flags) noexcept override;
  /// A recvmsg of one part.
  ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from,
                   socklen_t* from_size) noexcept override;
  ssize_t recvmsg(int fd, msghdr* message, int flags) noexcept override;
  /// A sendmsg of one part, with what may befall that.
  ssize_t sendto(int fd, const void* data, std::size_t size, int flags, const sockaddr* to,
                 socklen_t to_size) noexcept override;
  ssize_t sendmsg(int fd, const msghdr* message, int flags) noexcept override;
  /// A sendmsg for each message, with what may befall that.
  int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept override;
  int fcntl(int fd, int command, int argument) noexcept override;
  int ioctl(int fd, unsigned long request, void* argument) noexcept override;
  int epoll_create1(int flags) noexcept override;
  int epoll_ctl(int poller, int operation, int fd, epoll_event* event) noexcept override;
  int epoll_wait(int poller, epoll_event* events, int count, int timeout_ms) noexcept override;
  int eventfd(unsigned count, int flags) noexcept override;
  ssize_t read(int fd, void* buffer, std::size_t size) noexcept override;
  ssize_t write(int fd, const void* buffer, std::size_t size) noexcept override;
  int open(const char* path, int flags, mode_t mode = 0) noexcept override;
  int getrlimit(int resource, rlimit* limit) noexcept override;
  int setrlimit(int resource, const rlimit* limit) noexcept override;
  unsigned if_nametoindex(const char* name) noexcept override;
  char* if_indextoname(unsigned index, char* name) noexcept override;
  int clock_gettime(clockid_t clock, timespec* time) noexcept override;

 private:
  struct rule {
    call which;
    int error;
    bool later;
    occurrence when;
    std::size_t seen = 0;
  };

  struct verdict {
    int error = 0; // 0: make the call
    bool later = false;
  };

  struct size_limit {
    std::size_t bytes = 0; // 0: none
    bool alternate_would_block = false;
  };

  enum direction : std::uint8_t { in, out };

  struct allowance {
    std::size_t bytes = 0;
    bool cut = false;
    bool would_block = false;
  };

  struct entry {
    bool open = false;
    bool closed_before = false;
    call opened_by = call::socket;
    int poller = -1;
    epoll_event registration = {};
    std::array<bool, 2> block_next = {};
    int socket_error = 0;
    std::array<std::uint64_t, 2> bytes = {};
  };

  struct counters {
    std::size_t calls = 0;
    std::size_t injected = 0;
    std::size_t opened = 0;
  };

  entry* find(int fd) noexcept;
  std::uint64_t bytes_of(direction way, int fd) const;
  verdict judge(call which, int fd) noexcept;
  bool refused(call which, int fd) noexcept;
  int opened(call by, int fd) noexcept;
  bool forget(int fd) noexcept;
  void rearm(int fd) noexcept;
  allowance allow(direction way, call which, int fd, std::size_t size, int flags) noexcept;
  void settle(call which, int fd, const allowance& allowed, ssize_t done) noexcept;
  void count_bytes(direction way, int fd, ssize_t done) noexcept;
  void track_received(const msghdr& message) noexcept;

  mutable std::mutex mutex_;
  std::vector<rule> rules_;
  bool interrupting_ = false;
  std::array<size_limit, 2> limits_;
  std::vector<int> spurious_;
  std::array<counters, call_kinds> counters_;
  std::array<std::uint64_t, 2> bytes_ = {};
  std::vector<entry> table_; // by descriptor; its size never changes, so that no call allocates
  std::vector<std::string> violations_;
};

} // namespace actnet::test
