#include "support/faulty_system_calls.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace actnet::test {

namespace {

// Descriptors from this number on pass without an entry.
constexpr std::size_t table_size = 65'536;

constexpr std::array<std::string_view, call_kinds> names = {
    "socket",      "socketpair",  "bind",           "listen",         "accept4",      "connect",
    "getsockname", "getpeername", "getsockopt",     "setsockopt",     "shutdown",     "close",
    "recv",        "recvmsg",     "sendmsg",        "fcntl",          "ioctl",        "epoll_create1",
    "epoll_ctl",   "epoll_wait",  "eventfd",        "read",           "write",        "open",
    "getrlimit",   "setrlimit",   "if_nametoindex", "if_indextoname", "clock_gettime"};

bool can_be_interrupted(call which) {
  switch (which) {
  case call::recv:
  case call::recvmsg:
  case call::sendmsg:
  case call::accept4:
  case call::connect:
  case call::epoll_wait:
  case call::read:
  case call::write:
  case call::close: return true;
  default: return false;
  }
}

// Whether reads and writes on it may be cut anywhere. Not so for datagrams, and for event counters, which are no files
// of any type.
bool is_byte_stream(int fd) {
  struct stat status;
  if (::fstat(fd, &status) != 0)
    return false;
  if (!S_ISSOCK(status.st_mode))
    return S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode) || S_ISCHR(status.st_mode);
  int type = 0;
  socklen_t size = sizeof(type);
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

std::size_t total_bytes(const msghdr& message) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < message.msg_iovlen; ++i)
    sum += message.msg_iov[i].iov_len;
  return sum;
}

// The first `bytes` of a message. The same length or shorter: what does not fit into the array is left out.
class shortened {
 public:
  shortened(const msghdr& message, std::size_t bytes) : message_(message) {
    message_.msg_iov = parts_.data();
    message_.msg_iovlen = 0;
    for (std::size_t i = 0; i < std::min(message.msg_iovlen, parts_.size()) && bytes > 0; ++i) {
      auto& part = parts_[message_.msg_iovlen++];
      part = message.msg_iov[i];
      part.iov_len = std::min(part.iov_len, bytes);
      bytes -= part.iov_len;
    }
  }
  shortened(const shortened&) = delete;
  shortened& operator=(const shortened&) = delete;

  msghdr* get() noexcept { return &message_; }

 private:
  msghdr message_;
  std::array<iovec, 64> parts_;
};

} // namespace

std::string_view to_string(call which) noexcept {
  return names[static_cast<std::size_t>(which)];
}

faulty_system_calls::faulty_system_calls() : table_(table_size) {
  spurious_.reserve(64);
}

// -- faults -------------------------------------------------------------------------------------------------------

void faulty_system_calls::fail(call which, int error, occurrence when) {
  std::lock_guard lock(mutex_);
  rules_.push_back({which, error, false, when});
}

void faulty_system_calls::fail_connect_later(int error, occurrence when) {
  std::lock_guard lock(mutex_);
  rules_.push_back({call::connect, error, true, when});
}

void faulty_system_calls::interrupt_every_second_call() {
  std::lock_guard lock(mutex_);
  interrupting_ = true;
}

void faulty_system_calls::limit_read(std::size_t bytes, bool alternate_would_block) {
  std::lock_guard lock(mutex_);
  limits_[in] = {bytes, alternate_would_block};
}

void faulty_system_calls::limit_write(std::size_t bytes, bool alternate_would_block) {
  std::lock_guard lock(mutex_);
  limits_[out] = {bytes, alternate_would_block};
}

bool faulty_system_calls::spurious_readiness(int fd) {
  std::lock_guard lock(mutex_);
  auto* known = find(fd);
  if (known == nullptr || known->poller < 0)
    return false;
  spurious_.push_back(fd);
  if ((known->registration.events & EPOLLONESHOT) != 0)
    return true;
  // Wakes whoever waits already; epoll_wait below puts the true registration back.
  auto awake = known->registration;
  awake.events |= EPOLLOUT;
  system_calls::epoll_ctl(known->poller, EPOLL_CTL_MOD, fd, &awake);
  return true;
}

void faulty_system_calls::clear_faults() {
  std::lock_guard lock(mutex_);
  rules_.clear();
  interrupting_ = false;
  limits_ = {};
  for (const auto fd : spurious_)
    rearm(fd);
  spurious_.clear();
}

// -- the book -----------------------------------------------------------------------------------------------------

