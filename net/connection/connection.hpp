// The stream-connection state machine: one connected socket, its write queue, its credit, its timeouts, and what is
// left of the stream between reads on demand and frames. No actor in it; whoever owns it is told through
// `connection_owner`.
#pragma once

#include "actnet/net/bytes/write_queue.hpp"
#include "actnet/net/bytes/write_room.hpp"
#include "actnet/net/connection/peer_progress.hpp"
#include "actnet/net/connection/pull_reader.hpp"
#include "actnet/net/loop/loop.hpp"
#include "actnet/net/socket/stream_socket.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace actnet::net {

// What each operation does in each state. "queued": done in order, outcome when it is through. A word in quotes is the
// error of its outcome, which follows at once. A state name after "->" is where the connection goes.
//
// clang-format off
//              | unclaimed    | open           | peer_finished  | finished       | closing      | draining | reset     | closed
// -------------+--------------+----------------+----------------+----------------+--------------+----------+-----------+--------
// write, flush | queued       | queued         | queued         | "finished"     | "closed"     | "closed" | "reset"   | "closed"
// finish       | queued       | queued         | queued         | "finished"     | "closed"     | "closed" | "reset"   | "closed"
//              |    (*)       |   -> finished  |   -> finished  |                |              |          |           |
// close        | -> closing   | -> closing     | -> closing     | -> closing     | nothing      | nothing  | -> closed | nothing
// abort        | -> closed    | -> closed      | -> closed      | -> closed      | -> closed    | -> closed| -> closed | nothing
// claim        | -> open (*)  | new owner      | new owner      | new owner      | nothing      | nothing  | new owner | nothing
// bytes come   | stay in the  | delivered      | cannot come    | delivered      | dropped      | dropped  | delivered | cannot
//              |   kernel     |                |                |                |              |          |           |
// peer's FIN   | told on claim| -> peer_fin.(+)| cannot come    | -> closed once | remembered   | -> closed| -> closed | cannot
//              |              |                |                |   ours is sent |              |          |           |
// peer's RST   | -> reset     | -> reset (#)   | -> closed      | -> reset (#)   | -> closed    | -> closed| -> closed | cannot
// queue empty  |              |                |                | FIN was sent   | FIN, then    |          |           |
//              |              |                |                |   in order     | -> draining  |          |           |
// clang-format on
//
// (*) Or `finished` if that was asked for before.   (+) Without allow_half_open it goes on to `closing` when the owner
// has dealt with the event.   (#) What is queued fails at once; unread bytes are delivered as pausing and credit allow;
// then closed. From `closing` the way is: flush, FIN, then (unless the peer finished before) `draining`: read and drop
// until the peer's end. A plain close with unread input would send an RST and destroy what was written. As long as the
// peer has not taken all of it, `write_stall` judges it; from then on it has `close_timeout` for its end.

enum class connection_state : std::uint8_t {
  unclaimed, ///< Accepted, but no owner yet: nothing is read.
  open,
  peer_finished, ///< The peer's FIN came; we may go on writing.
  finished,      ///< Our FIN is sent or queued; the peer may go on.
  closing,       ///< What was queued is being flushed; input is dropped.
  draining,      ///< Our FIN is in the kernel's send buffer; input is dropped until the peer's end.
  reset,         ///< Nothing can be sent any more; what was received before is still being delivered.
  closed,
};

/// Why a connection ended.
enum class close_reason : std::uint8_t {
  requested,     ///< `close` was asked for.
  both_finished, ///< Both sides finished.
  peer_finished, ///< The peer finished, and half-open was not allowed.
  peer_reset,
  aborted,
  idle,
  deadline,
  owner_gone,
  error, ///< See the cause.
};

std::string_view to_string(connection_state state) noexcept;
std::string_view to_string(close_reason reason) noexcept;

/// What to do with a peer that does not take what is written to it. Writes above the high mark are refused, but with
/// `pause` only above twice that: so there is room for the answers to what came last, in as many parts as they may be.
enum class slow_peer : std::uint8_t {
  usual,  ///< `pause` for an accepted connection that its listener makes a handler for, else `refuse`.
  pause,  ///< Deliver nothing from the high mark of the write queue down to its low one: no more questions, no answers.
  refuse, ///< Go on reading: for a handler that writes without being asked.
  close,  ///< Close with `error` and the cause `queue_full` when a write is refused.
};

