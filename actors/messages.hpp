// Every message of the library: commands (imperatives), what answers them, and events (past tense).
//
// A command goes to the actor that owns a socket, an event comes from it. The outcome of a command goes to its sender,
// events go to the socket's owner. Sent as a request, a command is answered with its value (`caf::ok_atom` where there
// is none) or with a `caf::error` (see errors.hpp). Handles (connection.hpp, listener.hpp, client.hpp,
// datagram_socket.hpp) have a member function per command, so that a wrong one does not compile.
#pragma once

#include "actnet/actors/connection.hpp"
#include "actnet/actors/datagram_socket.hpp"
#include "actnet/actors/errors.hpp"
#include "actnet/actors/options.hpp"
#include "actnet/net/address/endpoint.hpp"
#include "actnet/net/bytes/bytes.hpp"
#include "actnet/net/codec/framing.hpp"
#include "actnet/net/connection/connection.hpp"
#include "actnet/net/socket/datagram_socket.hpp"

#include <caf/error.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace actnet {

using net::bytes;
using net::close_reason;
using net::connection_state;
using net::endpoint;

/// The messages of a stream connection (TCP or Unix).
namespace stream {

// -- commands: anybody to the connection -----------------------------------------------------

/// Queues `payload`, after everything queued before. Answered by `written`; more than 2 GiB are `message_too_large`.
struct write {
  bytes payload;
  std::uint64_t token = 0;
};

/// A mark in the write queue: answered by `written` once all before it is in the kernel's send buffer.
struct flush {
  std::uint64_t token = 0;
};

/// Sends `count` bytes of a regular file from `offset` on (0: up to its end), after everything queued before. Answered
/// by `written`. The file is opened when its turn comes; while its bytes are read from a disk the loop waits for them.
/// A file that cannot be opened, or is too short by then, fails with none of it sent. If it becomes shorter on the way
/// the connection ends with `closed{error, file_too_short}`: the peer could not tell where the next write begins.
struct write_file {
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t count = 0;
  std::uint64_t token = 0;
};

/// Sends the end of our side (FIN) after what is queued; reading goes on. Answered by `finished`.
struct finish {};

/// Flushes, finishes, reads and drops until the peer's end or the close timeout, then closes: the event `closed`.
struct close {};

/// Drops what is queued and resets: the event `closed{aborted}`. A TCP peer gets an RST. Unix streams have none: the
/// peer reads what was sent and then an end as any other, or a reset if bytes of its were left unread here (unix(7)).
struct abort {};

/// Stops delivering; the kernel's window closes in time. The peer's end and a reset are still noticed. When it is
/// answered, nothing more is delivered.
struct pause_reading {};
struct resume_reading {};

/// What the peer sends from now on is dropped; its end is still told.
struct stop_reading {};

// Reading on demand. From the first of these on nothing is delivered any more (events that are under way come before
// its outcome), until `resume_reading`: that goes on delivering, first what is left, when the reads before it are
// through. Reads end in order, but that a deadline may overtake. As a request each is answered with its `bytes`, or
// with an error; to a plain command the outcome is `pulled`. `within`: at most so long, then `timed_out`, with the
// bytes left for the next read; zero: as long as it takes. What is there already is never too late. When the stream
// ends before the read does, the error is `end_of_stream` (`connection_reset` and others when it breaks off), and
// carries the bytes that came until then (`partial_of`); these are taken. A maximum or count is at most 2 GiB.

/// At least a byte, at most `max`. At the end of the stream it answers with no bytes, and without an error.
struct read_some {
  std::uint64_t max = 65'536;
  net::timeout within{};
};

/// Not more and not less.
struct read_exactly {
  std::uint64_t count = 0;
  net::timeout within{};
};

/// Up to `delimiter` (1 to 256 bytes), which is the end of the answer. When more than `max` bytes come before it, the
/// error is `too_long` and they all stay.
struct read_until {
  bytes delimiter;
  std::uint64_t max = 65'536;
  net::timeout within{};
};

/// As `read_until` a line feed, which is not in the answer; a carriage return before it is.
struct read_line {
  std::uint64_t max = 65'536;
  net::timeout within{};
};

/// All until the peer finishes, which is no error here. More than `max` is `too_long`, and stays.
struct read_to_end {
  std::uint64_t max = 65'536;
  net::timeout within{};
};

/// At least a byte, and what follows until nothing has come for `gap`; at most `max`.
struct read_quiet {
  net::timeout gap = std::chrono::milliseconds{1};
  std::uint64_t max = 64 << 20;
  net::timeout within{};
};

/// As `read_exactly`, but the bytes stay.
struct peek {
  std::uint64_t count = 0;
  net::timeout within{};
};

/// The next frame, of the format that `use_codec` set, whatever the credit. Without one: `invalid_argument`.
struct read_frame {
  net::timeout within{};
};

/// From now on `received` is one frame (perhaps an empty one), beginning with the bytes that nobody has taken yet, and
/// what is written is sent as a frame; none: bytes again. A request is answered. A frame that is broken or too large,
/// or that the peer's end cuts off, ends the connection with `closed{error, too_long | bad_frame | end_of_stream}`,
/// after what was written is sent. A write that cannot be a frame fails (`message_too_large`, `invalid_argument`), and
/// so does `write_file` (`not_supported`). `written::bytes` counts what goes over the wire.
struct use_codec {
  std::optional<net::framing> framing;
  bool only_reads = false; ///< What is written goes as it is.
};

/// Changes the socket's options, one after the other. A request is answered, with the first error.
struct set_options {
  socket_options options;
};

/// The connection ends with `closed{deadline}` after this time. Nothing, or a time of zero: no deadline.
struct set_deadline {
  net::timeout from_now{};
};

/// Ends with `closed{idle}` after so long without a byte in either direction. Zero: never.
struct set_idle_timeout {
  std::chrono::milliseconds timeout{0};
};

/// Gives the connection an owner, or a new one, who is told of the peer's end even if that came before. After the
/// answer the old owner gets no more events, only the outcomes of what it ordered.
struct set_owner {
  caf::strong_actor_ptr owner;
};

/// Answered by `info`.
struct get_info {};

// -- outcomes: the connection to a command's sender --------------------------------------------

/// What became of a write or a flush. No cause: all `bytes` are in the kernel's send buffer (not: at the peer). With
/// token 0, success is silent, failure is not.
struct written {
  std::uint64_t token = 0;
  std::uint64_t bytes = 0;
  caf::error cause;
};

/// The end of our side is sent, or `cause` tells why not.
struct finished {
  caf::error cause;
};

/// What became of a read on demand that was no request.
struct pulled {
  bytes payload;
  caf::error cause;
};

/// Of a moment; counters since the beginning.
struct info {
  connection_state state{};
  endpoint local;
  endpoint peer;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t reads = 0;
  std::uint64_t writes_done = 0;
  std::uint64_t writes_failed = 0;
  std::uint64_t writes_refused = 0;
  std::uint64_t queued_bytes = 0;       ///< Taken for writing, not yet in the kernel.
  std::uint64_t credit_outstanding = 0; ///< Received bytes (in blocks) that somebody still holds.
  bool reading_paused = false;
  bool starved = false;                    ///< Reads nothing, because all of the credit is outstanding.
  std::chrono::nanoseconds deadline_in{0}; ///< Zero: none.
  caf::error last_error;
  // TCP_INFO, tcp(7); zero where there is none.
  std::chrono::microseconds round_trip_time{0};
  std::uint32_t congestion_window = 0; ///< Segments.
  std::uint32_t retransmits = 0;       ///< Segments, since the beginning.
  net::peer_credentials credentials;   ///< Of a Unix peer, otherwise zeros.
};

// -- events: the connection to its owner -------------------------------------------------------

/// Bytes in order, never empty; with a codec one frame. They count against the read credit while any slice of them
/// exists; `detach` what is to be kept.
struct received {
  bytes payload;
};

/// The peer has finished; all it sent came before. Without `allow_half_open` the connection then flushes and closes.
struct peer_finished {};

/// The write queue is below its low mark after it had passed its high mark. Also to each sender that was refused.
struct writable {};

/// Always, exactly once, the last. Who becomes the owner after the end gets it too.
struct closed {
  close_reason reason{};
  caf::error cause;
};

} // namespace stream

