// Reads on demand from a stream of bytes: bytes in, finished reads out. No socket and no clock in it.
#pragma once

#include "actnet/net/bytes/read_buffer.hpp"
#include "actnet/net/codec/framing.hpp"
#include "actnet/net/error.hpp"
#include "actnet/net/loop/clock.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

namespace actnet::net {

struct pull;

/// The place of a pull in its reader's queue; as `deferred_place`, a base that has the friend.
class pull_place {
  friend class pull_reader;
  pull* next_ = nullptr;
};

/// One read that somebody waits for. Whoever makes it derives from it; it must not go away while it is queued.
struct pull : pull_place {
  enum class kind : std::uint8_t {
    some,    ///< At least a byte, at most `size`. At the end of the stream: none, without an error.
    exactly, ///< `size` bytes.
    until,   ///< Up to `delimiter`, of which the first byte is at `size` or before; the error is `too_long`.
    to_end,  ///< All up to the end of the stream; more than `size` is `too_long`.
    quiet,   ///< At least a byte, and all that comes until nothing has come for `gap`; at most `size`.
    peek,    ///< `size` bytes, which stay.
    frame,   ///< The next frame of the reader's framing, without which it is `invalid_argument`.
  };

  pull() = default;
  pull(const pull&) = delete;
  pull& operator=(const pull&) = delete;

  /// The outcome, once, unless it is withdrawn. Without a cause `payload` is what was asked for. With `end_of_stream`
  /// and the causes with which a stream breaks off it is what had come until then, and is taken; with all others
  /// (`timed_out`, `too_long`) the bytes stay for the next read.
  virtual void on_pulled(bytes payload, std::error_code cause) noexcept = 0;

  /// Makes it a read of `kind::until` a line feed, which is not in the payload.
  void as_line() {
    what = kind::until;
    delimiter = bytes::copy("\n");
    keep_delimiter = false;
  }

  kind what = kind::some;
  bool keep_delimiter = true;              ///< In the payload.
  std::size_t size = 0;                    ///< At most `size_max`.
  bytes delimiter;                         ///< 1 to `delimiter_max` bytes.
  duration gap{0};                         ///< Of `quiet`.
  time_point deadline = time_point::max(); ///< Bytes that are there already are never too late.
  bytes taken;                             ///< With an outcome whose payload is only a part of them (see `put_back`).

  static constexpr std::size_t size_max = std::size_t{1} << 31;
  static constexpr std::size_t delimiter_max = 256;

 protected:
  ~pull() = default;
};

/// Finishes pulls in the order in which they were queued, but that a deadline may overtake. Single thread.
class pull_reader {
 public:
  /// So many outcomes or frames of one connection come in a turn, and then others have theirs, however much a peer has
  /// sent ahead. As many parts are sent at once, so that answers need no system call more.
  static constexpr std::size_t per_turn = 64;

  pull_reader() = default;
  ~pull_reader();

  /// A pull that cannot be (`invalid_argument`) ends at the next `serve`, like others.
  void queue(pull& what) noexcept;
  /// Forgets it, without an outcome. Returns whether it was queued.
  bool withdraw(pull& what) noexcept;

  void feed(bytes payload, time_point now);
  /// All that a pull took and nobody looked at, in the order opposite to that of taking: `taken`, or else the payload.
  void put_back(bytes payload) {
    buffer_.put_back(std::move(payload));
    searched_ = 0;
  }
  /// Nothing more comes: the end of the stream, or what broke it off. The first call counts.
  void end(std::error_code cause) noexcept;
  /// The stream is given up on this side: from now on it is `closed`, and what nobody has taken is gone.
  void abandon() noexcept;

  /// Tells the outcomes of all that can be finished now. `may_be_late`: nothing more has come until now, so that pulls
  /// meet their deadlines, and the quiet one its end.
  void serve(time_point now, bool may_be_late);

  /// From now on `per_turn` outcomes and frames, and then none until the next call of this or of `give_all`.
  void next_turn() noexcept { left_ = per_turn; }
  /// As many as there are, as at first.
  void give_all() noexcept { left_ = no_limit; }
  bool holds_back() const noexcept { return left_ == 0; }

  /// When to serve with `may_be_late`.
  time_point next_deadline() const noexcept;

  /// From the next byte on that nobody has taken. None: there are no frames.
  void set_framing(std::optional<framing> how);
  const std::optional<framing>& frames() const noexcept { return framing_; }

  /// The frame at the front, for whoever takes frames without pulls: look, and take it.
  framing::found find_frame() noexcept;
  bytes take_frame(const framing::found& where);
  /// See `read_buffer`: for whoever charges what was taken.
  void part_from_taken() { buffer_.part_from_taken(); }

  /// Whether a pull waits for more bytes.
  bool wants_bytes() const noexcept { return first_ && !ended_; }
  bool has_pulls() const noexcept { return first_ != nullptr; }
  /// Bytes that nobody has taken.
  std::size_t unread_bytes() const noexcept { return buffer_.size(); }
  /// A piece of them, for whoever goes on without pulls.
  bytes take_piece() {
    searched_ = 0;
    return buffer_.take_piece();
  }
  /// Forgets them.
  void drop_unread() noexcept {
    buffer_.drop(buffer_.size());
    searched_ = 0;
  }

  /// See `read_buffer`.
  std::uint64_t looked_at() const noexcept { return buffer_.looked_at(); }

 private:
  struct verdict;
  bool finish_front(time_point now, bool may_be_late);
  verdict judge(const pull& what, time_point now, bool may_be_late);
  verdict judge_until(const pull& what);
  verdict judge_frame();
  pull& pop() noexcept;

  read_buffer buffer_;
  std::optional<framing> framing_;
  pull* first_ = nullptr;
  pull* last_ = nullptr;
  std::size_t searched_ = 0; // for `sought_`
  bytes sought_;             // a delimiter; empty: that of the frame
  static constexpr std::size_t no_limit = static_cast<std::size_t>(-1);
  std::size_t left_ = no_limit; // of this turn
  time_point front_since_{};
  time_point last_fed_{};
  bool ended_ = false;
  std::error_code end_cause_;
};

} // namespace actnet::net
