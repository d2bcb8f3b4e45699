#include "actnet/net/socket/unix_path.hpp"

#include "actnet/net/address/socket_address.hpp"
#include "actnet/net/error.hpp"
#include "actnet/net/log.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <utility>

namespace actnet::net {

namespace {

bool has_file(const endpoint& local) {
  return !local.path().empty() && !local.is_abstract();
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// Whether a socket has the file. Nobody is connected to, for this asks as a datagram socket: connect(2) to a stream is
/// then EPROTOTYPE, and to a datagram socket it is an affair of this end alone. Linux looks for the file's socket
/// before all else, bound or listening, and only without one the answer is ECONNREFUSED.
bool is_held(const endpoint& local) {
  const int probe = sys().socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0)
    return true;
  const socket_address address = to_socket_address(local);
  const bool refused = sys().connect(probe, address.data(), address.size) != 0 && errno == ECONNREFUSED;
  sys().close(probe);
  return !refused;
}

/// Keeps two servers of one user from taking the same path at the same time: whoever looked first could unlink what the
/// other has just bound. Its file lies beside the path only that long, and nobody else can lock it: where another user
/// has put it, or it cannot be made, there is no lock.
class takeover_lock {
 public:
  explicit takeover_lock(const std::string& of) : path_(of + ".actnet-lock") {
    struct stat mine {};
    struct stat there {};
    for (int tries = 0; tries < 100; ++tries) {
      fd_ = sys().open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
      if (fd_ < 0)
        return;
      const bool ours = sys().fstat(fd_, &mine) == 0 && S_ISREG(mine.st_mode) && mine.st_uid == sys().geteuid();
      busy_ = ours && sys().flock(fd_, LOCK_EX | LOCK_NB) != 0;
      const bool gone = sys().lstat(path_.c_str(), &there) != 0 || !same_file(mine, there);
      if (ours && !busy_ && !gone)
        return;
      sys().close(std::exchange(fd_, -1)); // or else whoever had it before has unlinked it
      if (!ours || busy_)
        return;
    }
  }
  ~takeover_lock() {
    if (fd_ < 0)
      return;
    sys().unlink(path_.c_str());
    sys().close(fd_);
  }
  takeover_lock(const takeover_lock&) = delete;
  takeover_lock& operator=(const takeover_lock&) = delete;

  bool held_by_another() const noexcept { return busy_; }

 private:
  std::string path_;
  int fd_ = -1;
  bool busy_ = false;
};

/// Returns whether to bind once more.
bool remove_stale(const endpoint& local) {
  const char* path = local.path().c_str();
  struct stat before {};
  struct stat after {};
  const auto looks_stale = [&] {
    return sys().lstat(path, &before) == 0 && S_ISSOCK(before.st_mode) && !is_held(local);
  };
  if (!looks_stale())
    return false;
  const takeover_lock lock{local.path()};
  if (lock.held_by_another())
    return false;
  if (!looks_stale())
    return sys().lstat(path, &after) != 0 && errno == ENOENT; // somebody else has taken it away
  return sys().lstat(path, &after) == 0 && same_file(before, after) && sys().unlink(path) == 0;
}

/// Sets errno if it fails. A link that somebody has put there by now is not followed. For that glibc goes by
/// /proc/self/fd; where there is no /proc, a folder in which nobody else can put one there is as good.
bool set_mode(const std::string& path, const struct stat& made, mode_t mode) {
  if (sys().fchmodat(AT_FDCWD, path.c_str(), mode, AT_SYMLINK_NOFOLLOW) == 0)
    return true;
  if (errno != EOPNOTSUPP)
    return false;
  const auto name_at = path.rfind('/') + 1; // 0 if there is none
  const auto folder_name = name_at == 0 ? std::string{"."} : path.substr(0, name_at);
  const int folder = sys().open(folder_name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct stat about {};
  if (folder < 0 || sys().fstat(folder, &about) != 0) {
    const int cause = errno;
    if (folder >= 0)
      sys().close(folder);
    errno = cause;
    return false;
  }
  int cause = EOPNOTSUPP;
  if ((about.st_uid != 0 && about.st_uid != sys().geteuid()) ||
      ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (about.st_mode & S_ISVTX) == 0)) {
    log_limited(log_level::warning, "unix-path",
                path + ": without /proc it gets its mode only in a folder where nobody else may replace it");
  } else {
    struct stat there {};
    const char* name = path.c_str() + name_at;
    if (sys().fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) != 0)
      cause = errno;
    else if (same_file(made, there))
      cause = sys().fchmodat(folder, name, mode, 0) != 0 ? errno : 0;
  }
  sys().close(folder);
  errno = cause;
  return cause == 0;
}

} // namespace

unix_path& unix_path::operator=(unix_path&& other) noexcept {
  if (this != &other) {
    unlink();
    file_ = std::move(other.file_);
  }
  return *this;
}

result<unix_path> unix_path::bind(int fd, const endpoint& local, std::optional<mode_t> mode) {
  const bool in_folder = has_file(local);
  // The file is never more open than asked for: Linux makes it with the bits of the descriptor (less the umask).
  if (in_folder && mode && sys().fchmod(fd, *mode) != 0)
    return failure{from_errno(errno)};
  const socket_address address = to_socket_address(local);
  const auto bound = [&] { return sys().bind(fd, address.data(), address.size) == 0; };
  if (!bound()) {
    const int cause = errno;
    if (cause != EADDRINUSE || !in_folder || !remove_stale(local))
      return failure{from_errno(cause)};
    if (!bound())
      return failure{from_errno(errno)};
  }
  if (!in_folder) {
    if (mode)
      log_limited(log_level::warning, "unix-path",
                  local.to_string() + ": a name without a file has no permission bits, anybody may connect");
    return unix_path{};
  }
  struct stat made {};
  if (sys().lstat(local.path().c_str(), &made) != 0)
    return failure{from_errno(errno)};
  unix_path owned{std::make_unique<file>(file{local.path(), made.st_dev, made.st_ino})};
  // What the umask took.
  if (mode && (made.st_mode & 07777) != *mode && !set_mode(owned.file_->path, made, *mode))
    return failure{from_errno(errno)};
  return owned;
}

bool unix_path::is_lost() const noexcept {
  struct stat there {};
  return file_ && (sys().lstat(file_->path.c_str(), &there) != 0 || there.st_dev != file_->device ||
                   there.st_ino != file_->inode);
}

void unix_path::unlink() noexcept {
  if (!file_)
    return;
  const bool lost = is_lost();
  const auto gone = std::move(file_);
  if (!lost)
    sys().unlink(gone->path.c_str());
  else
    log_limited(log_level::warning, "unix-path",
                gone->path + ": the socket's file was moved or removed while it was open; where it is now, it stays");
}

void unix_path::release() noexcept {
  file_.reset();
}

} // namespace actnet::net
