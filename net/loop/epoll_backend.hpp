// The backend over epoll(7), edge-triggered throughout: a descriptor is registered once, for everything, and what is
// ready is remembered here. So pausing, resuming and (but for Unix sockets) waiting to write cost no system call, and a
// hang-up cannot be reported over and over.
#pragma once

#include "actnet/net/bytes/block_pool.hpp"
#include "actnet/net/bytes/bytes.hpp"
#include "actnet/net/loop/backend.hpp"

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

namespace actnet::net {

class epoll_backend final : public backend {
 public:
  epoll_backend() = default;
  epoll_backend(const epoll_backend&) = delete;
  epoll_backend& operator=(const epoll_backend&) = delete;
  ~epoll_backend() override;

  /// Once, before anything else. Fails when the kernel has no descriptor left.
  std::error_code start();

  const char* name() const noexcept override { return "epoll"; }

  result<channel> open(stream_socket& s, stream_target& t) override { return add(s, role::stream, &t); }
  result<channel> open(stream_socket& s, connect_target& t) override { return add(s, role::connect, &t); }
  result<channel> open(listener_socket& s, listener_target& t) override { return add(s, role::listener, &t); }
  result<channel> open(datagram_socket& s, datagram_target& t) override { return add(s, role::datagram, &t); }

  void close(channel which) noexcept override;
  void start_reading(channel which) noexcept override;
  void stop_reading(channel which) noexcept override;
  void send(channel which) noexcept override;
  std::size_t send_now(channel which, std::span<const std::byte> data) noexcept override;
  std::uint64_t untaken(channel which) noexcept override;
  void accept_more(channel which) noexcept override;
  void begin_round() noexcept override;
  bool round_is_over() const noexcept override { return not_heard_ == 0; }
  void poll(std::optional<duration> wait_at_most, turns& loop) noexcept override;
  void wake() noexcept override;

 private:
  enum class role : std::uint8_t { unused, stream, connect, listener, datagram };

  /// Of its own cache line: at many connections that decides.
  struct alignas(64) slot {
    channel which = channel::none; // none: unused
    int fd = -1;
    std::uint32_t generation = 1;
    socket* owned = nullptr; // by the target
    void* target = nullptr;
    role kind = role::unused;
    bool local = false;     // a Unix stream or datagram socket
    errc lost = errc::none; // why the stream was lost, if the kernel told it once and not through a read
    std::uint8_t aborted_in_a_row = 0;
    bool reading : 1 = false;
    bool readable : 1 = false;
    bool writable : 1 = false;
    bool sending : 1 = false;      // `send` is on the stack
    bool send_on : 1 = false;      // in `again_` to send more
    bool starved : 1 = false;      // the kernel had no room for it; in `later_`
    bool unsure : 1 = false;       // whether more is to be read; in `later_`
    bool read_since : 1 = false;   // since it was looked at there
    bool broken : 1 = false;       // `on_send_failed` was called
    bool ended : 1 = false;        // the end of reading, or the end of connecting, was reported
    bool failed : 1 = false;       // ERR was seen: the peer reset the stream
    bool hang_up_told : 1 = false; // by itself or as the cause of the end
    bool to_the_end : 1 = false;   // read until nothing is there, for no new edge need come
    bool stopped : 1 = false;      // no accepting until `accept_more`
    bool queued : 1 = false;       // in `again_`
    bool awaits_room : 1 = false;  // EPOLLOUT is asked for although it is `local`
  };

  /// They stay where they are; but after each callback one has to look whether it is still the same channel's.
  class slot_table {
   public:
    std::uint32_t size() const noexcept { return size_; }
    slot& operator[](std::uint32_t index) noexcept { return (*chunks_[index / chunk_size])[index % chunk_size]; }

    std::uint32_t add() {
      if (size_ == chunks_.size() * chunk_size)
        chunks_.push_back(std::make_unique<chunk>());
      return size_++;
    }

   private:
    static constexpr std::uint32_t chunk_size = 256;
    using chunk = std::array<slot, chunk_size>;
    std::vector<std::unique_ptr<chunk>> chunks_;
    std::uint32_t size_ = 0;
  };

  static std::uint32_t index_of(channel which) noexcept { return static_cast<std::uint32_t>(which); }

  slot* find(channel which) noexcept {
    const auto index = index_of(which);
    if (index == 0 || index >= slots_.size())
      return nullptr;
    auto& s = slots_[index];
    return s.which == which ? &s : nullptr;
  }

  void free(slot& s) noexcept {
    unused_.push_back(index_of(s.which));
    s.which = channel::none;
    ++s.generation;
    s.kind = role::unused;
    s.target = nullptr;
  }

  template <class Target>
  static Target& target_of(slot& s) noexcept {
    return *static_cast<Target*>(s.target);
  }

  result<channel> add(socket& owned, role kind, void* target);
  int register_as(slot& s, int operation) noexcept;
  void await_room(slot& s) noexcept;
  void go_on(slot& s) noexcept;
  void send(slot& s) noexcept;
  void send_later(slot& s) noexcept;
  void try_again_soon(slot& s) noexcept;
  void may_be_cut(slot& s) noexcept;
  void look_later(slot& s) noexcept;
  void serve_later(bool waited) noexcept;
  void fetch_ahead(std::span<const epoll_event> next) noexcept;
  void on_events(slot& s, std::uint32_t events) noexcept;
  void carry_on(slot& s) noexcept;

  // -- epoll_streams.cpp. What reads is apart from the rest: together they would not fit where the processor keeps what
  // it runs over and over.

  [[gnu::noinline]] void read_stream(slot& s) noexcept;
  [[gnu::noinline]] void end_of_reading(slot& s, std::error_code cause) noexcept;
  [[gnu::noinline]] void look_at_paused(slot& s) noexcept;
  void tell_hang_up(slot& s) noexcept;
  void send_stream(slot& s) noexcept;
  void stop_sending(slot& s, int number) noexcept;

  // -- epoll_openers.cpp -------------------------------------------------------------------------

  void connected(slot& s) noexcept;
  void accept(slot& s) noexcept;

  // -- epoll_datagrams.cpp -----------------------------------------------------------------------

  void receive_datagrams(slot& s) noexcept;
  void send_datagrams(slot& s) noexcept;

  // -- what both read into -----------------------------------------------------------------------

  block& scratch() noexcept {
    if (!scratch_)
      scratch_ = block::make(block_pool::read_bytes);
    return *scratch_;
  }

  /// The first `size` bytes of it.
  bytes take_received(std::size_t size) noexcept {
    if (size <= block_pool::copied_bytes_max)
      return bytes::copy(scratch_->data(), size);
    return {std::exchange(scratch_, nullptr), size};
  }

  int poller_ = -1;
  int waker_ = -1;
  slot_table slots_;
  std::vector<std::uint32_t> unused_;
  std::vector<channel> again_;   // channels with work left that no new edge announces
  std::vector<channel> serving_; // the batch of one of these that is being served
  std::vector<channel> later_;   // those to look at again without an event
  time_point later_at_{};
  std::size_t not_heard_ = 0; // of a round: channels that may have something to tell
  block* scratch_ = nullptr;  // handed over whole when a read was large
  turns* loop_ = nullptr;     // during `poll`
};

/// Fails when the kernel has no descriptor left for it.
result<std::unique_ptr<backend>> make_epoll_backend();

} // namespace actnet::net