/// The messages of a datagram socket (UDP or Unix).
namespace datagram {

// -- commands ----------------------------------------------------------------------------------

/// Sends one message, after those sent before. `to`: an unset one means the connected peer. Answered by `sent`. What is
/// for a Unix receiver that has no room waits for it in order, while others get theirs; see
/// `bind_options::write_stall`. `from`, of UDP: which of this machine's addresses it comes from, for a socket that is
/// bound to all of them; unset: the kernel chooses. One that is not the one that the socket is bound to is
/// `invalid_argument`, one that is not ours that or `network_unreachable`.
struct send {
  bytes payload;
  std::optional<endpoint> to;
  std::uint64_t token = 0;
  std::optional<net::ip_address> from = std::nullopt;
};

/// The same with `count` bytes of a regular file from `offset` on (0: up to its end), read when its turn comes. More
/// than 64 KiB are `message_too_large`.
struct send_file {
  std::string path;
  std::optional<endpoint> to;
  std::uint64_t offset = 0;
  std::uint64_t count = 0;
  std::uint64_t token = 0;
  std::optional<net::ip_address> from = std::nullopt;
};

/// Sets the peer: others are not heard any more, and `send` needs no address. Answered.
struct connect {
  endpoint peer;
};

/// Undoes `connect`.
struct disconnect {};

struct join_group {
  net::join_group group;
};
struct leave_group {
  net::leave_group group;
};
struct set_options {
  socket_options options;
};
struct set_owner {
  caf::strong_actor_ptr owner;
};
struct pause_reading {};
struct resume_reading {};

/// Sends what is queued, then closes: the event `closed`.
struct close {};

/// Answered by `info`.
struct get_info {};

// -- outcomes ----------------------------------------------------------------------------------

/// No cause: the kernel took it. With token 0, success is silent, failure is not.
struct sent {
  std::uint64_t token = 0;
  caf::error cause;
};

struct info {
  endpoint local;
  std::optional<endpoint> peer;
  std::uint64_t received = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t truncated = 0;
  std::uint64_t sent = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t send_failed = 0;
  std::uint64_t receive_errors = 0; ///< Such as refusals of what was sent earlier.
  std::uint64_t dropped = 0;        ///< By the kernel, for want of room.
  std::uint64_t queued_bytes = 0;
  std::uint64_t credit_outstanding = 0;
  bool path_lost = false; ///< The file of its Unix socket was moved or removed: nobody can send to it any more.
};

// -- events ------------------------------------------------------------------------------------

/// One message, perhaps an empty one. `to` is the address it was sent to; `to_many`: that is a group or a broadcast
/// address.
struct received {
  bytes payload;
  endpoint from;
  endpoint to;
  bool truncated = false;
  bool to_many = false;