std::size_t faulty_system_calls::calls(call which) const {
  std::lock_guard lock(mutex_);
  return counters_[static_cast<std::size_t>(which)].calls;
}

std::size_t faulty_system_calls::injected(call which) const {
  std::lock_guard lock(mutex_);
  return counters_[static_cast<std::size_t>(which)].injected;
}

std::uint64_t faulty_system_calls::bytes_in() const {
  std::lock_guard lock(mutex_);
  return bytes_[in];
}

std::uint64_t faulty_system_calls::bytes_out() const {
  std::lock_guard lock(mutex_);
  return bytes_[out];
}

std::uint64_t faulty_system_calls::bytes_of(direction way, int fd) const {
  std::lock_guard lock(mutex_);
  const auto index = static_cast<std::size_t>(fd);
  return fd >= 0 && index < table_.size() ? table_[index].bytes[way] : 0;
}

std::uint64_t faulty_system_calls::bytes_in(int fd) const {
  return bytes_of(in, fd);
}

std::uint64_t faulty_system_calls::bytes_out(int fd) const {
  return bytes_of(out, fd);
}

std::size_t faulty_system_calls::opened_count(call by) const {
  std::lock_guard lock(mutex_);
  return counters_[static_cast<std::size_t>(by)].opened;
}

std::vector<int> faulty_system_calls::open_descriptors() const {
  std::lock_guard lock(mutex_);
  std::vector<int> all;
  for (std::size_t fd = 0; fd < table_.size(); ++fd)
    if (table_[fd].open)
      all.push_back(static_cast<int>(fd));
  return all;
}

std::vector<int> faulty_system_calls::open_descriptors(call opened_by) const {
  auto all = open_descriptors();
  std::lock_guard lock(mutex_);
  std::erase_if(all, [&](int fd) { return table_[static_cast<std::size_t>(fd)].opened_by != opened_by; });
  return all;
}

std::vector<std::string> faulty_system_calls::violations() const {
  std::lock_guard lock(mutex_);
  return violations_;
}

// -- parts of the calls -------------------------------------------------------------------------------------------

faulty_system_calls::entry* faulty_system_calls::find(int fd) noexcept {
  return fd >= 0 && static_cast<std::size_t>(fd) < table_.size() ? &table_[static_cast<std::size_t>(fd)] : nullptr;
}

faulty_system_calls::verdict faulty_system_calls::judge(call which, int fd) noexcept {
  std::lock_guard lock(mutex_);
  auto& count = counters_[static_cast<std::size_t>(which)];
  ++count.calls;
  verdict result;
  for (auto& each : rules_) {
    if (each.which != which || (each.when.fd >= 0 && each.when.fd != fd))
      continue;
    ++each.seen;
    if (result.error == 0 && each.seen >= each.when.first && each.seen - each.when.first < each.when.count)
      result = {each.error, each.later};
  }
  if (result.error == 0 && interrupting_ && can_be_interrupted(which) && count.calls % 2 == 0)
    result.error = EINTR;
  if (result.error != 0)
    ++count.injected;
  if (result.error == EAGAIN)
    rearm(fd);
  return result;
}

bool faulty_system_calls::refused(call which, int fd) noexcept {
  const auto fault = judge(which, fd);
  if (fault.error != 0)
    errno = fault.error;
  return fault.error != 0;
}

int faulty_system_calls::opened(call by, int fd) noexcept {
  std::lock_guard lock(mutex_);
  if (fd >= 0)
    ++counters_[static_cast<std::size_t>(by)].opened;
  if (auto* fresh = find(fd)) {
    *fresh = {};
    fresh->open = true;
    fresh->opened_by = by;
  }
  return fd;
}

// Called before the descriptor is really closed: afterwards another thread may get its number at once. Returns false
// for the second close of the same descriptor.
bool faulty_system_calls::forget(int fd) noexcept {
  auto* known = find(fd);
  if (known == nullptr)
    return true;
  if (!known->open && known->closed_before)
    return false;
  if (known->opened_by == call::epoll_create1)
    for (auto& each : table_)
      if (each.poller == fd)
        each.poller = -1;
  const auto bytes = known->bytes;
  *known = {};
  known->closed_before = true;
  known->bytes = bytes;
  std::erase(spurious_, fd);
  return true;
}

void faulty_system_calls::rearm(int fd) noexcept {
  auto* known = find(fd);
  if (known == nullptr || known->poller < 0 || (known->registration.events & EPOLLONESHOT) != 0)
    return;
  auto again = known->registration;
  system_calls::epoll_ctl(known->poller, EPOLL_CTL_MOD, fd, &again);
}

