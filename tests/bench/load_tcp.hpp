// The stream modes of the load generator, over TCP or Unix sockets: echo, stream, churn, idle, rounds.
#pragma once

#include <poll.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "load_meter.hpp"
#include "load_support.hpp"
#include "server_sample.hpp"

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

  /// For who must have sent everything when `request` returns: a socket on its way takes nothing yet.
  void await_connected() const {
    pollfd waiting{socket_.number(), POLLOUT, 0};
    if (::poll(&waiting, 1, 10'000) != 1)
      fail("connect");
  }

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

/// Reads until the `silent` clients that have not received `goal` bytes have.
inline void hear_all(std::vector<stream_client>& clients, poller& events, meter& measured, std::uint64_t goal,
                     int& silent) {
  const auto step = [&] {
    for (const auto& event : events.wait()) {
      auto& client = clients[event.data.u64];
      const bool had_all = client.received() == goal;
      if (!client.handle(event.events)) {
        measured.failed();
        client.close();
      } else if (!had_all && client.received() == goal) {
        --silent;
      }
    }
  };
  measured.hear(step, silent);
}

/// Opens all connections, each with one echo, and nothing else meanwhile. A few hundred at a time: more would overflow
/// the server's backlog and wait for their next SYN.
inline std::vector<stream_client> open_connections(const options& chosen, poller& events, meter& measured) {
  constexpr int lot = 256;
  std::vector<stream_client> clients;
  const auto size = static_cast<std::uint64_t>(chosen.size);
  int silent = 0;
  for (int i = 0; i < chosen.connections; ++i) {
    clients.emplace_back(chosen, static_cast<unsigned>(i));
    events.add(clients.back().socket(), stream_client::events, static_cast<std::size_t>(i));
    clients.back().request(size);
    if (++silent == lot || i + 1 == chosen.connections)
      hear_all(clients, events, measured, size, silent);
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

/// Rounds in lock step, so that what a server does for each is always the same, however slow it runs and whatever else
/// the machine does. The server stands still while every connection sends, then finds all the requests at once, and
/// nothing follows before it sleeps again. A proxy and its upstream go on in turn. To go on after a stop costs a server
/// something too (its wait ends with EINTR): `empty` rounds stop it as often but send nothing, so that two runs of as
/// many rounds, more or fewer of them empty, differ by the requests alone. A single request comes at once without a
/// stop.
inline void run_rounds(const options& chosen, report& out) {
  meter measured(chosen);
  poller events(false);
  std::vector<stream_client> clients;
  std::uint64_t goal = 0;
  const auto request = static_cast<std::uint64_t>(chosen.size) * static_cast<std::uint64_t>(chosen.depth);
  const auto open_all = [&] {
    goal = 0;
    for (int i = 0; i < chosen.connections; ++i) {
      clients.emplace_back(chosen, static_cast<unsigned>(i));
      events.add(clients.back().socket(), stream_client::events, static_cast<std::size_t>(i));
      clients.back().await_connected();
    }
  };
  const auto send_all = [&] {
    if (clients.empty())
      open_all();
    goal += request;
    for (auto& client : clients)
      if (!client.request(request))
        measured.failed();
  };
  const bool single = chosen.connections == 1 && !chosen.fresh && chosen.upstream == 0;
  const auto stop_and_go = [&](auto meanwhile) {
    if (single) {
      meanwhile();
      return await_rest(chosen.server);
    }
    freeze(chosen.server);
    if (chosen.upstream != 0)
      freeze(chosen.upstream);
    meanwhile();
    thaw(chosen.server);
    if (chosen.upstream != 0) {
      freeze(chosen.server);
      thaw(chosen.upstream);
      thaw(chosen.server);
    }
  };
  await_rest(chosen.server);
  for (int i = 0; i < chosen.rounds + chosen.empty; ++i) {
    const bool filled = i < chosen.rounds;
    stop_and_go([&] {
      if (filled)
        send_all();
    });
    if (filled) {
      int silent = chosen.connections;
      hear_all(clients, events, measured, goal, silent);
    }
    if (chosen.fresh)
      stop_and_go([&] { clients.clear(); });
  }
  for (auto& client : clients) { // not all of them when this process ends: the server's threads would meet by chance
    client.close();
    await_rest(chosen.server);
    if (chosen.upstream != 0) {
      await_rest(chosen.upstream);
      await_rest(chosen.server);
    }
  }
  out.add("errors", static_cast<double>(measured.errors()));
  out.add("operations", static_cast<double>(chosen.rounds) * chosen.connections * chosen.depth);
}

} // namespace actnet::bench
