// One owned file descriptor of a test helper, closed with the kernel's own close(2), past any replaced system calls.
#pragma once

#include <unistd.h>

#include <utility>

namespace actnet::test {

/// Move-only. -1 stands for none.
class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(other.release()) {}
  descriptor& operator=(descriptor&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~descriptor() { reset(); }

  int fd() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (const auto before = std::exchange(fd_, fd); before >= 0)
      ::close(before);
  }

 private:
  int fd_ = -1;
};

} // namespace actnet::test
