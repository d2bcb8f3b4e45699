#include "actnet/net/socket/unix_path.hpp"

#include "actnet/net/address/socket_address.hpp"
#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

namespace actnet::net {

namespace {

bool has_file(const endpoint& local) {
  return !local.path().empty() && !local.is_abstract();
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// Whether the file is a socket on which nobody answers. A full backlog, another type of socket and a lack of
/// permission are answers.
bool is_stale(const endpoint& local) {
  const bool stream = local.transport() == transport::unix_stream;
  const int probe = sys().socket(AF_UNIX, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0)
    return false;
  const socket_address address = to_socket_address(local);
  const bool refused = sys().connect(probe, address.data(), address.size) != 0 && errno == ECONNREFUSED;
  sys().close(probe);
  return refused;
}

bool remove_stale(const endpoint& local) {
  struct stat before {};
  struct stat after {};
  const char* path = local.path().c_str();
  return sys().lstat(path, &before) == 0 && S_ISSOCK(before.st_mode) && is_stale(local) &&
         sys().lstat(path, &after) == 0 && same_file(before, after) && sys().unlink(path) == 0;
}

} // namespace

// -- the folder's lock -----------------------------------------------------------------------------------------------

unix_folder_lock::unix_folder_lock(const endpoint& local) {
  if (!has_file(local))
    return;
  const auto slash = local.path().rfind('/');
  const auto folder = slash == std::string::npos ? std::string{"."} : local.path().substr(0, slash + 1);
  folder_ = sys().open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0)
    return;
  for (int tries = 0; sys().flock(folder_, LOCK_EX | LOCK_NB) != 0; ++tries) {
    if ((errno != EWOULDBLOCK && errno != EINTR) || tries == 100) {
      sys().close(std::exchange(folder_, -1));
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
}

unix_folder_lock::~unix_folder_lock() {
  if (folder_ >= 0)
    sys().close(folder_);
}

// -- the file --------------------------------------------------------------------------------------------------------

unix_path& unix_path::operator=(unix_path&& other) noexcept {
  if (this != &other) {
    unlink();
    file_ = std::move(other.file_);
  }
  return *this;
}

result<unix_path> unix_path::bind(int fd, const endpoint& local, std::optional<mode_t> mode,
                                  const unix_folder_lock& lock) {
  const bool in_folder = has_file(local);
  // The file is never more open than asked for: Linux makes it with the bits of the descriptor (less the umask).
  if (in_folder && mode && sys().fchmod(fd, *mode) != 0)
    return failure{from_errno(errno)};
  const socket_address address = to_socket_address(local);
  const auto bound = [&] { return sys().bind(fd, address.data(), address.size) == 0; };
  if (!bound()) {
    const int cause = errno;
    if (cause != EADDRINUSE || !in_folder || !lock.held() || !remove_stale(local))
      return failure{from_errno(cause)};
    if (!bound())
      return failure{from_errno(errno)};
  }
  if (!in_folder)
    return unix_path{};
  struct stat made {};
  if (sys().lstat(local.path().c_str(), &made) != 0)
    return failure{from_errno(errno)};
  unix_path owned{std::make_unique<file>(file{local.path(), made.st_dev, made.st_ino})};
  if (mode && sys().chmod(local.path().c_str(), *mode) != 0)
    return failure{from_errno(errno)};
  return owned;
}

void unix_path::unlink() noexcept {
  const auto gone = std::move(file_);
  if (!gone)
    return;
  struct stat there {};
  if (sys().lstat(gone->path.c_str(), &there) == 0 && there.st_dev == gone->device && there.st_ino == gone->inode)
    sys().unlink(gone->path.c_str());
}

void unix_path::release() noexcept {
  file_.reset();
}

} // namespace actnet::net