faulty_system_calls::allowance faulty_system_calls::allow(direction way, call which, int fd, std::size_t size,
                                                          int flags) noexcept {
  std::lock_guard lock(mutex_);
  const auto [bytes, alternate] = limits_[way];
  if (bytes == 0 || size == 0 || (flags & MSG_PEEK) != 0 || !is_byte_stream(fd))
    return {size};
  if (auto* known = find(fd); known != nullptr && alternate) {
    auto& block = known->block_next[way];
    block = !block;
    if (!block) {
      ++counters_[static_cast<std::size_t>(which)].injected;
      rearm(fd);
      errno = EAGAIN;
      return {0, false, true};
    }
  }
  return {std::min(size, bytes), bytes < size, false};
}

void faulty_system_calls::settle(call which, int fd, const allowance& allowed, ssize_t done) noexcept {
  if (!allowed.cut || done != static_cast<ssize_t>(allowed.bytes))
    return;
  std::lock_guard lock(mutex_);
  ++counters_[static_cast<std::size_t>(which)].injected;
  rearm(fd);
}

void faulty_system_calls::count_bytes(direction way, int fd, ssize_t done) noexcept {
  if (done <= 0)
    return;
  std::lock_guard lock(mutex_);
  bytes_[way] += static_cast<std::uint64_t>(done);
  if (auto* known = find(fd))
    known->bytes[way] += static_cast<std::uint64_t>(done);
}

void faulty_system_calls::track_received(const msghdr& message) noexcept {
  auto* writable = const_cast<msghdr*>(&message); // CMSG_NXTHDR reads only
  for (auto* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(writable, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
      continue;
    const auto count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      opened(call::recvmsg, fd);
    }
  }
}

// -- net::system_calls --------------------------------------------------------------------------------------------

int faulty_system_calls::socket(int domain, int type, int protocol) noexcept {
  return refused(call::socket, -1) ? -1 : opened(call::socket, system_calls::socket(domain, type, protocol));
}

int faulty_system_calls::socketpair(int domain, int type, int protocol, int* fds) noexcept {
  if (refused(call::socketpair, -1))
    return -1;
  const auto done = system_calls::socketpair(domain, type, protocol, fds);
  for (auto i = 0; done == 0 && i < 2; ++i)
    opened(call::socketpair, fds[i]);
  return done;
}

int faulty_system_calls::bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  return refused(call::bind, fd) ? -1 : system_calls::bind(fd, address, size);
}

int faulty_system_calls::listen(int fd, int backlog) noexcept {
  return refused(call::listen, fd) ? -1 : system_calls::listen(fd, backlog);
}

int faulty_system_calls::accept4(int fd, sockaddr* address, socklen_t* size, int flags) noexcept {
  return refused(call::accept4, fd) ? -1 : opened(call::accept4, system_calls::accept4(fd, address, size, flags));
}

int faulty_system_calls::connect(int fd, const sockaddr* address, socklen_t size) noexcept {
  const auto fault = judge(call::connect, fd);
  if (fault.later) {
    std::lock_guard lock(mutex_);
    if (auto* known = find(fd))
      known->socket_error = fault.error;
    rearm(fd);
    errno = EINPROGRESS;
    return -1;
  }
  const auto begins = fault.error == EINTR || fault.error == EINPROGRESS;
  if (fault.error != 0 && !begins) {
    errno = fault.error;
    return -1;
  }
  const auto done = system_calls::connect(fd, address, size);
  if (begins && (done == 0 || errno == EINPROGRESS) && is_byte_stream(fd)) {
    errno = fault.error;
    return -1;
  }
  return done;
}

int faulty_system_calls::getsockname(int fd, sockaddr* address, socklen_t* size) noexcept {
  return refused(call::getsockname, fd) ? -1 : system_calls::getsockname(fd, address, size);
}

int faulty_system_calls::getpeername(int fd, sockaddr* address, socklen_t* size) noexcept {
  return refused(call::getpeername, fd) ? -1 : system_calls::getpeername(fd, address, size);
}

int faulty_system_calls::getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  if (refused(call::getsockopt, fd))
    return -1;
  const auto done = system_calls::getsockopt(fd, level, name, value, size);
  if (done != 0 || level != SOL_SOCKET || name != SO_ERROR || *size != sizeof(int))
    return done;
  std::lock_guard lock(mutex_);
  if (auto* known = find(fd); known != nullptr && known->socket_error != 0) {
    std::memcpy(value, &known->socket_error, sizeof(int));
    known->socket_error = 0;
  }
  return 0;
}

