#include "actnet/net/error.hpp"

#include <cerrno>
#include <string>

namespace actnet::net {

std::string_view to_string(errc code) noexcept {
  switch (code) {
  case errc::none: return "no error";
  case errc::address_in_use: return "address already in use";
  case errc::address_unavailable: return "address not available on this machine";
  case errc::already_connected: return "already connected";
  case errc::bad_descriptor: return "not an open descriptor of the right kind";
  case errc::connection_aborted: return "connection aborted";
  case errc::connection_refused: return "connection refused";
  case errc::connection_reset: return "connection reset by peer";
  case errc::host_unreachable: return "host unreachable";
  case errc::interrupted: return "interrupted";
  case errc::invalid_argument: return "invalid argument";
  case errc::io_error: return "input/output error";
  case errc::message_too_large: return "message too large";
  case errc::name_too_long: return "name too long";
  case errc::network_down: return "network is down";
  case errc::network_unreachable: return "network unreachable";
  case errc::no_such_path: return "no such file or directory";
  case errc::not_connected: return "not connected";
  case errc::not_supported: return "not supported";
  case errc::out_of_memory: return "no buffer space available";
  case errc::permission_denied: return "permission denied";
  case errc::timed_out: return "timed out";
  case errc::too_many_open_files: return "too many open files";
  case errc::would_block: return "operation would block";
  case errc::other: return "unknown error of the operating system";
  case errc::aborted: return "aborted";
  case errc::cancelled: return "cancelled";
  case errc::closed: return "closed";
  case errc::finished: return "this side has already finished sending";
  case errc::idle: return "idle for too long";
  case errc::invalid_endpoint: return "invalid endpoint";
  case errc::owner_gone: return "the owner of the socket is gone";
  case errc::queue_full: return "write queue is full";
  case errc::shutting_down: return "shutting down";
  case errc::unclaimed: return "nobody claimed the connection in time";
  case errc::unexpected_message: return "unexpected message";
  case errc::write_stalled: return "the peer accepts no data";
  case errc::credit_stalled: return "the owner holds received data for too long";
  case errc::file_too_short: return "the file ends too early";
  case errc::not_a_file: return "not a regular file";
  case errc::end_of_stream: return "the peer finished too early";
  case errc::too_long: return "longer than allowed";
  case errc::would_block_the_loop: return "a call that waits may not be made in the thread of a loop";
  case errc::bad_frame: return "not a frame of the format that was agreed on";
  case errc::frame_cut: return "a frame before it was called off half sent, and nothing can follow that";
  case errc::wrong_loop: return "the socket lives on another loop than the coroutine";
  case errc::restarting: return "restarting";
  case errc::running: return "still running";
  case errc::not_running: return "not running";
  case errc::already_present: return "already present, but not running";
  case errc::already_started: return "already started";
  case errc::not_found: return "not found";
  case errc::restart_limit: return "restarted too often";
  case errc::broken_promise: return "the request was given up without an answer";
  case errc::no_thread: return "no more threads can be had";
  }
  return "unknown error";
}

errc from_errno(int number) noexcept {
  switch (number) {
  case 0: return errc::none;
  case EADDRINUSE: return errc::address_in_use;
  case EADDRNOTAVAIL:
  case ENODEV: return errc::address_unavailable;
  case EISCONN:
  case EALREADY: return errc::already_connected;
  case EBADF:
  case ENOTSOCK: return errc::bad_descriptor;
  case ECONNABORTED: return errc::connection_aborted;
  case ECONNREFUSED: return errc::connection_refused;
  case ECONNRESET:
  case EPIPE: return errc::connection_reset;
  case EHOSTUNREACH:
  case EHOSTDOWN: return errc::host_unreachable;
  case EINTR: return errc::interrupted;
  case EINVAL:
  case EDOM:
  case EDESTADDRREQ: return errc::invalid_argument;
  case EIO: return errc::io_error;
  case EISDIR: return errc::not_a_file;
  case EMSGSIZE: return errc::message_too_large;
  case ENAMETOOLONG: return errc::name_too_long;
  case ENETDOWN: return errc::network_down;
  case ENETUNREACH: return errc::network_unreachable;
  case ENOENT:
  case ENOTDIR: return errc::no_such_path;
  case ENOTCONN: return errc::not_connected;
  case EAFNOSUPPORT:
  case EPROTONOSUPPORT:
  case EOPNOTSUPP:
  case ENOPROTOOPT:
  case ENOSYS: return errc::not_supported;
  case ENOBUFS:
  case ENOMEM:
  case ENOSPC: return errc::out_of_memory;
  case EACCES:
  case EROFS:
  case EPERM: return errc::permission_denied;
  case ETIMEDOUT: return errc::timed_out;
  case EMFILE:
  case ENFILE: return errc::too_many_open_files;
  case EAGAIN:
  case EINPROGRESS: return errc::would_block;
  case ECANCELED: return errc::cancelled;
  default: return errc::other;
  }
}

namespace {

class actnet_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "actnet"; }
  std::string message(int code) const override { return std::string{to_string(static_cast<errc>(code))}; }
};

} // namespace

const std::error_category& category() noexcept {
  static const actnet_category instance;
  return instance;
}

std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), category()};
}

} // namespace actnet::net