/// A time of zero turns the timeout off. A peer goes forward when its kernel acknowledges bytes (TCP) or it reads some
/// (Unix), which is looked at once a second, or four times within a shorter timeout: it may get that much more.
struct connection_options {
  std::uint32_t read_credit_bytes = 256 * 1024;
  std::uint32_t write_low_bytes = 64 * 1024;
  std::uint32_t write_high_bytes = 1024 * 1024;
  std::chrono::milliseconds handshake_deadline{5'000}; ///< For an accepted connection to be claimed.
  std::chrono::milliseconds idle_timeout{0};           ///< Without a byte that came, was sent or was taken.
  std::chrono::milliseconds close_timeout{5'000};      ///< For the peer's end, once it has taken all of ours.
  /// Without a step forward while something is queued, or, when closing, not taken. Off: closing, `close_timeout`.
  std::chrono::milliseconds write_stall{60'000};
  std::chrono::milliseconds credit_stall_warning{5'000};
  std::chrono::milliseconds credit_stall_limit{60'000};
  bool allow_half_open = false;
  bool on_demand = false; ///< Begins with reading on demand: nothing is delivered until `resume_reading`.
  slow_peer when_slow = slow_peer::usual;

  bool operator==(const connection_options&) const = default;
};

struct connection_counters {
  std::uint64_t bytes_received = 0; ///< Taken from the kernel, dropped ones included.
  std::uint64_t bytes_sent = 0;     ///< Taken by the kernel.
  std::uint64_t reads = 0;
  std::uint64_t writes_done = 0; ///< Writes, flushes and finishes through without a cause.
  std::uint64_t writes_failed = 0;
  std::uint64_t writes_refused = 0; ///< The part of `writes_failed` that met a full queue.
};

/// Who owns a connection. Everything is called in the loop's thread, from the bottom of its stack; operations on the
/// connection may be called from here.
class connection_owner {
 public:
  /// Bytes in order, charged to the connection until the last slice of them is gone.
  virtual void on_received(bytes&& payload) noexcept = 0;

  /// The peer finished; all it sent came before. Returns whether that has been dealt with; if not, say so later with
  /// `connection::end_was_handled`.
  virtual bool on_peer_finished() noexcept = 0;

  /// The write queue is below its low mark again after writes were refused or it had passed its high mark.
  virtual void on_writable() noexcept = 0;

  /// The one outcome of a write, flush or finish. The item is the owner's again.
  virtual void on_outcome(write_item& item, std::error_code cause) noexcept = 0;

  /// What was written with `write_direct` needs an item after all: a fresh one, for whoever is to hear of its failure.
  virtual write_item& item_of_direct() noexcept = 0;

  /// The last call, exactly once, after the outcomes of everything queued. Only the outcomes of items that are handed
  /// in later come after it. Do not destroy the connection in here but in a `deferred` of your own.
  virtual void on_closed(close_reason reason, std::error_code cause) noexcept = 0;

  /// Who it is, for the log.
  virtual std::string owner_name() const { return "its owner"; }

 protected:
  ~connection_owner() = default;
};

/// See the table above. Its functions only take note: system calls are made, and events and outcomes arise, when the
/// loop serves it at the end of the turn. All in the loop's thread but `reserve`.
class connection final : stream_target, write_outcomes, deferred, timer {
 public:
  /// `begin` must follow in the loop's thread.
  connection(loop& home, stream_socket socket, const connection_options& options, connection_owner& owner);
  ~connection();

  /// Registers the socket. `claimed`: it has an owner from the start. A failure closes it, with the event.
  void begin(bool claimed) noexcept;

  // -- writing -----------------------------------------------------------------------------

  /// What an item takes in memory besides its payload; it counts as room in the queue, so that a flood of small writes
  /// is bounded too.
  static constexpr std::size_t item_overhead_bytes = 128;

  /// Reserves room for a write or a flush (no bytes) in the queue; to be called once before each `write`. `false`:
  /// above the high mark (see `slow_peer`); then call `refuse` instead. Any thread. One write may pass the mark, so
  /// that any size can be written. Flushes have as much room of their own. `is_write` is that of the item.
  bool reserve(std::size_t bytes, bool is_write = false) noexcept;
  /// The same, for less, in the loop's thread.
  bool reserve_here(std::size_t bytes, bool is_write = false) noexcept;

  /// Queues an item whose bytes are reserved (an empty payload is a flush). One with a file has no payload and takes
  /// the room of a flush. The file is opened when its turn comes: if it cannot be, the item fails and nothing of it is
  /// sent. If it turns out to be shorter later on, or cannot be read, the connection is aborted with that cause,
  /// because the peer may not be able to tell where the next bytes begin.
  void write(write_item& item) noexcept;

  /// Whether bytes can be written without an item and without reserving room: they are alone, and few enough to be sent
  /// whole at the end of this turn.
  bool takes_direct(std::size_t bytes) const noexcept {
    return bytes - 1 < direct_bytes_max && direct_.empty() && queue_.empty() && !demand_ &&
           state_ < connection_state::finished && !finish_queued_ && !abort_asked_ &&
           reserved_.taken() + bytes < options_.write_high_bytes; // else `writable` is to follow
  }
  /// Writes them so. Only their failure has an outcome: see `connection_owner::item_of_direct`.
  void write_direct(bytes&& payload) noexcept;

  /// Ends an item that found no room: its outcome is `queue_full`.
  void refuse(write_item& item) noexcept;

  /// Calls off a write, flush or file that is queued: what of it is not sent never will be, and its outcome is `cause`.
  /// If a part of a frame was sent, this is the end of what can be: all other writes, those that are queued and those
  /// to come, fail with `frame_cut`; `finish` and `close` still tell the peer that nothing follows. Returns whether it
  /// was queued.
  bool withdraw(write_item& item, errc cause) noexcept;

  /// Queues the end of our side; `item.what` becomes finish.
  void finish(write_item& item) noexcept;

  void close(close_reason reason = close_reason::requested) noexcept;
  void abort(close_reason reason = close_reason::aborted, std::error_code cause = errc::aborted) noexcept;

  // -- reading -----------------------------------------------------------------------------

  void pause_reading() noexcept;
  /// Goes on delivering, first what no pull has taken, once the pulls that are queued are through.
  void resume_reading() noexcept;

  /// Reads on demand, in order, until `resume_reading`: nothing is delivered any more. The outcome may come within the
  /// call, if the bytes are there. While a pull waits it is read whatever the credit; else at most one read ahead. The
  /// end of the stream and its breaking off are told when all that came before has been taken. Also before `begin`, and
  /// after the end (then nothing but the outcome happens).
  void pull(net::pull& what);
  /// Forgets a pull without an outcome; what came for it stays. Returns whether it was queued.
  bool withdraw(net::pull& what) noexcept;
  /// All that a pull took (`pull::taken`, or else its payload) and nobody looked at: the next read gets it.
  void put_back(bytes payload);
  /// From now on nothing is delivered, as after a pull.
  void read_on_demand();
  /// What is delivered from now on are frames, one by one, beginning with what nobody has taken; none: bytes again. A
  /// frame is as large as its format allows, whatever the credit. One that is broken (`too_long`, `bad_frame`), and the
  /// end of the stream within one (`end_of_stream`), close the connection with that cause.
  void set_framing(std::optional<framing> how, bool only_reads = false);
  /// What is to be made of each write, for whoever queues them; null: nothing.
  const framing* write_framing() const noexcept;
  /// An item that was reserved gets another payload, the frame that is made of it, before it is written. What it had is
  /// held until that is sent, and with it the credit of whoever it came from.
  void replace_payload(write_item& item, bytes payload) noexcept;
  /// Ends a reserved item unwritten, with that cause.
  void reject(write_item& item, errc cause) noexcept;

  /// The other half: what comes from now on is dropped (shutdown_read). The peer's end is still told.
  void stop_reading() noexcept;
  void end_was_handled() noexcept;

  // -- settings and state ------------------------------------------------------------------

  /// Gives it an owner, or another one; the first ends `unclaimed`. Another one is told of the peer's end again.
  void claim() noexcept;
  void set_idle_timeout(std::chrono::milliseconds timeout) noexcept;
  /// The connection ends with `deadline` at that time. None: no deadline.
  void set_deadline(std::optional<time_point> when) noexcept;
  void set_allow_half_open(bool allowed) noexcept;

  connection_state state() const noexcept { return state_; }
  const connection_counters& counters() const noexcept { return counters_; }
  const connection_options& options() const noexcept { return options_; }
  std::error_code last_error() const noexcept { return last_error_; }
  std::optional<time_point> deadline() const noexcept;
  bool reading_paused() const noexcept { return paused_; }
  bool starved() const noexcept { return starved_; }
  std::uint64_t credit_outstanding() const noexcept { return credit_->outstanding(); }
  std::size_t queued_bytes() const noexcept { return queue_.size_bytes() + direct_.size(); }
  /// Whether the outcome of an item is still to come.
  bool has_items() const noexcept { return first_refused_ || !queue_.empty() || !direct_.empty(); }
  /// The descriptor; empty once closed.
  stream_socket& socket() noexcept { return socket_; }
  /// Whether it is queued for the end of the turn; it must not go away while it is.
  bool is_deferred() const noexcept { return deferred::is_deferred(); }
  /// Whether an item that is queued now would be refused at once, and why.
  errc refusal() const noexcept;

 private:
  void on_received(bytes&& payload) noexcept override;
  void on_read_end(std::error_code cause) noexcept override;
  void on_unread() noexcept override { last_activity_ = loop_.now(); }
  void on_hang_up(std::error_code cause) noexcept override;
  std::size_t gather(std::span<iovec> parts) noexcept override;
  std::size_t gather_file(std::span<iovec> parts) noexcept;
  file_part next_file() noexcept override;
  void on_file_failed(std::error_code cause) noexcept override;
  bool on_sent(std::size_t count) noexcept override;
  void on_send_failed(std::error_code cause) noexcept override;
  void on_done(write_item& item, std::error_code cause) noexcept override;
  void serve() noexcept override;
  void on_timer(time_point now) noexcept override;

  void note() noexcept;
  void push(write_item& item) noexcept;
  bool send_direct() noexcept;
  void settle_direct(std::size_t sent = 0) noexcept;
  std::size_t room_max() const noexcept {
    return std::size_t{options_.write_high_bytes} * (options_.when_slow == slow_peer::pause ? 2 : 1);
  }
  std::size_t marks_max() const noexcept;
  void give_back(const write_item& item) noexcept;
  void refuse(write_item& item, errc cause) noexcept;
  void end_refused() noexcept;
  void send_queued() noexcept;
  std::error_code send_finish() noexcept;
  bool abort_resets() const noexcept;
  void meet_end() noexcept;
  void lose(std::error_code cause) noexcept;
  static close_reason reason_of(std::error_code cause) noexcept;
  void begin_close(close_reason reason, std::error_code cause = {}) noexcept;
  void advance_close() noexcept;
  void update_reading() noexcept;
  void tell_writable() noexcept;
  bool is_timed() const noexcept;
  void retime() noexcept;
  void update_timer() noexcept;
  time_point next_deadline() const noexcept;
  /// Then the peer is what is waited for, and neither idling nor its owner's want of credit is held against anybody.
  bool write_stall_judges() const noexcept { return !queue_.empty() && options_.write_stall.count() > 0; }
  bool is_judged_idle() const noexcept { return !starved_ && !(is_backed_up() && write_stall_judges()); }
  std::chrono::milliseconds stall_limit() const noexcept;
  std::chrono::milliseconds patience() const noexcept;
  bool is_watched() const noexcept { return look_at_ != time_point::max(); }
  void watch() noexcept;
  void look() noexcept;
  void give_up_stalled() noexcept;
  class demand;
  demand& demanded();
  bool pulls() const noexcept;
  bool has_unread() const noexcept;
  bool reads_frames() const noexcept;
  bool wants_bytes() const noexcept;
  void serve_pulls() noexcept; // what a connection has that is or was read on demand, or in frames
  void deliver_unread() noexcept;
  void deliver_frames() noexcept;
  bool is_backed_up() const noexcept { return passed_high_ && options_.when_slow == slow_peer::pause; }
  bool delivers() const noexcept { return !paused_ && !is_backed_up(); }
  void break_off(errc cause) noexcept;
  void check_waits() const noexcept;
  void end(close_reason reason, std::error_code cause, bool reset) noexcept;

  static constexpr std::size_t direct_bytes_max = 16 * 1024;

  // In the order of use: at many connections what a read and a write touch decides, in cache lines.
  loop& loop_;
  connection_owner& owner_;
  channel channel_ = channel::none;
  credit_account* credit_;
  std::unique_ptr<demand> demand_;
  bytes direct_; // written in this turn, without an item
  write_queue queue_{*this};
  write_item* first_refused_ = nullptr; // outcomes to be told at the next serve
  write_room reserved_;
  connection_state state_ = connection_state::unclaimed;
  close_reason ending_ = close_reason::requested; // why it is closing, or is to be aborted
  bool claimed_ : 1 = false;
  bool paused_ : 1 = false;
  bool discard_ : 1 = false; // stop_reading
  bool reading_ : 1 = false; // what the backend was told
  bool starved_ : 1 = false;
  bool stall_warned_ : 1 = false;
  bool read_ended_ : 1 = false;
  bool end_told_ : 1 = false;    // the owner was told of the peer's end
  bool end_handled_ : 1 = false; // and has dealt with it
  bool finish_queued_ : 1 = false;
  bool finish_sent_ : 1 = false;
  bool serving_ : 1 = false;
  bool abort_asked_ : 1 = false;
  bool passed_high_ : 1 = false;
  bool noted_ : 1 = false;     // there is more to look at than `direct_`
  bool cut_ : 1 = false;       // a frame was called off when part of it was sent
  bool all_taken_ : 1 = false; // by the peer, of what was sent when it began to drain
  time_point last_activity_{};
  time_point last_step_{}; // of the peer: the kernel took bytes for it, or it took some itself
  time_point deadline_ = time_point::max();
  std::error_code send_cause_;
  connection_counters counters_;
  connection_options options_;
  stream_socket socket_;
  write_room marks_; // empty items that are queued
  write_item* last_refused_ = nullptr;
  std::error_code read_cause_;
  std::error_code last_error_;
  std::error_code ending_cause_;
  time_point phase_began_{}; // of unclaimed; of draining: when all was taken
  time_point starved_since_{};
  time_point look_at_ = time_point::max(); // how far the peer is; never: nothing is expected of it
  peer_progress progress_;
};

} // namespace actnet::net