int faulty_system_calls::setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  return refused(call::setsockopt, fd) ? -1 : system_calls::setsockopt(fd, level, name, value, size);
}

int faulty_system_calls::shutdown(int fd, int how) noexcept {
  return refused(call::shutdown, fd) ? -1 : system_calls::shutdown(fd, how);
}

int faulty_system_calls::close(int fd) noexcept {
  const auto fault = judge(call::close, fd);
  auto done = -1;
  {
    std::lock_guard lock(mutex_);
    if (!forget(fd)) {
      violations_.push_back("close(" + std::to_string(fd) + "): closed before and not opened since");
      errno = EBADF;
      return -1;
    }
    done = system_calls::close(fd);
    if (done != 0 && errno == EBADF) {
      violations_.push_back("close(" + std::to_string(fd) + "): not open");
      return -1;
    }
  }
  if (fault.error == 0)
    return done;
  errno = fault.error;
  return -1;
}

ssize_t faulty_system_calls::recv(int fd, void* buffer, std::size_t size, int flags) noexcept {
  if (refused(call::recv, fd))
    return -1;
  const auto allowed = allow(in, call::recv, fd, size, flags);
  if (allowed.would_block)
    return -1;
  const auto done = system_calls::recv(fd, buffer, allowed.bytes, flags);
  settle(call::recv, fd, allowed, done);
  if ((flags & MSG_PEEK) == 0)
    count_bytes(in, fd, std::min(done, static_cast<ssize_t>(size)));
  return done;
}

ssize_t faulty_system_calls::recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from,
                                      socklen_t* from_size) noexcept {
  iovec part{buffer, size};
  msghdr message{};
  message.msg_name = from;
  message.msg_namelen = from_size ? *from_size : 0;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const auto done = recvmsg(fd, &message, flags);
  if (done >= 0 && from_size)
    *from_size = message.msg_namelen;
  return done;
}

ssize_t faulty_system_calls::recvmsg(int fd, msghdr* message, int flags) noexcept {
  if (refused(call::recvmsg, fd))
    return -1;
  const auto size = total_bytes(*message);
  const auto allowed = allow(in, call::recvmsg, fd, size, flags);
  if (allowed.would_block)
    return -1;
  auto done = ssize_t{-1};
  if (allowed.cut) {
    shortened head(*message, allowed.bytes);
    done = system_calls::recvmsg(fd, head.get(), flags);
    message->msg_namelen = head.get()->msg_namelen;
    message->msg_controllen = head.get()->msg_controllen;
    message->msg_flags = head.get()->msg_flags;
  } else {
    done = system_calls::recvmsg(fd, message, flags);
  }
  settle(call::recvmsg, fd, allowed, done);
  if ((flags & MSG_PEEK) == 0)
    count_bytes(in, fd, std::min(done, static_cast<ssize_t>(size)));
  if (done >= 0)
    track_received(*message);
  return done;
}

int faulty_system_calls::sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept {
  for (unsigned i = 0; i < count; ++i) {
    const auto sent = sendmsg(fd, &messages[i].msg_hdr, flags);
    if (sent < 0)
      return i > 0 ? static_cast<int>(i) : -1;
    messages[i].msg_len = static_cast<unsigned>(sent);
  }
  return static_cast<int>(count);
}

ssize_t faulty_system_calls::sendto(int fd, const void* data, std::size_t size, int flags, const sockaddr* to,
                                    socklen_t to_size) noexcept {
  iovec part{const_cast<void*>(data), size};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(to);
  message.msg_namelen = to_size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  return sendmsg(fd, &message, flags);
}

ssize_t faulty_system_calls::sendmsg(int fd, const msghdr* message, int flags) noexcept {
  if (refused(call::sendmsg, fd))
    return -1;
  const auto allowed = allow(out, call::sendmsg, fd, total_bytes(*message), flags);
  if (allowed.would_block)
    return -1;
  const auto done = allowed.cut ? system_calls::sendmsg(fd, shortened(*message, allowed.bytes).get(), flags)
                                : system_calls::sendmsg(fd, message, flags);
  settle(call::sendmsg, fd, allowed, done);
  count_bytes(out, fd, done);
  return done;
}

