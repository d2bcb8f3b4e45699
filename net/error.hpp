// Every error of the library, and the one table that maps errno to it.
#pragma once

#include <cstdint>
#include <string_view>
#include <system_error>

namespace actnet::net {

/// What went wrong. Small on purpose: a caller can act on each of them in its own way. Fits a byte, because a
/// `caf::error` has room for one.
enum class errc : std::uint8_t {
  none = 0,
  // -- from the kernel
  address_in_use,
  address_unavailable,
  already_connected,
  bad_descriptor,
  connection_aborted,
  connection_refused,
  connection_reset, ///< ECONNRESET and EPIPE alike: the peer is gone and said so.
  host_unreachable,
  interrupted,
  invalid_argument,
  io_error,
  message_too_large,
  name_too_long,
  network_down,
  network_unreachable,
  no_such_path,
  not_connected,
  not_supported,
  out_of_memory, ///< ENOMEM and ENOBUFS: the kernel has no room just now.
  permission_denied,
  timed_out,
  too_many_open_files, ///< EMFILE and ENFILE.
  would_block,
  other, ///< An errno without a row in the table.
  // -- ours
  aborted,   ///< The connection was aborted by its owner.
  cancelled, ///< The operation was called off by whoever began it.
  closed,    ///< The connection, listener or socket is gone or going.
  finished,  ///< Our side was finished before; nothing can be written any more.
  idle,      ///< Nothing came and nothing went for the idle timeout.
  invalid_endpoint,
  owner_gone,         ///< The actor that owned the socket ended.
  queue_full,         ///< The write queue is above its high mark: the write was refused.
  shutting_down,      ///< The loop is stopping.
  unclaimed,          ///< An accepted connection got no owner within the handshake deadline.
  unexpected_message, ///< A command that this kind of actor does not know.
  write_stalled,      ///< The peer took no byte for the write-stall timeout.
  credit_stalled,     ///< The owner held all of the read credit for the stall limit.
  file_too_short,     ///< A file ends before what was to be sent of it, or has become shorter meanwhile.
  not_a_file,         ///< A folder, a pipe or a device where a file is needed.
  // -- of reading on demand
  end_of_stream,        ///< The peer finished before all that was asked for had come.
  too_long,             ///< What was asked for does not end within its maximum.
  would_block_the_loop, ///< A call that waits, from the thread of a loop.
  bad_frame,            ///< Not a frame of the format that was agreed on.
  frame_cut,            ///< Part of a frame was sent and its rest called off: nothing sensible can follow.
  wrong_loop,           ///< A coroutine may use only the sockets of its own loop.
  // -- of supervisors and their children
  restarting,      ///< The child ended and is about to be started again.
  running,         ///< Not while the child runs.
  not_running,     ///< The child is not running, and will not by itself.
  already_present, ///< There is a child of that id, not running.
  already_started, ///< There is a child of that id, running.
  not_found,       ///< There is no such child.
  restart_limit,   ///< Children ended too often in too short a time.
  broken_promise,  ///< Whoever was to answer a request let go of it.
  no_thread,       ///< The system gives this process no more threads.
};

/// One clear phrase for a person, without capital or full stop: "connection refused".
std::string_view to_string(errc code) noexcept;

const std::error_category& category() noexcept;
std::error_code make_error_code(errc code) noexcept;

/// The only place where an errno becomes an error. EAGAIN is `would_block`; an errno without a row is `other`.
errc from_errno(int number) noexcept;

} // namespace actnet::net

template <>
struct std::is_error_code_enum<actnet::net::errc> : std::true_type {};
