// Edge-triggered throughout: a descriptor is registered once, for everything, and what is ready is remembered here. So
// pausing, resuming and (but for Unix sockets) waiting to write cost no system call, and a hang-up cannot be reported
// over and over.
#include "actnet/net/loop/epoll_backend.hpp"

#include "actnet/net/log.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace actnet::net {

namespace {

/// A full read is followed by another, up to this many in one turn of a channel.
constexpr int reads_per_turn = 4;
constexpr int sends_per_turn = 16;
constexpr std::uint64_t file_bytes_per_send = 128 * 1024;
constexpr int accepts_per_turn = 64;
constexpr int aborted_in_a_row_max = 64;
constexpr int datagrams_per_turn = 32;
constexpr int datagrams_in_a_row = 8; ///< At most so many reach their target before the end of a turn.
constexpr std::size_t parts_per_send = 64;
constexpr int events_per_wait = 256;

/// When to look again at what no readiness announces, up to twice this time: the kernel has no buffers for sending just
/// now (ENOBUFS); the queue of a Unix receiver that we are not connected to is full; a read of a Unix stream may have
/// been cut.
constexpr std::chrono::milliseconds look_again{5};

class epoll_backend final : public backend {
 public:
  epoll_backend() = default;
  epoll_backend(const epoll_backend&) = delete;
  epoll_backend& operator=(const epoll_backend&) = delete;

  ~epoll_backend() override {
    if (scratch_)
      scratch_->release();
    for (const auto fd : {waker_, poller_})
      if (fd >= 0)
        sys().close(fd);
  }

  std::error_code start() {
    slots_.add(); // channel 0 means none, so the first one is the waker's
    poller_ = sys().epoll_create1(EPOLL_CLOEXEC);
    if (poller_ < 0)
      return from_errno(errno);
    waker_ = sys().eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (waker_ < 0)
      return from_errno(errno);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = 0;
    if (sys().epoll_ctl(poller_, EPOLL_CTL_ADD, waker_, &event) != 0)
      return from_errno(errno);
    return {};
  }

  const char* name() const noexcept override { return "epoll"; }

  result<channel> open(stream_socket& s, stream_target& t) override { return add(s, role::stream, &t); }
  result<channel> open(stream_socket& s, connect_target& t) override { return add(s, role::connect, &t); }
  result<channel> open(listener_socket& s, listener_target& t) override { return add(s, role::listener, &t); }
  result<channel> open(datagram_socket& s, datagram_target& t) override { return add(s, role::datagram, &t); }

  void close(channel which) noexcept override {
    auto s = find(which);
    if (!s)
      return;
    // Closing the descriptor alone would leave the registration in force while a duplicate of it is open.
    sys().epoll_ctl(poller_, EPOLL_CTL_DEL, s->fd, nullptr);
    free(*s);
  }

  void start_reading(channel which) noexcept override {
    auto s = find(which);
    if (!s || s->reading)
      return;
    s->reading = true;
    if (s->readable)
      go_on(*s);
  }

  void stop_reading(channel which) noexcept override {
    if (auto s = find(which))
      s->reading = false;
  }

  void send(channel which) noexcept override {
    if (auto s = find(which))
      send(*s);
  }

  void accept_more(channel which) noexcept override {
    auto s = find(which);
    if (!s || s->kind != role::listener)
      return;
    s->stopped = false;
    s->readable = true; // the kernel says at the next accept whether that is so
    go_on(*s);
  }

  void poll(std::optional<duration> wait_at_most, turns& loop) noexcept override;

  void wake() noexcept override {
    const std::uint64_t one = 1;
    // It fails only when the counter is full, and then the loop is being woken anyway; EINTR wrote nothing.
    while (sys().write(waker_, &one, sizeof one) < 0 && errno == EINTR) {
    }
  }

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
  void serve_later() noexcept;
  void fetch_ahead(std::span<const epoll_event> next) noexcept;
  void on_events(slot& s, std::uint32_t events) noexcept;
  void carry_on(slot& s) noexcept;
  void read_stream(slot& s) noexcept;
  void end_of_reading(slot& s, std::error_code cause) noexcept;
  void look_at_paused(slot& s) noexcept;
  void tell_hang_up(slot& s) noexcept;
  void send_stream(slot& s) noexcept;
  void stop_sending(slot& s, int number) noexcept;
  void connected(slot& s) noexcept;
  void accept(slot& s) noexcept;
  void receive_datagrams(slot& s) noexcept;
  void send_datagrams(slot& s) noexcept;
  bytes take_received(std::size_t size) noexcept;
  block& scratch() noexcept;

