// The root of the socket types: one owned descriptor, no protocol.
#pragma once

#include "actnet/net/address/endpoint.hpp"
#include "actnet/net/address/socket_address.hpp"
#include "actnet/net/result.hpp"
#include "actnet/net/socket/options.hpp"
#include "actnet/net/socket/unix_path.hpp"

#include <cerrno>
#include <optional>
#include <span>
#include <system_error>

namespace actnet::net {

/// Owns a kernel socket and closes it on destruction. Move-only: exactly one owner can close it. Every descriptor is
/// non-blocking and close-on-exec from the moment it exists, and none ever raises SIGPIPE. One thread at a time.
///
/// Operations that cannot go on answer `would_block`, on an empty socket `bad_descriptor`.
class socket {
 public:
  socket() noexcept = default;
  socket(socket&& other) noexcept;
  socket& operator=(socket&& other) noexcept;
  ~socket();

  int fd() const noexcept { return view_.fd; }
  net::transport transport() const noexcept { return view_.transport; }
  explicit operator bool() const noexcept { return view_.fd >= 0; }

  /// Gives the descriptor away, open; whoever takes it closes it, and unlinks its path if it has one. An adopted one
  /// blocks again if it did before (not a listener).
  [[nodiscard]] int release() noexcept;

  /// Unlinks the path that it was bound to. Never waits, whatever `linger` says. Never repeated: on Linux the
  /// descriptor is free even when close(2) reports EINTR. Harmless on an empty socket.
  void close() noexcept;

  result<endpoint> local_endpoint() const;

  /// The file that it was bound to, and that goes with it. None of an adopted one.
  const unix_path& path() const noexcept { return path_; }

  /// See `set_option` for what can be wrong.
  result<void> set(const socket_option& option);

  /// In order, up to the first that fails.
  result<void> set_all(std::span<const socket_option> options);

  /// What the kernel uses now, which need not be what was set. Every option but join_group and leave_group.
  template <class Option>
  result<Option> get() const {
    Option option;
    if (auto done = read_option(view_, option); !done)
      return failure{done.error()};
    return option;
  }

  /// The error that waits on the socket, or none (SO_ERROR, socket(7)). Asking clears it.
  std::error_code take_error();

 protected:
  explicit socket(const socket_view& view) noexcept : view_(view) {}

  /// A new descriptor of the family and type that fit `address`.
  static result<socket> open(net::transport transport, const socket_address& address);

  /// Takes `fd` if it is a TCP, UDP or Unix socket of `type` that listens or does not, as asked; otherwise
  /// `bad_descriptor`. On any error the caller still owns `fd`, as it was.
  static result<socket> take_over(int fd, int type, bool listening);

  result<void> bind(const socket_address& address);

  /// The same for any endpoint; a Unix path is this socket's from then on (see `unix_path`).
  result<void> bind(const endpoint& local, std::optional<mode_t> mode = {});
  result<endpoint> peer() const;
  const socket_view& view() const noexcept { return view_; }

  /// Repeats a call that a signal interrupted and that therefore did nothing.
  template <class Call>
  static auto uninterrupted(Call call) {
    auto answer = call();
    while (answer < 0 && errno == EINTR)
      answer = call();
    return answer;
  }

 private:
  void block_again() noexcept;

  socket_view view_;
  unix_path path_;
};

} // namespace actnet::net
