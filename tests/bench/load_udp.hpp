// The UDP modes of the load generator: udp (ping-pong) and udpblast (a flood).
#pragma once

#include <linux/sock_diag.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "load_meter.hpp"
#include "load_support.hpp"

namespace actnet::bench {

/// Room for a datagram of the flood; no mode sends a larger one.
inline constexpr int datagram_bytes_max = 2048;

/// One client of the ping-pong: `depth` datagrams on their way, each with its number and the time it was sent.
class udp_client {
  struct stamp {
    std::uint64_t number;
    steady::time_point sent_at;
  };

 public:
  static constexpr int size_min = sizeof(stamp);

  udp_client(const options& chosen, unsigned index)
      : socket_(connect_to(chosen.port, SOCK_DGRAM, index)), datagram_(static_cast<std::size_t>(chosen.size)) {
    fill(chosen.depth);
  }

  const descriptor& socket() const noexcept { return socket_; }
  steady::time_point last_heard() const noexcept { return last_heard_; }

  /// Starts over: whatever was on its way is given up. Answers that come later all the same are ignored.
  void fill(int depth) {
    oldest_ = next_;
    last_heard_ = steady::now();
    for (int i = 0; i < depth; ++i)
      send();
  }

  /// Takes one answer, if there is one, and sends the next datagram.
  void handle(meter& measured) {
    const auto buffer = scratch();
    const auto count = ::recv(socket_.number(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EAGAIN)
      return;
    if (count != static_cast<ssize_t>(datagram_.size()))
      return measured.failed();
    stamp answered;
    std::memcpy(&answered, buffer.data(), sizeof answered);
    if (answered.number < oldest_)
      return;
    last_heard_ = steady::now();
    measured.completed(1);
    measured.took(last_heard_ - answered.sent_at);
    send();
  }

 private:
  // A datagram the kernel does not take is like one that is lost.
  void send() {
    const stamp sent{next_++, steady::now()};
    std::memcpy(datagram_.data(), &sent, sizeof sent);
    ::send(socket_.number(), datagram_.data(), datagram_.size(), 0);
  }

  descriptor socket_;
  std::vector<char> datagram_;
  std::uint64_t next_ = 0;
  std::uint64_t oldest_ = 0;
  steady::time_point last_heard_;
};

/// Ping-pong. A client that hears nothing for 200 ms starts over.
inline void run_udp(const options& chosen, report& out) {
  meter measured(chosen);
  poller events(chosen.spin);
  std::vector<udp_client> clients;
  for (int i = 0; i < chosen.connections; ++i) {
    clients.emplace_back(chosen, static_cast<unsigned>(i));
    events.add(clients.back().socket(), EPOLLIN, static_cast<std::size_t>(i));
  }
  const std::chrono::milliseconds patience(200);
  int restarts = 0;
  auto next_look = steady::now();
  const auto step = [&] {
    for (const auto& event : events.wait())
      clients[event.data.u64].handle(measured);
    if (const auto time = steady::now(); time >= next_look) {
      next_look = time + patience / 4;
      for (auto& client : clients)
        if (time - client.last_heard() > patience) {
          ++restarts;
          client.fill(chosen.depth);
        }
    }
  };
  measured.warm_up(step);
  measured.measure(step);
  measured.describe(out);
  out.add("restarts", restarts);
}

/// `count` datagrams for one sendmmsg or recvmmsg.
class datagram_batch {
 public:
  datagram_batch(std::size_t count, std::size_t size) : memory_(count * size), parts_(count), headers_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      parts_[i] = {memory_.data() + i * size, size};
      headers_[i].msg_hdr.msg_iov = &parts_[i];
      headers_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  std::uint64_t send(const descriptor& socket) {
    return moved(::sendmmsg(socket.number(), headers_.data(), size(), 0));
  }
  std::uint64_t receive(const descriptor& socket) {
    return moved(::recvmmsg(socket.number(), headers_.data(), size(), 0, nullptr));
  }
  unsigned size() const noexcept { return static_cast<unsigned>(headers_.size()); }

 private:
  static std::uint64_t moved(int count) { return count > 0 ? static_cast<std::uint64_t>(count) : 0; }

  std::vector<char> memory_;
  std::vector<iovec> parts_;
  std::vector<mmsghdr> headers_;
};

/// How many datagrams this socket's full receive queue has dropped so far.
inline std::uint32_t dropped_by(const descriptor& socket) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t size = sizeof memory;
  if (::getsockopt(socket.number(), SOL_SOCKET, SO_MEMINFO, memory.data(), &size) != 0)
    fail("SO_MEMINFO");
  return memory[SK_MEMINFO_DROPS];
}

/// Sends as fast as it can; the kernel drops what the server cannot take. An operation is an echo the server sent, so
/// one that found our own queue full counts too. The server's memory is looked at all the time.
inline void run_udpblast(const options& chosen, report& out) {
  constexpr std::size_t batch = 64;
  meter measured(chosen);
  const auto socket = connect_to(chosen.port, SOCK_DGRAM, 0);
  datagram_batch sending(batch, static_cast<std::size_t>(chosen.size)), receiving(batch, datagram_bytes_max);
  std::uint64_t sent = 0;
  auto dropped = dropped_by(socket);
  const auto rss_before = chosen.server != 0 ? rss_kib(chosen.server) : 0;
  auto rss_most = rss_before;
  auto next_look = steady::now();
  const auto step = [&] {
    sent += sending.send(socket);
    // Twice what was sent is enough to catch up, and cannot go on for ever.
    for (int i = 0; i < 2; ++i) {
      const auto count = receiving.receive(socket);
      measured.completed(count);
      if (count < batch)
        break;
    }
    const auto now_dropped = dropped_by(socket);
    measured.completed(now_dropped - std::exchange(dropped, now_dropped));
    if (const auto time = steady::now(); chosen.server != 0 && time >= next_look) {
      next_look = time + std::chrono::milliseconds(20);
      rss_most = std::max(rss_most, rss_kib(chosen.server));
    }
  };
  measured.warm_up(step);
  sent = 0;
  measured.measure(step);
  measured.describe(out);
  out.add("sent_per_second", static_cast<double>(sent) / measured.elapsed().count());
  out.add("rss_growth_bytes", static_cast<double>(rss_most - rss_before) * 1024);
}

} // namespace actnet::bench
