// The file of a Unix socket: bind(2) makes it, and it is in the way of the next bind until somebody unlinks it.
#pragma once

#include "actnet/net/address/endpoint.hpp"
#include "actnet/net/result.hpp"

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace actnet::net {

/// Owns the file of one bound socket and unlinks it on destruction, if it is still that file.
class unix_path {
 public:
  /// Binds the Unix socket `fd`. A socket file that is already there is unlinked if no socket has it any more: a server
  /// that crashed left it. `address_in_use`: somebody has it, whether that one listens or not, or it is no socket, or
  /// another server of this user is about to take it. `mode` are the permission bits of the new file, whatever the
  /// umask; none: all that the umask leaves. Never waits, and nobody is disturbed by it.
  static result<unix_path> bind(int fd, const endpoint& local, std::optional<mode_t> mode);

  unix_path() noexcept = default;
  unix_path(unix_path&&) noexcept = default;
  unix_path& operator=(unix_path&& other) noexcept;
  ~unix_path() { unlink(); }

  explicit operator bool() const noexcept { return static_cast<bool>(file_); }

  /// Whether it was moved or removed, or something else is there now. Never without a file.
  bool is_lost() const noexcept;

  void unlink() noexcept;

  /// Leaves the file where it is.
  void release() noexcept;

 private:
  struct file {
    std::string path;
    dev_t device;
    ino_t inode;
  };
  explicit unix_path(std::unique_ptr<file> made) noexcept : file_(std::move(made)) {}

  std::unique_ptr<file> file_; // most sockets have none
};

} // namespace actnet::net
