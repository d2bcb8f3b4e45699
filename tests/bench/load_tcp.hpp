// The stream modes of the load generator, over TCP or Unix sockets: echo, stream, churn, idle.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "load_meter.hpp"
#include "load_support.hpp"

namespace actnet::bench {

/// One connection and how far it is. The payload's offset in the pattern differs from one to the next.
class stream_client {
 public:
  static constexpr std::uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

  stream_client(const options& chosen, unsigned index)
      : socket_(connect_stream(chosen, index)), offset_(index * 7919ull) {}

  const descriptor& socket() const noexcept { return socket_; }
  std::uint64_t received() const noexcept { return received_; }
  void close() noexcept { socket_.close(); }

  /// Sends as much as the socket takes and the rest on later events. False: the connection is broken.
  bool request(std::uint64_t bytes) {
    wanted_ += bytes;
    return send();
  }

  /// Sends what is left, then reads what is there. False: broken, ended, or a wrong echo.
  bool handle(std::uint32_t happened) {
    if (happened & (EPOLLERR | EPOLLHUP))
      return false;
    return (!(happened & EPOLLOUT) || send()) && (!(happened & (EPOLLIN | EPOLLRDHUP)) || receive());
  }

 private:
  bool send() {
    while (sent_ < wanted_) {
      const auto size = std::min<std::uint64_t>(wanted_ - sent_, chunk_bytes);
      const auto taken = ::send(socket_.number(), payload_at(offset_ + sent_), size, MSG_NOSIGNAL);
      if (taken < 0)
        return errno == EAGAIN;
      sent_ += static_cast<std::uint64_t>(taken);
    }
    return true;
  }

  // A short read empties the socket, so the next edge is not missed. Of each read the first 256 bytes are compared:
  // enough to notice a shift, cheap enough not to slow the client down.
  bool receive() {
    const auto buffer = scratch();
    for (;;) {
      const auto count = ::recv(socket_.number(), buffer.data(), buffer.size(), 0);
      if (count < 0)
        return errno == EAGAIN;
      const auto size = static_cast<std::size_t>(count);
      if (size == 0 ||
          std::memcmp(buffer.data(), payload_at(offset_ + received_), std::min<std::size_t>(size, 256)) != 0)
        return false;
      received_ += size;
      if (size < buffer.size())
        return true;
    }
  }

