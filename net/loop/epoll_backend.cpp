#include "actnet/net/loop/epoll_backend.hpp"

#include "actnet/net/socket/system_calls.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

namespace actnet::net {

namespace {

constexpr int events_per_wait = 256;

/// When to look again at what no readiness announces, up to three times this time: the kernel has no buffers for
/// sending just now (ENOBUFS); the queue of a Unix receiver that we are not connected to is full; a read of a Unix
/// stream may have been cut.
constexpr std::chrono::milliseconds look_again{5};

} // namespace

epoll_backend::~epoll_backend() {
  if (scratch_)
    scratch_->release();
  for (const auto fd : {waker_, poller_})
    if (fd >= 0)
      sys().close(fd);
}

std::error_code epoll_backend::start() {
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

void epoll_backend::close(channel which) noexcept {
  auto s = find(which);
  if (!s)
    return;
  // Closing the descriptor alone would leave the registration in force while a duplicate of it is open.
  sys().epoll_ctl(poller_, EPOLL_CTL_DEL, s->fd, nullptr);
  free(*s);
}

void epoll_backend::start_reading(channel which) noexcept {
  auto s = find(which);
  if (!s || s->reading)
    return;
  s->reading = true;
  if (s->readable)
    go_on(*s);
}

void epoll_backend::stop_reading(channel which) noexcept {
  if (auto s = find(which))
    s->reading = false;
}

void epoll_backend::send(channel which) noexcept {
  if (auto s = find(which))
    send(*s);
}

void epoll_backend::accept_more(channel which) noexcept {
  auto s = find(which);
  if (!s || s->kind != role::listener)
    return;
  s->stopped = false;
  s->readable = true; // the kernel says at the next accept whether that is so
  go_on(*s);
}

void epoll_backend::wake() noexcept {
  const std::uint64_t one = 1;
  // It fails only when the counter is full, and then the loop is being woken anyway; EINTR wrote nothing.
  while (sys().write(waker_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

/// What is ready is told in turn: what becomes so from now on comes after what is ready now (epoll_wait(2): "round
/// robin").
void epoll_backend::begin_round() noexcept {
  not_heard_ = slots_.size() - unused_.size();
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
    later_at_ = monotonic_clock::instance().coarse_now() + look_again;
  later_.push_back(s.which);
}

/// `waited`: the poll took as long as that by itself; the coarse clock, whose ticks can be longer, may not show it yet.
void epoll_backend::serve_later(bool waited) noexcept {
  if (later_.empty() || (!waited && monotonic_clock::instance().coarse_now() < later_at_))
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
  if (count >= 0) // else it was interrupted, and nothing was asked
    not_heard_ = count < events_per_wait ? 0 : not_heard_ - std::min<std::size_t>(not_heard_, events_per_wait);
  serve_later(count == 0 && timeout_ms >= look_again.count());
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
  if ((events & ~(s.writable ? EPOLLOUT : 0u)) == EPOLLIN && s.kind == role::stream && !s.send_on && !s.queued) {
    s.readable = true;
    read_stream(s);
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

result<std::unique_ptr<backend>> make_epoll_backend() {
  auto made = std::make_unique<epoll_backend>();
  if (auto cause = made->start())
    return failure{cause};
  return std::unique_ptr<backend>{std::move(made)};
}

} // namespace actnet::net