int faulty_system_calls::fcntl(int fd, int command, int argument) noexcept {
  if (refused(call::fcntl, fd))
    return -1;
  const auto done = system_calls::fcntl(fd, command, argument);
  if (done >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
    opened(call::fcntl, done);
  std::lock_guard lock(mutex_);
  if (auto* known = find(fd); known != nullptr && done >= 0 && std::exchange(known->closed_before, false))
    known->bytes = {};
  return done;
}

int faulty_system_calls::ioctl(int fd, unsigned long request, void* argument) noexcept {
  return refused(call::ioctl, fd) ? -1 : system_calls::ioctl(fd, request, argument);
}

int faulty_system_calls::epoll_create1(int flags) noexcept {
  return refused(call::epoll_create1, -1) ? -1 : opened(call::epoll_create1, system_calls::epoll_create1(flags));
}

int faulty_system_calls::epoll_ctl(int poller, int operation, int fd, epoll_event* event) noexcept {
  if (refused(call::epoll_ctl, fd))
    return -1;
  std::lock_guard lock(mutex_);
  const auto done = system_calls::epoll_ctl(poller, operation, fd, event);
  auto* known = find(fd);
  if (done != 0 || known == nullptr)
    return done;
  if (operation == EPOLL_CTL_DEL) {
    known->poller = -1;
    std::erase(spurious_, fd);
  } else {
    known->poller = poller;
    known->registration = *event;
  }
  return done;
}

int faulty_system_calls::epoll_wait(int poller, epoll_event* events, int count, int timeout_ms) noexcept {
  if (refused(call::epoll_wait, poller))
    return -1;
  const auto here = [&](int fd) { return find(fd)->poller == poller; };
  {
    std::lock_guard lock(mutex_);
    if (std::any_of(spurious_.begin(), spurious_.end(), here))
      timeout_ms = 0;
  }
  auto ready = system_calls::epoll_wait(poller, events, count, timeout_ms);
  if (ready < 0)
    return ready;
  std::lock_guard lock(mutex_);
  std::erase_if(spurious_, [&](int fd) {
    if (!here(fd))
      return false;
    const auto& registration = find(fd)->registration;
    auto* event = std::find_if(events, events + ready,
                               [&](const epoll_event& each) { return each.data.u64 == registration.data.u64; });
    if (event == events + count)
      return false; // no room: next time
    if (event == events + ready) {
      ++ready;
      *event = {0, registration.data};
    }
    event->events |= EPOLLIN | EPOLLOUT;
    rearm(fd);
    ++counters_[static_cast<std::size_t>(call::epoll_wait)].injected;
    return true;
  });
  return ready;
}

int faulty_system_calls::eventfd(unsigned count, int flags) noexcept {
  return refused(call::eventfd, -1) ? -1 : opened(call::eventfd, system_calls::eventfd(count, flags));
}

ssize_t faulty_system_calls::read(int fd, void* buffer, std::size_t size) noexcept {
  if (refused(call::read, fd))
    return -1;
  const auto allowed = allow(in, call::read, fd, size, 0);
  if (allowed.would_block)
    return -1;
  const auto done = system_calls::read(fd, buffer, allowed.bytes);
  settle(call::read, fd, allowed, done);
  return done;
}

ssize_t faulty_system_calls::write(int fd, const void* buffer, std::size_t size) noexcept {
  if (refused(call::write, fd))
    return -1;
  const auto allowed = allow(out, call::write, fd, size, 0);
  if (allowed.would_block)
    return -1;
  const auto done = system_calls::write(fd, buffer, allowed.bytes);
  settle(call::write, fd, allowed, done);
  return done;
}

int faulty_system_calls::open(const char* path, int flags, mode_t mode) noexcept {
  return refused(call::open, -1) ? -1 : opened(call::open, system_calls::open(path, flags, mode));
}

int faulty_system_calls::getrlimit(int resource, rlimit* limit) noexcept {
  return refused(call::getrlimit, -1) ? -1 : system_calls::getrlimit(resource, limit);
}

int faulty_system_calls::setrlimit(int resource, const rlimit* limit) noexcept {
  return refused(call::setrlimit, -1) ? -1 : system_calls::setrlimit(resource, limit);
}

unsigned faulty_system_calls::if_nametoindex(const char* name) noexcept {
  return refused(call::if_nametoindex, -1) ? 0 : system_calls::if_nametoindex(name);
}

char* faulty_system_calls::if_indextoname(unsigned index, char* name) noexcept {
  return refused(call::if_indextoname, -1) ? nullptr : system_calls::if_indextoname(index, name);
}

int faulty_system_calls::clock_gettime(clockid_t clock, timespec* time) noexcept {
  return refused(call::clock_gettime, -1) ? -1 : system_calls::clock_gettime(clock, time);
}

} // namespace actnet::test