  /// The `from` of an answer, which comes from where was asked (RFC 1122 section 4.1.3.5). Unset: the kernel chooses.
  std::optional<net::ip_address> answer_from() const { return net::answer_address(to, to_many); }
};

/// The send queue is below its low mark again. Also to each sender that was refused.
struct writable {};

/// Always, exactly once, the last.
struct closed {
  close_reason reason{};
  caf::error cause;
};

} // namespace datagram

// -- opening sockets ---------------------------------------------------------------------------

/// A listener accepts connections now. To its owner.
struct listening {
  endpoint local;
};

/// There will be no listener. To its owner.
struct listen_failed {
  endpoint local;
  caf::error cause;
};

/// A new connection, to the listener's owner, who claims it with `set_owner` within the handshake deadline. Not sent
/// when the listener makes a handler for each connection.
struct accepted {
  actnet::connection connection;
  endpoint local;
  endpoint peer;
};

/// To a listener. Connections wait in the backlog.
struct pause_accepting {};

/// To a listener: goes on, with up to `connections` more, or without end if 0.
struct resume_accepting {
  std::uint64_t connections = 0;
};

/// To a listener: other limits than those it began with (see listen_options; 0: none); what is unset stays as it is.
/// Answered when they are in force: more than before come in at once, and with fewer nobody is sent away. The alarm's
/// cooldown holds from the next alarm on, the handshake deadline for who is accepted from now on.
struct set_limits {
  std::optional<std::uint32_t> max_connections = std::nullopt;
  std::optional<std::uint32_t> accept_rate = std::nullopt;
  std::optional<std::uint32_t> max_per_address = std::nullopt;
  std::optional<std::uint32_t> alarm_threshold = std::nullopt;
  std::optional<std::chrono::milliseconds> alarm_cooldown = std::nullopt;
  std::optional<std::chrono::milliseconds> handshake_deadline = std::nullopt;
};