  int poller_ = -1;
  int waker_ = -1;
  slot_table slots_;
  std::vector<std::uint32_t> unused_;
  std::vector<channel> again_;   // channels with work left that no new edge announces
  std::vector<channel> serving_; // the batch of one of these that is being served
  std::vector<channel> later_;   // those to look at again without an event
  time_point later_at_{};
  block* scratch_ = nullptr; // what streams are read into; handed over whole when a read was large
  turns* loop_ = nullptr;    // during `poll`
};

result<channel> epoll_backend::add(socket& owned, role kind, void* target) {
  std::uint32_t index;
  if (unused_.empty()) {
    index = slots_.add();
  } else {
    index = unused_.back();
    unused_.pop_back();
  }
  auto& s = slots_[index];
  const auto generation = s.generation;
  s = slot{};
  s.which = static_cast<channel>(static_cast<std::uint64_t>(generation) << 32 | index);
  s.fd = owned.fd();
  s.generation = generation;
  s.owned = &owned;
  s.local = owned.transport() == transport::unix_stream || owned.transport() == transport::unix_datagram;
  s.target = target;
  s.kind = kind;
  // A fresh stream or datagram socket can be written; one that is connecting says so by its first edge.
  s.writable = kind == role::stream || kind == role::datagram;
  if (register_as(s, EPOLL_CTL_ADD) != 0) {
    const auto cause = from_errno(errno);
    free(s);
    return failure{make_error_code(cause)};
  }
  return s.which;
}

/// A Unix socket announces room whenever its peer has read anything (unix_write_space in the kernel), so there EPOLLOUT
/// is asked for only while it is needed.
int epoll_backend::register_as(slot& s, int operation) noexcept {
  epoll_event event{};
  event.events = EPOLLET | EPOLLIN | EPOLLPRI;
  if (s.kind == role::connect || (s.kind != role::listener && (!s.local || s.awaits_room)))
    event.events |= EPOLLOUT;
  if (s.kind == role::stream)
    event.events |= EPOLLRDHUP;
  event.data.u64 = static_cast<std::uint64_t>(s.which);
  return sys().epoll_ctl(poller_, operation, s.fd, &event);
}

/// There was no room to send. If there is by now, that is a new edge.
void epoll_backend::await_room(slot& s) noexcept {
  s.writable = false;
  if (!s.local || s.awaits_room)
    return;
  s.awaits_room = true;
  if (register_as(s, EPOLL_CTL_MOD) != 0) {
    s.awaits_room = false; // nobody will announce it
    try_again_soon(s);
  }
}

void epoll_backend::go_on(slot& s) noexcept {
  if (s.queued)
    return;
  s.queued = true;
  again_.push_back(s.which);
}

/// Enough was sent for one turn, and there may be more.
void epoll_backend::send_later(slot& s) noexcept {
  s.sending = false;
  s.send_on = true;
  go_on(s);
}

void epoll_backend::try_again_soon(slot& s) noexcept {
  if (s.starved)
    return;
  s.starved = true;
  look_later(s);
}

/// The peer of a Unix stream may have attached descriptors. The kernel drops them here, but ends a read at their place
/// (unix(7)), so that a short one need not have emptied the socket. Asking for that with each read (recvmsg) makes a
/// small message a tenth more expensive; instead a stream that has been quiet for a while is read once more.
void epoll_backend::may_be_cut(slot& s) noexcept {
  s.read_since = true;
  if (s.unsure)
    return;
  s.unsure = true;
  look_later(s);
}

void epoll_backend::look_later(slot& s) noexcept {
  if (later_.empty())
    later_at_ = monotonic_clock::instance().now() + look_again;
  later_.push_back(s.which);
}

void epoll_backend::serve_later() noexcept {
  if (later_.empty() || monotonic_clock::instance().now() < later_at_)
    return;
  serving_.swap(later_);
  for (const auto which : serving_) {
    auto s = find(which);
    if (s && s->starved) {
      s->starved = false;
      s->writable = true;
      send(*s);
      loop_->after_turn();
      s = find(which);
    }
    if (!s || !s->unsure)
      continue;
    if (s->read_since) {
      s->read_since = false;
      look_later(*s);
      continue;
    }
    s->unsure = false;
    s->readable = s->to_the_end = true;
    if (!s->queued)
      carry_on(*s);
  }
  serving_.clear();
}

void epoll_backend::poll(std::optional<duration> wait_at_most, turns& loop) noexcept {
  loop_ = &loop;
  int timeout_ms = -1;
  if (!later_.empty())
    wait_at_most = std::min<duration>(wait_at_most.value_or(look_again), look_again);
  if (wait_at_most)
    timeout_ms = static_cast<int>(
        std::clamp<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(*wait_at_most).count(), 0, 1 << 30));
  if (!again_.empty())
    timeout_ms = 0;
  std::array<epoll_event, events_per_wait> events;
  const auto count = sys().epoll_wait(poller_, events.data(), events_per_wait, timeout_ms);
  loop.on_awake(timeout_ms != 0);
  serve_later();
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    fetch_ahead({events.data() + i + 1, events.data() + count});
    if (event.data.u64 == 0) {
      std::uint64_t ignored;
      while (sys().read(waker_, &ignored, sizeof ignored) < 0 && errno == EINTR) {
      }
    } else if (auto s = find(static_cast<channel>(event.data.u64))) { // else closed earlier in this batch
      on_events(*s, event.events);
    }
  }
  serving_.swap(again_);
  for (const auto which : serving_)
    if (auto s = find(which)) {
      s->queued = false;
      carry_on(*s);
    }
  serving_.clear();
  loop_ = nullptr;
}