  descriptor socket_;
  std::uint64_t offset_;
  std::uint64_t wanted_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
};

/// Opens all connections, each with one echo, and nothing else meanwhile. A few hundred at a time: more would overflow
/// the server's backlog and wait for their next SYN.
inline std::vector<stream_client> open_connections(const options& chosen, poller& events, meter& measured) {
  constexpr int lot = 256;
  std::vector<stream_client> clients;
  const auto size = static_cast<std::uint64_t>(chosen.size);
  int silent = 0;
  const auto step = [&] {
    for (const auto& event : events.wait()) {
      auto& client = clients[event.data.u64];
      const bool had_all = client.received() == size;
      if (!client.handle(event.events)) {
        measured.failed();
        client.close();
      } else if (!had_all && client.received() == size) {
        --silent;
      }
    }
  };
  for (int i = 0; i < chosen.connections; ++i) {
    clients.emplace_back(chosen, static_cast<unsigned>(i));
    events.add(clients.back().socket(), stream_client::events, static_cast<std::size_t>(i));
    clients.back().request(size);
    if (++silent == lot || i + 1 == chosen.connections)
      measured.hear(step, silent);
  }
  return clients;
}

/// Keeps `in_flight_bytes` on their way per connection. `answered(index, before, now)` runs after a read, with the
/// bytes received before and after it, and returns how many bytes to send next.
template <class Answered>
void run_connections(const options& chosen, meter& measured, std::uint64_t in_flight_bytes, Answered answered) {
  poller events(chosen.spin);
  auto clients = open_connections(chosen, events, measured);
  const auto step = [&] {
    for (const auto& event : events.wait()) {
      auto& client = clients[event.data.u64];
      const auto before = client.received();
      bool good = client.handle(event.events);
      if (good && client.received() > before)
        good = client.request(answered(event.data.u64, before, client.received()));
      if (!good) {
        measured.failed();
        client.close();
      }
    }
  };
  for (auto& client : clients)
    client.request(in_flight_bytes);
  measured.warm_up(step);
  measured.measure(step);
}

/// Requests of one size, `depth` in flight per connection; an answer is followed by the next request at once.
inline void run_echo(const options& chosen, report& out) {
  meter measured(chosen);
  const auto size = static_cast<std::uint64_t>(chosen.size);
  const auto depth = static_cast<std::size_t>(chosen.depth);
  // Of each connection: when its last `depth` requests were sent; answers come in that order.
  std::vector<steady::time_point> sent_at(static_cast<std::size_t>(chosen.connections) * depth, steady::now());
  run_connections(chosen, measured, size * depth, [&](std::size_t index, std::uint64_t before, std::uint64_t now) {
    const auto first = before / size, last = now / size;
    const auto time = steady::now();
    for (auto i = first; i < last; ++i)
      measured.took(time - std::exchange(sent_at[index * depth + i % depth], time));
    measured.completed(last - first);
    return (last - first) * size;
  });
  measured.describe(out);
}

/// A stream without requests, 1 MiB of it on its way per connection. An operation is a byte.
inline void run_stream(const options& chosen, report& out) {
  meter measured(chosen);
  run_connections(chosen, measured, 1 << 20, [&](std::size_t, std::uint64_t before, std::uint64_t now) {
    measured.completed(now - before);
    return now - before;
  });
  measured.describe(out);
}

/// Connect, one request, one answer, close; `connections` of them at a time.
inline void run_churn(const options& chosen, report& out) {
  meter measured(chosen);
  poller events(chosen.spin);
  auto clients = open_connections(chosen, events, measured);
  const auto size = static_cast<std::uint64_t>(chosen.size);
  std::vector<steady::time_point> started(clients.size());
  auto made = static_cast<unsigned>(chosen.connections);
  const auto start_over = [&](std::size_t index) {
    auto& client = clients[index];
    client.close();
    client = stream_client(chosen, made++);
    events.add(client.socket(), stream_client::events, index);
    client.request(size);
    started[index] = steady::now();
  };
  const auto step = [&] {
    for (const auto& event : events.wait()) {
      const auto index = event.data.u64;
      auto& client = clients[index];
      const bool good = client.handle(event.events);
      if (good && client.received() < size)
        continue;
      if (good) {
        measured.completed(1);
        measured.took(steady::now() - started[index]);
      } else {
        measured.failed();
      }
      start_over(index);
    }
  };
  for (std::size_t i = 0; i < clients.size(); ++i)
    start_over(i);
  measured.warm_up(step);
  measured.measure(step);
  measured.describe(out);
}

/// Opens `connections`, one echo on each, then nothing: what the server's process holds and does meanwhile.
inline void run_idle(const options& chosen, report& out) {
  const auto before = own_memory_kib(chosen.server);
  meter opened(chosen);
  poller events(false);
  const auto clients = open_connections(chosen, events, opened);
  std::this_thread::sleep_for(chosen.warm_up); // The server finishes what it does after an answer.
  const auto open = own_memory_kib(chosen.server);
  const auto switches = voluntary_switches(chosen.server);
  const auto cpu = cpu_time(chosen.server);
  std::this_thread::sleep_for(chosen.measured);
  const std::chrono::duration<double, std::micro> idle_cpu = cpu_time(chosen.server) - cpu;
  out.add("errors", static_cast<double>(opened.errors()));
  out.add("memory_bytes", static_cast<double>(open - before) * 1024 / chosen.connections);
  out.add("idle_cpu_us", idle_cpu.count() / chosen.measured.count());
  out.add("idle_switches", static_cast<double>(voluntary_switches(chosen.server) - switches) / chosen.measured.count());
}

} // namespace actnet::bench
