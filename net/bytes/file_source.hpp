// A part of a file on its way into a stream: opened when its turn comes, sent by sendfile(2) or copied.
#pragma once

#include "actnet/net/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <system_error>

namespace actnet::net {

/// One thread at a time. Reading from a disk may hold that thread up for as long as the disk takes.
class file_source {
 public:
  static constexpr std::size_t buffer_bytes = 64 * 1024;

  /// `count` bytes from `offset` on; 0: all up to the end that the file has when it is opened.
  file_source(std::string path, std::uint64_t offset, std::uint64_t count) noexcept
      : path_(std::move(path)), offset_(offset), count_(count) {}
  ~file_source();
  file_source(const file_source&) = delete;
  file_source& operator=(const file_source&) = delete;

  /// `not_a_file`: no regular one, or its size says nothing (/proc, /sys); `file_too_short`: it does not reach so far.
  result<void> open();
  bool is_open() const noexcept { return fd_ >= 0; }
  int fd() const noexcept { return fd_; }

  /// Once open.
  std::uint64_t size() const noexcept { return count_; }
  std::uint64_t offset() const noexcept { return offset_; }

  /// From now on its bytes come by `copy`: the kernel does not send from such a file.
  void copy_from_now_on();
  bool copies() const noexcept { return buffer_ != nullptr; }

  /// The bytes from `position` (counted from `offset`) on, as many as fit its buffer; they stay until the next call.
  /// `file_too_short`: the file has become shorter.
  result<std::span<const std::byte>> copy(std::uint64_t position);

 private:
  std::string path_;
  std::uint64_t offset_;
  std::uint64_t count_;
  int fd_ = -1;
  std::unique_ptr<std::byte[]> buffer_;
};

} // namespace actnet::net