/// To a listener. Answered by `listener_info`.
struct get_listener_info {};

enum class listener_state : std::uint8_t {
  listening, ///< Also while it waits for a place below its limits.
  paused,    ///< By `pause_accepting`, or it has accepted as many as `resume_accepting` said.
  stopping,
};

/// Of a moment; totals since the beginning of the listener, restarts included.
struct listener_info {
  endpoint local;
  listener_state state{};
  std::uint32_t connections = 0; ///< Accepted and still alive.
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0; ///< Reset for `max_per_address`; not among the accepted.
  // Of all its connections, live and ended.
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  bool path_lost = false; ///< The file of its Unix socket was moved or removed: nobody can connect any more.
};

/// A listener has as many connections as its alarm's threshold, or more. To its owner, when another one is accepted and
/// the last alarm is at least the cooldown ago.
struct connections_alarm {
  endpoint local;
  std::uint32_t connections = 0;
};

/// To a listener: takes what waits in the backlog, at any rate, and ends. Waits for nobody to leave: what finds no
/// place below `max_connections` is reset, and so is who comes meanwhile when it has taken as many as the backlog
/// holds. Answered.
struct stop_listening {};

/// To a listener, a client or a datagram socket: stops taking new work (a listener as by `stop_listening`), waits for
/// its connections to end, aborts them after `deadline`, ends. Zero: a listener takes nothing from the backlog.
struct drain {
  std::chrono::milliseconds deadline{5'000};
};

/// The last message of a listener to its owner. `invalid_argument`: somebody who shares the socket has shut it down.
struct listener_closed {
  endpoint local;
  caf::error cause;
};

/// To a client: connects to `remote`; the answer is `connected` or `connect_failed`. A deadline of zero: as long as the
/// kernel tries. None: that of the client's options. While the backlog of a Unix listener is full the client tries
/// again every few milliseconds, with a deadline of zero without end.
struct connect {
  endpoint remote;
  std::optional<std::chrono::milliseconds> deadline = std::nullopt;
};

/// To a client: the attempt under way ends with `connect_failed{cancelled}`. One that reconnects does so no more.
struct cancel_connect {};

/// To whoever asked to connect, who is the connection's owner unless a handler was made for it.
struct connected {
  actnet::connection connection;
  endpoint local;
  endpoint peer;
};

struct connect_failed {
  endpoint remote;
  caf::error cause;
};

/// To the owner of a client that reconnects, in place of `connect_failed`: there is no connection now, either because
/// an attempt failed with `cause` or, without one, because the last connection has ended. The next attempt is after
/// `in`; if the client ends before, however that is, `connect_failed` says why.
struct reconnecting {
  endpoint remote;
  caf::error cause;
  std::chrono::milliseconds in{0};
};

/// A datagram socket is bound. To its owner.
struct bound {
  datagram_socket socket;
  endpoint local;
};

struct bind_failed {
  endpoint local;
  caf::error cause;
};

} // namespace actnet

#include "actnet/actors/inspect.hpp"
