// How the epoll backend reads and sends on streams.
#include "actnet/net/loop/epoll_backend.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace actnet::net {

namespace {

/// A full read is followed by another, up to this many in one turn of a channel.
constexpr int reads_per_turn = 4;
constexpr int sends_per_turn = 16;
constexpr std::uint64_t file_bytes_per_send = 128 * 1024;
constexpr std::size_t parts_per_send = 64;

} // namespace

void epoll_backend::read_stream(slot& s) noexcept {
  const auto which = s.which;
  for (int reads = 0; s.which == which; ++reads) {
    if (s.ended) [[unlikely]] { // the peer finished before; what is new can only be a reset
      s.readable = false;
      tell_hang_up(s);
      return;
    }
    if (!s.reading) [[unlikely]] {
      look_at_paused(s);
      return;
    }
    if (reads == reads_per_turn) {
      go_on(s);
      return;
    }
    auto& buffer = scratch();
    ssize_t got;
    do {
      got = sys().recv(s.fd, buffer.data(), block_pool::read_bytes, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
      // A read that does not fill the buffer has emptied the socket, and what comes later is a new edge; unless the
      // end was announced together with these bytes, or urgent data cut the read short.
      const auto more = static_cast<std::size_t>(got) == block_pool::read_bytes || s.to_the_end;
      s.readable = more;
      if (!more && s.local)
        may_be_cut(s);
      target_of<stream_target>(s).on_received(take_received(static_cast<std::size_t>(got)));
      loop_->after_turn();
      if (!more)
        return;
    } else if (got == 0) {
      end_of_reading(s, {});
      return;
    } else if (errno == EAGAIN) {
      s.readable = false;
      s.to_the_end = false;
      return;
    } else {
      end_of_reading(s, from_errno(errno));
      return;
    }
  }
}

void epoll_backend::end_of_reading(slot& s, std::error_code cause) noexcept {
  const auto which = s.which;
  s.ended = true;
  s.readable = false;
  if (!cause && s.lost != errc::none)
    cause = s.lost;
  if (cause)
    s.hang_up_told = true;
  target_of<stream_target>(s).on_read_end(cause);
  loop_->after_turn();
  if (s.which == which)
    tell_hang_up(s); // the peer finished and reset the stream before we looked
}

/// Reading is stopped, and an edge came: does it announce an end that can be told now?
void epoll_backend::look_at_paused(slot& s) noexcept {
  target_of<stream_target>(s).on_unread();
  if (!s.to_the_end)
    return;
  std::byte next;
  ssize_t got;
  do {
    got = sys().recv(s.fd, &next, 1, MSG_PEEK | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got == 0) {
    end_of_reading(s, {});
  } else if (got < 0 && errno != EAGAIN) {
    end_of_reading(s, from_errno(errno)); // nothing waits before the error
  } else {
    tell_hang_up(s); // bytes wait before the reset
  }
}

void epoll_backend::tell_hang_up(slot& s) noexcept {
  if (s.hang_up_told || (!s.failed && s.lost == errc::none))
    return;
  s.hang_up_told = true;
  // Asking SO_ERROR would take the error away from the read that is to report it. A send takes it away too.
  if (s.lost == errc::none)
    s.lost = errc::connection_reset;
  target_of<stream_target>(s).on_hang_up(s.lost);
  loop_->after_turn();
}

namespace {

/// As sendfile(2). The loop's thread has SIGPIPE blocked: there is no MSG_NOSIGNAL here.
ssize_t send_file(int to, const stream_target::file_part& part) noexcept {
  auto offset = static_cast<off_t>(part.offset);
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(part.count, file_bytes_per_send));
  ssize_t sent;
  do {
    sent = sys().sendfile(to, part.fd, &offset, count);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && (errno == EINVAL || errno == ENOSYS)) // such a file system, such a socket
    errno = EOPNOTSUPP;
  return sent;
}

ssize_t send_part(int to, std::span<const std::byte> part) noexcept {
  ssize_t sent;
  do {
    sent = sys().sendto(to, part.data(), part.size(), MSG_NOSIGNAL | MSG_DONTWAIT, nullptr, 0);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

/// One part, the usual case, costs less without a message header.
ssize_t send_parts(int to, std::span<iovec> parts) noexcept {
  if (parts.size() == 1)
    return send_part(to, {static_cast<const std::byte*>(parts[0].iov_base), parts[0].iov_len});
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  ssize_t sent;
  do {
    sent = sys().sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

/// Of the errors of sendfile(2), those that say nothing of the socket.
bool is_about_file(int number) noexcept {
  return number == EIO || number == EOPNOTSUPP || number == EOVERFLOW || number == EBADF || number == ESPIPE;
}

} // namespace

void epoll_backend::send_stream(slot& s) noexcept {
  const auto which = s.which;
  auto& target = target_of<stream_target>(s);
  s.sending = true;
  for (int sends = 0; sends < sends_per_turn; ++sends) {
    std::array<iovec, parts_per_send> parts;
    const auto count = target.gather(parts);
    if (s.which != which)
      return;
    if (count == 0) {
      s.sending = false;
      return;
    }
    ssize_t sent;
    if (count == stream_target::a_file) {
      sent = send_file(s.fd, target.next_file());
      if (sent == 0 || (sent < 0 && is_about_file(errno))) {
        target.on_file_failed(sent == 0 ? errc::file_too_short : from_errno(errno));
        if (s.which != which)
          return;
        continue;
      }
    } else {
      sent = send_parts(s.fd, {parts.data(), count});
    }
    if (sent < 0) {
      stop_sending(s, errno);
      return;
    }
    const auto more = target.on_sent(static_cast<std::size_t>(sent));
    if (s.which != which)
      return;
    if (!more) {
      s.sending = false;
      return;
    }
  } // after a short write the next one says whether to wait
  send_later(s);
}

std::size_t epoll_backend::send_now(channel which, std::span<const std::byte> data) noexcept {
  auto s = find(which);
  if (!s || !s->writable || s->sending || s->send_on || s->broken || s->kind != role::stream)
    return 0;
  const auto sent = send_part(s->fd, data);
  if (sent >= 0)
    return static_cast<std::size_t>(sent);
  stop_sending(*s, errno);
  return 0;
}

std::uint64_t epoll_backend::untaken(channel which) noexcept {
  const auto s = find(which);
  if (!s || s->kind != role::stream)
    return 0;
  const auto left = static_cast<const stream_socket*>(s->owned)->untaken();
  return left ? *left : 0;
}

void epoll_backend::stop_sending(slot& s, int number) noexcept {
  s.sending = false;
  const auto cause = from_errno(number);
  if (cause == errc::would_block) {
    await_room(s);
    return;
  }
  s.writable = false;
  if (cause == errc::out_of_memory) {
    try_again_soon(s);
    return;
  }
  s.broken = true;
  if (number != EPIPE) // which an orderly end brings too; the others were waiting on the socket and are gone now
    s.lost = cause;
  target_of<stream_target>(s).on_send_failed(cause);
}

} // namespace actnet::net
