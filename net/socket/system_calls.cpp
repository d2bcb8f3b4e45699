#include "actnet/net/socket/system_calls.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace actnet::net {

namespace direct {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)

// A sanitizer learns from the C library's functions what the kernel did, and in which order.
using ::epoll_wait;
using ::recv;
using ::recvfrom;
using ::recvmsg;
using ::sendmmsg;
using ::sendmsg;
using ::sendto;

#else

// The C library makes its own of these points where a thread can be cancelled (pthreads(7)), at the price of four
// atomic operations a call. No thread is ever cancelled here.
ssize_t recv(int fd, void* buffer, std::size_t size, int flags) noexcept {
  return ::syscall(SYS_recvfrom, fd, buffer, size, flags, nullptr, nullptr);
}
ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from, socklen_t* from_size) noexcept {
  return ::syscall(SYS_recvfrom, fd, buffer, size, flags, from, from_size);
}
ssize_t recvmsg(int fd, msghdr* message, int flags) noexcept {
  return ::syscall(SYS_recvmsg, fd, message, flags);
}
ssize_t sendto(int fd, const void* data, std::size_t size, int flags, const sockaddr* to, socklen_t to_size) noexcept {
  return ::syscall(SYS_sendto, fd, data, size, flags, to, to_size);
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) noexcept {
  return ::syscall(SYS_sendmsg, fd, message, flags);
}
int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept {
  return static_cast<int>(::syscall(SYS_sendmmsg, fd, messages, count, flags));
}
int epoll_wait(int poller, epoll_event* events, int count, int timeout_ms) noexcept {
  return static_cast<int>(::syscall(SYS_epoll_pwait, poller, events, count, timeout_ms, nullptr, 0));
}

#endif

} // namespace direct

int system_calls::socket(int domain, int type, int protocol) noexcept {
  return ::socket(domain, type, protocol);
}

int system_calls::socketpair(int domain, int type, int protocol, int* fds) noexcept {
  return ::socketpair(domain, type, protocol, fds);
}

int system_calls::bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  return ::bind(fd, address, size);
}

int system_calls::listen(int fd, int backlog) noexcept {
  return ::listen(fd, backlog);
}

int system_calls::accept4(int fd, sockaddr* address, socklen_t* size, int flags) noexcept {
  return ::accept4(fd, address, size, flags);
}

int system_calls::connect(int fd, const sockaddr* address, socklen_t size) noexcept {
  return ::connect(fd, address, size);
}

int system_calls::getsockname(int fd, sockaddr* address, socklen_t* size) noexcept {
  return ::getsockname(fd, address, size);
}

int system_calls::getpeername(int fd, sockaddr* address, socklen_t* size) noexcept {
  return ::getpeername(fd, address, size);
}

int system_calls::getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  return ::getsockopt(fd, level, name, value, size);
}

int system_calls::setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  return ::setsockopt(fd, level, name, value, size);
}

int system_calls::shutdown(int fd, int how) noexcept {
  return ::shutdown(fd, how);
}

int system_calls::close(int fd) noexcept {
  return ::close(fd);
}

ssize_t system_calls::recv(int fd, void* buffer, std::size_t size, int flags) noexcept {
  return direct::recv(fd, buffer, size, flags);
}

ssize_t system_calls::recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from,
                               socklen_t* from_size) noexcept {
  return direct::recvfrom(fd, buffer, size, flags, from, from_size);
}

ssize_t system_calls::recvmsg(int fd, msghdr* message, int flags) noexcept {
  return direct::recvmsg(fd, message, flags);
}

ssize_t system_calls::sendto(int fd, const void* data, std::size_t size, int flags, const sockaddr* to,
                             socklen_t to_size) noexcept {
  return direct::sendto(fd, data, size, flags, to, to_size);
}

ssize_t system_calls::sendmsg(int fd, const msghdr* message, int flags) noexcept {
  return direct::sendmsg(fd, message, flags);
}

int system_calls::sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept {
  return direct::sendmmsg(fd, messages, count, flags);
}

int system_calls::fcntl(int fd, int command, int argument) noexcept {
  return ::fcntl(fd, command, argument);
}

int system_calls::ioctl(int fd, unsigned long request, void* argument) noexcept {
  return ::ioctl(fd, request, argument);
}

int system_calls::epoll_create1(int flags) noexcept {
  return ::epoll_create1(flags);
}

int system_calls::epoll_ctl(int poller, int operation, int fd, epoll_event* event) noexcept {
  return ::epoll_ctl(poller, operation, fd, event);
}

int system_calls::epoll_wait(int poller, epoll_event* events, int count, int timeout_ms) noexcept {
  return direct::epoll_wait(poller, events, count, timeout_ms);
}

int system_calls::eventfd(unsigned count, int flags) noexcept {
  return ::eventfd(count, flags);
}

ssize_t system_calls::read(int fd, void* buffer, std::size_t size) noexcept {
  return ::read(fd, buffer, size);
}

ssize_t system_calls::write(int fd, const void* buffer, std::size_t size) noexcept {
  return ::write(fd, buffer, size);
}

int system_calls::open(const char* path, int flags, mode_t mode) noexcept {
  return ::open(path, flags, mode);
}

int system_calls::fstat(int fd, struct stat* about) noexcept {
  return ::fstat(fd, about);
}

ssize_t system_calls::pread(int fd, void* buffer, std::size_t size, off_t offset) noexcept {
  return ::pread(fd, buffer, size, offset);
}

ssize_t system_calls::sendfile(int to, int from, off_t* offset, std::size_t count) noexcept {
  return ::sendfile(to, from, offset, count);
}

int system_calls::lstat(const char* path, struct stat* about) noexcept {
  return ::lstat(path, about);
}

int system_calls::fstatat(int folder, const char* path, struct stat* about, int flags) noexcept {
  return ::fstatat(folder, path, about, flags);
}

int system_calls::unlink(const char* path) noexcept {
  return ::unlink(path);
}

int system_calls::fchmodat(int folder, const char* path, mode_t mode, int flags) noexcept {
  return ::fchmodat(folder, path, mode, flags);
}

int system_calls::fchmod(int fd, mode_t mode) noexcept {
  return ::fchmod(fd, mode);
}

int system_calls::flock(int fd, int operation) noexcept {
  return ::flock(fd, operation);
}

uid_t system_calls::geteuid() noexcept {
  return ::geteuid();
}

int system_calls::getrlimit(int resource, rlimit* limit) noexcept {
  return ::getrlimit(static_cast<__rlimit_resource>(resource), limit);
}

int system_calls::setrlimit(int resource, const rlimit* limit) noexcept {
  return ::setrlimit(static_cast<__rlimit_resource>(resource), limit);
}

int system_calls::clock_gettime(clockid_t clock, timespec* time) noexcept {
  return ::clock_gettime(clock, time);
}

int system_calls::sched_getaffinity(pid_t process, std::size_t size, cpu_set_t* set) noexcept {
  return ::sched_getaffinity(process, size, set);
}

unsigned system_calls::if_nametoindex(const char* name) noexcept {
  return ::if_nametoindex(name);
}

char* system_calls::if_indextoname(unsigned index, char* name) noexcept {
  return ::if_indextoname(index, name);
}

// Never destroyed: a socket may be closed while static objects go away.
std::atomic<system_calls*> replaced_system_calls::in_force_{new system_calls};

replaced_system_calls::replaced_system_calls(system_calls& calls) noexcept : before_(in_force_.exchange(&calls)) {}

replaced_system_calls::~replaced_system_calls() {
  in_force_.store(before_);
}

} // namespace actnet::net
