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

/// Keeps servers of this library out of each other's way while one of them looks whether a path is stale: flock(2) on
/// the folder. A file that is bound but does not listen yet looks stale, so hold it until listen(2).
class unix_folder_lock {
 public:
  /// Waits 100 ms at the most, for another one that is just opening. A name without a file needs none.
  explicit unix_folder_lock(const endpoint& local);
  ~unix_folder_lock();
  unix_folder_lock(const unix_folder_lock&) = delete;
  unix_folder_lock& operator=(const unix_folder_lock&) = delete;

  bool held() const noexcept { return folder_ >= 0; }

 private:
  int folder_ = -1;
};

/// Owns the file of one bound socket and unlinks it on destruction, if it is still that file.
class unix_path {
 public:
  /// Binds the Unix socket `fd`. A socket file that is already there is unlinked if nobody answers on it (unix(7)): a
  /// server that crashed left it. `address_in_use`: somebody answers, or it is no socket, or `lock` is not held. `mode`
  /// are the permission bits of the new file, whatever the umask; none: all that the umask leaves.
  static result<unix_path> bind(int fd, const endpoint& local, std::optional<mode_t> mode,
                                const unix_folder_lock& lock);

  unix_path() noexcept = default;
  unix_path(unix_path&&) noexcept = default;
  unix_path& operator=(unix_path&& other) noexcept;
  ~unix_path() { unlink(); }

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