/// With many connections nearly everything that the next event needs has to come from far away.
void epoll_backend::fetch_ahead(std::span<const epoll_event> next) noexcept {
  constexpr int lines = 5;
  if (next.size() > 2)
    __builtin_prefetch(&slots_[index_of(static_cast<channel>(next[2].data.u64))]);
  if (next.empty())
    return;
  const auto target = static_cast<const char*>(slots_[index_of(static_cast<channel>(next[0].data.u64))].target);
  for (int i = 0; i < lines; ++i)
    __builtin_prefetch(target + i * 64);
}

void epoll_backend::on_events(slot& s, std::uint32_t events) noexcept {
  if (s.kind == role::connect) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
      connected(s);
    return;
  }
  const auto which = s.which;
  if ((events & EPOLLERR) != 0)
    s.failed = true;
  if ((events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP | EPOLLPRI)) != 0)
    s.to_the_end = true;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP | EPOLLPRI)) != 0)
    s.readable = true;
  // A Unix datagram that found no room announces room by being freed, so a starved channel listens to the time only.
  if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0 && !s.writable && !s.starved) {
    s.writable = true;
    if (s.awaits_room) {
      s.awaits_room = false;
      register_as(s, EPOLL_CTL_MOD); // if that fails there are only more edges than needed
    }
    send(s);
    loop_->after_turn();
  }
  if (s.which == which && s.readable && !s.queued)
    carry_on(s);
}

void epoll_backend::carry_on(slot& s) noexcept {
  if (s.send_on) {
    const auto which = s.which;
    s.send_on = false;
    send(s);
    loop_->after_turn();
    if (s.which != which)
      return;
  }
  if (!s.readable)
    return;
  switch (s.kind) {
  case role::stream: read_stream(s); break;
  case role::listener: accept(s); break;
  case role::datagram: receive_datagrams(s); break;
  case role::connect:
  case role::unused: break;
  }
}

void epoll_backend::send(slot& s) noexcept {
  if (!s.writable || s.sending || s.send_on || s.broken)
    return;
  if (s.kind == role::stream)
    send_stream(s);
  else if (s.kind == role::datagram)
    send_datagrams(s);
}

block& epoll_backend::scratch() noexcept {
  if (!scratch_)
    scratch_ = block::make(block_pool::read_bytes);
  return *scratch_;
}

bytes epoll_backend::take_received(std::size_t size) noexcept {
  if (size <= block_pool::copied_bytes_max)
    return bytes::copy(scratch_->data(), size);
  return {std::exchange(scratch_, nullptr), size};
}

