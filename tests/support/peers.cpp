#include "support/peers.hpp"

#include "support/position_stream.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace actnet::test {

namespace {

// Whether `stop` was signalled within `interval`.
bool stops_within(const descriptor& stop, std::chrono::milliseconds interval) {
  pollfd waiting = {stop.fd(), POLLIN, 0};
  return ::poll(&waiting, 1, static_cast<int>(interval.count())) > 0;
}

// Whether `stop` was signalled before `fd` became ready for `events`.
bool stops_before(const descriptor& stop, int fd, short events) {
  std::array<pollfd, 2> waiting = {{{stop.fd(), POLLIN, 0}, {fd, events, 0}}};
  ::poll(waiting.data(), waiting.size(), -1);
  return waiting[0].revents != 0;
}

void join(std::thread& thread, const descriptor& stop) {
  ::eventfd_write(stop.fd(), 1);
  if (thread.joinable())
    thread.join();
}

} // namespace

half_closing_peer::half_closing_peer(std::uint16_t port, std::string_view last_words, peer_options options)
    : peer(port, options) {
  send_all(last_words);
  finish();
}

resetting_peer::resetting_peer(std::uint16_t port, std::string_view last_words, peer_options options)
    : peer(port, options) {
  send_all(last_words);
}

resetting_peer::~resetting_peer() {
  if (fd() >= 0)
    reset();
}

void resetting_peer::reset_after(std::size_t bytes) {
  read_exactly(bytes);
  reset();
}

silent_peer::silent_peer(std::uint16_t port, peer_options options) : peer(port, options) {}

// -- slow_reader --------------------------------------------------------------------------------------------------

slow_reader::slow_reader(peer from, slow_reader_options options)
    : peer_(std::move(from)), options_(options), stop_(::eventfd(0, EFD_CLOEXEC)), thread_([this] { run(); }) {}

slow_reader::~slow_reader() {
  stop();
}

std::string slow_reader::received() const {
  std::lock_guard lock(mutex_);
  return received_;
}

std::optional<ending> slow_reader::ended() const {
  std::lock_guard lock(mutex_);
  return ended_;
}

peer& slow_reader::stop() {
  join(thread_, stop_);
  return peer_;
}

void slow_reader::run() {
  std::string buffer(options_.bytes_per_step, '\0');
  for (std::size_t have = 0; have < options_.bytes_max;) {
    if (stops_within(stop_, options_.interval) || stops_before(stop_, peer_.fd(), POLLIN))
      return;
    const auto wanted = std::min(buffer.size(), options_.bytes_max - have);
    const auto done = ::recv(peer_.fd(), buffer.data(), wanted, MSG_DONTWAIT);
    if (done < 0 && (errno == EAGAIN || errno == EINTR))
      continue;
    std::lock_guard lock(mutex_);
    if (done <= 0) {
      ended_ = done == 0 ? ending::finished : ending::reset;
      return;
    }
    received_.append(buffer.data(), static_cast<std::size_t>(done));
    have += static_cast<std::size_t>(done);
  }
}

// -- flooding_peer ------------------------------------------------------------------------------------------------

flooding_peer::flooding_peer(peer to, std::uint64_t seed, std::uint64_t bytes_max)
    : peer_(std::move(to)),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this, seed, bytes_max] { run(seed, bytes_max); }) {}

flooding_peer::~flooding_peer() {
  stop();
}

std::uint64_t flooding_peer::bytes_sent() const {
  std::lock_guard lock(mutex_);
  return bytes_sent_;
}

bool flooding_peer::was_refused() const {
  std::lock_guard lock(mutex_);
  return was_refused_;
}

peer& flooding_peer::stop() {
  join(thread_, stop_);
  return peer_;
}

void flooding_peer::run(std::uint64_t seed, std::uint64_t bytes_max) {
  const position_stream stream(seed);
  std::array<std::byte, 16'384> buffer;
  for (std::uint64_t sent = 0; sent < bytes_max && !stops_before(stop_, peer_.fd(), POLLOUT);) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), bytes_max - sent));
    stream.fill(std::span(buffer).first(size), sent);
    const auto done = ::send(peer_.fd(), buffer.data(), size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done < 0 && (errno == EAGAIN || errno == EINTR))
      continue;
    std::lock_guard lock(mutex_);
    if (done < 0) {
      was_refused_ = true;
      return;
    }
    sent += static_cast<std::uint64_t>(done);
    bytes_sent_ = sent;
  }
}

} // namespace actnet::test
