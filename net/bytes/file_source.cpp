#include "actnet/net/bytes/file_source.hpp"

#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

namespace actnet::net {

file_source::~file_source() {
  if (fd_ >= 0)
    sys().close(fd_);
}

result<void> file_source::open() {
  if (path_.find('\0') != path_.npos) // the kernel would open what is before it
    return failure{errc::invalid_argument};
  const int fd = sys().open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); // a pipe would block
  if (fd < 0)
    return failure{from_errno(errno)};
  const auto refuse = [fd](errc cause) {
    sys().close(fd);
    return failure{cause};
  };
  struct stat about {};
  if (sys().fstat(fd, &about) != 0)
    return refuse(from_errno(errno));
  if (!S_ISREG(about.st_mode))
    return refuse(errc::not_a_file);
  const auto size = static_cast<std::uint64_t>(about.st_size);
  if (offset_ > size || count_ > size - offset_)
    return refuse(errc::file_too_short);
  if (count_ == 0)
    count_ = size - offset_;
  // Files of /proc say that they are empty, those of /sys that they have a page: what they have shows when it is read.
  if (about.st_blocks == 0 && (count_ > 0 || size == 0)) {
    std::byte last;
    const auto at = size == 0 ? 0 : offset_ + count_ - 1;
    const auto got = sys().pread(fd, &last, 1, static_cast<off_t>(at));
    if (got < 0 && errno != EINTR)
      return refuse(from_errno(errno));
    if (got == (size == 0 ? 1 : 0))
      return refuse(errc::not_a_file);
  }
  fd_ = fd;
  return {};
}

void file_source::copy_from_now_on() {
  buffer_ = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
}

result<std::span<const std::byte>> file_source::copy(std::uint64_t position) {
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count_ - position, buffer_bytes));
  for (;;) {
    const auto got = sys().pread(fd_, buffer_.get(), wanted, static_cast<off_t>(offset_ + position));
    if (got > 0)
      return std::span<const std::byte>{buffer_.get(), static_cast<std::size_t>(got)};
    if (got == 0)
      return failure{errc::file_too_short};
    if (errno != EINTR)
      return failure{from_errno(errno)};
  }
}

} // namespace actnet::net