void epoll_backend::read_stream(slot& s) noexcept {
  const auto which = s.which;
  for (int reads = 0; s.which == which; ++reads) {
    if (s.ended) { // the peer finished before; what is new can only be a reset
      s.readable = false;
      tell_hang_up(s);
      return;
    }
    if (!s.reading) {
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
      got = sys().recv(s.fd, buffer.data(), buffer.capacity, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
      // A read that does not fill the buffer has emptied the socket, and what comes later is a new edge; unless the
      // end was announced together with these bytes, or urgent data cut the read short.
      const auto more = static_cast<std::size_t>(got) == buffer.capacity || s.to_the_end;
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

/// One part, the usual case, costs less without a message header.
ssize_t send_parts(int to, std::span<iovec> parts) noexcept {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  ssize_t sent;
  do {
    sent = parts.size() == 1
               ? sys().sendto(to, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT, nullptr, 0)
               : sys().sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
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

void epoll_backend::connected(slot& s) noexcept {
  if (s.ended)
    return;
  const auto done = static_cast<stream_socket*>(s.owned)->finish_connect();
  if (!done && done.error() == errc::would_block)
    return; // a spurious edge: the handshake still goes on
  s.ended = true;
  target_of<connect_target>(s).on_connected(done ? std::error_code{} : done.error());
  loop_->after_turn();
}

/// Whether accept(2) failed for good or for want of something, and not because of the connection it took from the
/// backlog. Anything that Linux does not list there counts as the connection's: a run of those is bounded anyway.
bool stops_accepting(std::error_code cause) noexcept {
  return cause == errc::too_many_open_files || cause == errc::out_of_memory || cause == errc::bad_descriptor ||
         cause == errc::invalid_argument;
}

void epoll_backend::accept(slot& s) noexcept {
  const auto which = s.which;
  auto& target = target_of<listener_target>(s);
  for (int accepts = 0; s.which == which && s.readable && !s.stopped; ++accepts) {
    if (accepts == accepts_per_turn) {
      go_on(s);
      return;
    }
    s.stopped = true; // unless it is wanted; `accept_more` may be called from any of the callbacks
    if (!target.wants_connection() || s.which != which)
      return;
    s.stopped = false;
    auto got = static_cast<listener_socket*>(s.owned)->accept();
    if (got) {
      s.aborted_in_a_row = 0;
      target.on_accepted(std::move(*got));
    } else if (got.error() == errc::would_block) {
      s.readable = false;
      target.on_accept_failed(got.error());
    } else if (!stops_accepting(got.error()) && s.aborted_in_a_row < aborted_in_a_row_max) {
      ++s.aborted_in_a_row;
      target.on_accept_failed(errc::connection_aborted);
    } else {
      s.aborted_in_a_row = 0;
      s.stopped = true;
      // As `connection_aborted` it would say that accepting goes on.
      target.on_accept_failed(got.error() == errc::connection_aborted ? make_error_code(errc::other) : got.error());
    }
    loop_->after_turn();
  }
}

void epoll_backend::receive_datagrams(slot& s) noexcept {
  const auto which = s.which;
  auto& target = target_of<datagram_target>(s);
  int errors = 0;
  int in_a_row = 0; // whose turn has not ended
  const auto end_turn = [&] {
    if (std::exchange(in_a_row, 0) > 0)
      loop_->after_turn();
  };
  for (int count = 0; s.which == which && s.reading && s.readable; ++count) {
    if (count == datagrams_per_turn) {
      if (errors == count) // the kernel tells an error once, so this one is of another kind: wait for an edge
        s.readable = false;
      else
        go_on(s);
      break;
    }
    auto& buffer = scratch();
    auto got = static_cast<datagram_socket*>(s.owned)->receive({buffer.data(), buffer.capacity});
    if (got) {
      ++in_a_row;
      if (!target.on_datagram(take_received(got->size), *got) || in_a_row == datagrams_in_a_row)
        end_turn();
    } else if (got.error() == errc::would_block) {
      s.readable = false;
      break;
    } else {
      ++errors;
      ++in_a_row;
      target.on_receive_error(got.error());
      end_turn();
    }
  }
  end_turn();
}

void epoll_backend::send_datagrams(slot& s) noexcept {
  const auto which = s.which;
  auto& target = target_of<datagram_target>(s);
  s.sending = true;
  for (std::size_t sends = 0; sends < datagrams_per_turn;) {
    std::array<outgoing_datagram, datagram_socket::sent_at_once_max> all;
    const std::span next{all.data(), target.gather(all)};
    if (s.which != which)
      return;
    if (next.empty()) {
      s.sending = false;
      return;
    }
    auto sent = static_cast<datagram_socket*>(s.owned)->send(next);
    if (!sent && sent.error() == errc::connection_refused && !s.local) {
      // An earlier datagram was refused; the kernel says so here, once, and has not sent this one.
      target.on_receive_error(sent.error());
      if (s.which != which)
        return;
      sent = static_cast<datagram_socket*>(s.owned)->send(next);
    }
    if (!sent && sent.error() == errc::would_block) {
      const bool announced = !s.local || next.front().to == nullptr; // only where the socket is connected to
      const bool put_aside = !announced && target.on_receiver_full();
      if (s.which != which)
        return;
      if (put_aside) {
        ++sends;
        continue;
      }
      s.sending = false;
      s.writable = false;
      if (announced)
        await_room(s);
      else
        try_again_soon(s);
      return;
    }
    const auto done = sent ? *sent : 1;
    for (std::size_t i = 0; i < done; ++i) {
      target.on_datagram_sent(sent ? std::error_code{} : sent.error());
      if (s.which != which)
        return;
    }
    sends += done;
  }
  send_later(s);
}

} // namespace

result<std::unique_ptr<backend>> make_epoll_backend() {
  auto made = std::make_unique<epoll_backend>();
  if (auto cause = made->start())
    return failure{cause};
  return std::unique_ptr<backend>{std::move(made)};
}

} // namespace actnet::net
