// The contract between a loop and the kernel: what every backend (epoll, io_uring, simulated) does alike.
//
// It is completion-shaped and level-free: one asks for an operation once and is told once what came of it. A backend
// whose kernel only announces readiness retries inside. One conformance suite (tests/net/loop/backend*.cpp) runs over
// all backends.
//
// Rules for all of them:
// - Single thread: everything here is called, and calls back, in the loop's thread. Only `wake` may come from others.
// - Callbacks come from `poll`, and those of `send` also from within `send`. A callback may call anything here, also
//   `close` on its own channel; after `close` returns, a channel calls back no more and memory it gathered is free.
// - After each callback that came from `poll`, the backend calls `turns::after_turn`; of datagrams a few may share a
// turn.
// - A hang-up is reported once, also while reading is stopped; nothing is ever reported over and over.
// - One busy channel does not keep the others waiting: a backend goes round after a bounded amount of work.
#pragma once

#include "actnet/net/address/endpoint.hpp"
#include "actnet/net/bytes/bytes.hpp"
#include "actnet/net/error.hpp"
#include "actnet/net/loop/clock.hpp"
#include "actnet/net/result.hpp"
#include "actnet/net/socket/datagram_socket.hpp"
#include "actnet/net/socket/listener_socket.hpp"
#include "actnet/net/socket/stream_socket.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>

namespace actnet::net {

/// An open descriptor at a backend. A value of 0 is none. Numbers are not used again soon: a stale one is recognised.
enum class channel : std::uint64_t { none = 0 };

/// Who owns a connected stream.
class stream_target {
 public:
  /// Bytes, in order. The block is unshared and charged to nobody. Only while reading is on.
  virtual void on_received(bytes&& payload) noexcept = 0;

  /// The last completion of reading: no cause when the peer finished, otherwise why nothing more can be read. All bytes
  /// the kernel gave came before it. A clean end is also told while reading is stopped, if no byte waits before it.
  virtual void on_read_end(std::error_code cause) noexcept = 0;

  /// Reading is stopped, and bytes may have come, which wait. Only to be noted down: no turn ends with it.
  virtual void on_unread() noexcept {}

  /// The peer reset the stream, and reading cannot tell it now. Reading is stopped and bytes wait: they are read once
  /// it is on again, and then `on_read_end` tells the cause. Or the peer had finished before and that was told.
  virtual void on_hang_up(std::error_code cause) noexcept = 0;

  /// Fills in the next bytes to send; 0: nothing now; `a_file`: see `next_file`. What is described must stay until
  /// `on_sent` or `close`.
  virtual std::size_t gather(std::span<iovec> parts) noexcept = 0;
  static constexpr std::size_t a_file = static_cast<std::size_t>(-1);

  /// What comes next is in a file: so many bytes of it, at least one, from `offset` on.
  struct file_part {
    int fd = -1;
    std::uint64_t offset = 0;
    std::uint64_t count = 0;
  };
  virtual file_part next_file() noexcept { return {}; }

  /// Nothing was sent from that file. `not_supported`: backend or kernel cannot do it, and the target gathers the bytes
  /// itself from now on. `file_too_short`: the file ends there. Or why it cannot be read. The backend gathers again.
  virtual void on_file_failed(std::error_code) noexcept {}

  /// That many of the gathered bytes are in the kernel's send buffer. Returns whether the backend is to gather again.
  virtual bool on_sent(std::size_t count) noexcept = 0;

  /// Nothing can be sent any more. Told once; nothing is gathered afterwards. Reading goes on.
  virtual void on_send_failed(std::error_code cause) noexcept = 0;

 protected:
  ~stream_target() = default;
};

/// Who owns a stream that is being connected.
class connect_target {
 public:
  /// Once: no cause when the stream is connected. Close the channel before opening the stream as another one.
  virtual void on_connected(std::error_code cause) noexcept = 0;

 protected:
  ~connect_target() = default;
};

/// Who owns a listener.
class listener_target {
 public:
  /// Asked before each accept. `false` leaves connections in the backlog, and it is not asked again until
  /// `accept_more`.
  virtual bool wants_connection() noexcept = 0;

  /// A connection for each `true` of `wants_connection`, or `on_accept_failed`.
  virtual void on_accepted(listener_socket::accepted connection) noexcept = 0;

