// The seam: every system call of the library, and nothing else, goes through here.
#pragma once

#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>

namespace actnet::net {

/// The kernel as the library sees it. Each member is the call of its name, with its arguments, result and errno
/// (section 2 of the manual). Tests put a failing, a short-writing or an in-memory kernel in its place.
class system_calls {
 public:
  virtual ~system_calls() = default;

  virtual int socket(int domain, int type, int protocol) noexcept;
  virtual int socketpair(int domain, int type, int protocol, int* fds) noexcept;
  virtual int bind(int fd, const sockaddr* address, socklen_t size) noexcept;
  virtual int listen(int fd, int backlog) noexcept;
  virtual int accept4(int fd, sockaddr* address, socklen_t* size, int flags) noexcept;
  virtual int connect(int fd, const sockaddr* address, socklen_t size) noexcept;
  virtual int getsockname(int fd, sockaddr* address, socklen_t* size) noexcept;
  virtual int getpeername(int fd, sockaddr* address, socklen_t* size) noexcept;
  virtual int getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept;
  virtual int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept;
  virtual int shutdown(int fd, int how) noexcept;
  virtual int close(int fd) noexcept;
  virtual ssize_t recv(int fd, void* buffer, std::size_t size, int flags) noexcept;
  virtual ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from,
                           socklen_t* from_size) noexcept;
  virtual ssize_t recvmsg(int fd, msghdr* message, int flags) noexcept;
  virtual ssize_t sendto(int fd, const void* data, std::size_t size, int flags, const sockaddr* to,
                         socklen_t to_size) noexcept;
  virtual ssize_t sendmsg(int fd, const msghdr* message, int flags) noexcept;
  virtual int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept;
  virtual int fcntl(int fd, int command, int argument) noexcept;
  virtual int ioctl(int fd, unsigned long request, void* argument) noexcept;

  virtual int epoll_create1(int flags) noexcept;
  virtual int epoll_ctl(int poller, int operation, int fd, epoll_event* event) noexcept;
  virtual int epoll_wait(int poller, epoll_event* events, int count, int timeout_ms) noexcept;
  virtual int eventfd(unsigned count, int flags) noexcept;
  virtual ssize_t read(int fd, void* buffer, std::size_t size) noexcept;
  virtual ssize_t write(int fd, const void* buffer, std::size_t size) noexcept;
  virtual int open(const char* path, int flags, mode_t mode = 0) noexcept;
  virtual int fstat(int fd, struct stat* about) noexcept;
  virtual ssize_t pread(int fd, void* buffer, std::size_t size, off_t offset) noexcept;
  virtual ssize_t sendfile(int to, int from, off_t* offset, std::size_t count) noexcept;

  virtual int lstat(const char* path, struct stat* about) noexcept;
  virtual int fstatat(int folder, const char* path, struct stat* about, int flags) noexcept;
  virtual int unlink(const char* path) noexcept;
  virtual int fchmodat(int folder, const char* path, mode_t mode, int flags) noexcept;
  virtual int fchmod(int fd, mode_t mode) noexcept;
  virtual int flock(int fd, int operation) noexcept;
  virtual uid_t geteuid() noexcept;

  virtual int getrlimit(int resource, rlimit* limit) noexcept;
  virtual int setrlimit(int resource, const rlimit* limit) noexcept;
  virtual int clock_gettime(clockid_t clock, timespec* time) noexcept;
  virtual int sched_getaffinity(pid_t process, std::size_t size, cpu_set_t* set) noexcept;

  virtual unsigned if_nametoindex(const char* name) noexcept;
  virtual char* if_indextoname(unsigned index, char* name) noexcept;
};

/// Puts `calls` in force for the whole process until destroyed; then whatever was there before. Replace them only
/// while no loop runs and no socket is open. `calls` must outlive this object.
class replaced_system_calls {
 public:
  explicit replaced_system_calls(system_calls& calls) noexcept;
  ~replaced_system_calls();
  replaced_system_calls(const replaced_system_calls&) = delete;
  replaced_system_calls& operator=(const replaced_system_calls&) = delete;

 private:
  friend system_calls& sys() noexcept;
  static std::atomic<system_calls*> in_force_;
  system_calls* before_;
};

/// The system calls in force: the kernel's own unless a test replaced them. Any thread.
inline system_calls& sys() noexcept {
  return *replaced_system_calls::in_force_.load(std::memory_order_relaxed);
}

} // namespace actnet::net