  /// The accept that was wanted did not happen. What the cause means:
  /// - `would_block`: nobody is waiting; accepting goes on by itself.
  /// - `connection_aborted`: that connection ended while it waited, or the network or a firewall had something against
  ///   it (accept(2): ENETDOWN, EPROTO, EHOSTUNREACH, EPERM and their like count as this). Accepting goes on at once.
  /// - `invalid_argument`, `bad_descriptor`: it does not listen (any more): somebody else has shut it down.
  /// - Anything else: it stops until `accept_more`, best called after a pause. That is a lack of descriptors or memory,
  ///   and whatever the 65th accept in a row failed with after 64 aborted ones (`other`, if that was aborted too).
  virtual void on_accept_failed(std::error_code cause) noexcept = 0;

 protected:
  ~listener_target() = default;
};

/// Who owns a datagram socket.
class datagram_target {
 public:
  /// One datagram, also an empty one. Returns whether another one may follow before the end of the turn.
  virtual bool on_datagram(bytes payload, const received_datagram& info) noexcept = 0;

  /// An error the kernel reported on the socket, such as a refusal by an earlier receiver (UDP, connected). The socket
  /// lives on.
  virtual void on_receive_error(std::error_code cause) noexcept = 0;

  /// Fills in the next datagrams to send, in order; 0: none now. Each must stay until its `on_datagram_sent` or
  /// `close`. Those for which there is no room just now are asked for again.
  virtual std::size_t gather(std::span<outgoing_datagram> next) noexcept = 0;

  /// What became of the first of those that were gathered and not told of.
  virtual void on_datagram_sent(std::error_code cause) noexcept = 0;

  /// The receiver of the first of those has no room, and nothing announces when it has some: a Unix socket to which
  /// ours is not connected. `true`: the target gathers what is for others meanwhile, and calls `send` when it wants to
  /// try that one again. `false`: the backend asks for the same again, a little later.
  virtual bool on_receiver_full() noexcept { return false; }

 protected:
  ~datagram_target() = default;
};

/// The loop, as a backend sees it.
class turns {
 public:
  /// Waiting is over; completions follow. `waited`: the thread may have slept.
  virtual void on_awake(bool waited) noexcept = 0;
  virtual void after_turn() noexcept = 0;

 protected:
  ~turns() = default;
};

class backend {
 public:
  virtual ~backend() = default;

  virtual const char* name() const noexcept = 0;

  // Opening registers a socket that the target goes on owning. The socket object stays where it is until the channel is
  // closed, and is closed after it.
  virtual result<channel> open(stream_socket& socket, stream_target& target) = 0;
  virtual result<channel> open(stream_socket& socket, connect_target& target) = 0;
  virtual result<channel> open(listener_socket& socket, listener_target& target) = 0;
  virtual result<channel> open(datagram_socket& socket, datagram_target& target) = 0;
  virtual void close(channel which) noexcept = 0;

  /// Streams and datagram sockets. Reading is off at first; bytes come until it is stopped.
  virtual void start_reading(channel which) noexcept = 0;
  /// Nothing is delivered after it returns; what a backend already holds stays with it until reading starts again.
  virtual void stop_reading(channel which) noexcept = 0;

  /// There may be something to gather (or a next datagram). Calling it while sending goes on is harmless.
  virtual void send(channel which) noexcept = 0;

  /// Streams: sends what nobody has gathered, when nothing that is gathered waits. Returns how much of it is in the
  /// kernel's send buffer: less than all of it, if only because this backend does not do it, and `send` is to follow.
  virtual std::size_t send_now(channel, std::span<const std::byte>) noexcept { return 0; }

  /// Streams: how much of what was sent the peer has not taken, or 0 if nobody can tell. Only its comparison with an
  /// earlier value means anything, and only if nothing was sent in between: less means that the peer goes forward. See
  /// `stream_socket::untaken`.
  virtual std::uint64_t untaken(channel) noexcept { return 0; }

  /// Listeners: try again, beginning with `wants_connection`, whether or not somebody is known to wait.
  virtual void accept_more(channel which) noexcept = 0;

  /// Waits for that long at the most (none: for ever; zero: not at all), calls `on_awake`, and carries out what is due.
  /// Rounds the time up, so that a timer never finds itself early.
  virtual void poll(std::optional<duration> wait_at_most, turns& loop) noexcept = 0;

  /// A `poll` looks at a bounded number of channels, and there may be more. A round is over when the polls since it
  /// began have told all that was there to be told when it began: after so many polls as it takes to look at every
  /// channel, at the latest.
  virtual void begin_round() noexcept = 0;
  virtual bool round_is_over() const noexcept = 0;

  /// Ends the present or the next `poll` early. Any thread.
  virtual void wake() noexcept = 0;
};

} // namespace actnet::net
