// A datagram socket with gudp's operations, for both dialects. `Way` as in gtcp_conn.hpp.
#pragma once

#include "actnet/actors/sequential/basic_stream.hpp"
#include "actnet/actors/sequential/gtcp.hpp"

#include <optional>
#include <string_view>
#include <utility>

namespace actnet::sequential::gudp {

using gtcp::attempts;
using gtcp::retry;

constexpr std::size_t recv_buffer_bytes = 1024;

/// Where a client of `remote` is bound if it does not say: any address and port of that family, or a Unix name that the
/// kernel chooses.
net::endpoint any_local(const net::endpoint& remote);

/// A datagram socket: a client's, which is connected, or a server's. What its operations give back is the dialect's.
/// One call at a time, and it outlives its calls. It is closed when it goes.
///
/// A timeout counts for each attempt, and replaces the socket's own deadline for that call only. Without either, a
/// datagram that is lost on its way is waited for without end.
template <class Way>
class basic_conn {
  template <class T>
  using task = typename Way::template task<result<T>>;
  using timeout = std::optional<net::duration>;

 public:
  using socket = basic_datagram_socket<typename Way::dialect>;

  basic_conn() = default;
  /// Takes over a bound socket.
  explicit basic_conn(socket bound) noexcept : socket_(std::move(bound)) {}

  /// A client of a UDP or Unix datagram endpoint (a text without a scheme means UDP), and perhaps where it is bound;
  /// what else it takes is the dialect's.
  template <class... Args>
  static auto connect(Args&&... args) {
    return Way::connect(std::forward<Args>(args)...);
  }

  explicit operator bool() const noexcept { return static_cast<bool>(socket_); }

  /// One datagram to the peer of a client; done when the kernel has it.
  auto send(net::bytes data, retry again = {}) { return sending(std::move(data), {}, again); }
  auto send(std::string_view data, retry again = {}) { return send(net::bytes::copy(data), again); }
  /// Of a server: to whom `recv` brought one from.
  auto send_to(net::bytes data, net::endpoint to, retry again = {}) {
    return sending(std::move(data), std::move(to), again);
  }
  auto send_to(std::string_view data, net::endpoint to, retry again = {}) {
    return send_to(net::bytes::copy(data), std::move(to), again);
  }

  /// The next datagram, and who sent it; of a longer one than `max` bytes the rest is lost, and `truncated` says so.
  auto recv(std::size_t max = recv_buffer_bytes, retry again = {}) { return receiving(max, again, {}); }
  auto recv_with_timeout(std::size_t max, net::timeout within, retry again = {}) {
    return receiving(max, again, within);
  }

  /// `send`, then the payload of `recv`. A retry waits again, and does not send again.
  auto send_recv(std::string_view data, std::size_t max = recv_buffer_bytes, retry again = {}) {
    return exchanging(net::bytes::copy(data), max, again, {});
  }
  auto send_recv_with_timeout(std::string_view data, std::size_t max, net::timeout within, retry again = {}) {
    return exchanging(net::bytes::copy(data), max, again, within);
  }

  // To receive; to send does not wait. A point in time by the loop's clock, until it is set anew.
  void set_deadline(net::time_point at) noexcept { socket_.set_deadline(at); }
  void set_recv_deadline(net::time_point at) noexcept { socket_.set_read_deadline(at); }
  void reset_deadline() noexcept { socket_.reset_deadline(); }

  auto close() { return socket_.close(); }
  const net::endpoint& local_endpoint() const noexcept { return socket_.local_endpoint(); }
  /// All else that can be done with it.
  socket& as_socket() noexcept { return socket_; }

 private:
  auto sending(net::bytes data, std::optional<net::endpoint> to, const retry& again) {
    return Way::outcome(transmit(std::move(data), std::move(to), attempts{again, {}}));
  }
  auto receiving(std::size_t max, const retry& again, timeout each) {
    return Way::outcome(receive(max, attempts{again, each}));
  }
  auto exchanging(net::bytes data, std::size_t max, const retry& again, timeout each) {
    return Way::outcome(exchange(std::move(data), max, attempts{again, each}));
  }

  /// Apart: g++ 12 destroys what a conditional makes twice when that is awaited.
  auto put(const net::bytes& data, const std::optional<net::endpoint>& to) {
    return to ? socket_.send_to(data, *to) : socket_.write(data);
  }
  task<void> transmit(net::bytes data, std::optional<net::endpoint> to, attempts tries) {
    for (;;) {
      auto done = co_await put(data, to);
      if (done || !tries.another(done.error()))
        co_return done;
      (void)co_await Way::sleep(tries.interval());
    }
  }

  task<received_datagram> receive(std::size_t max, attempts tries) {
    for (;;) {
      tries.begin(socket_.now());
      auto got = co_await socket_.receive_from(max, tries.limit());
      if (got || !tries.another(got.error()))
        co_return got;
      (void)co_await Way::sleep(tries.interval());
    }
  }

  task<net::bytes> exchange(net::bytes data, std::size_t max, attempts tries) {
    auto sent = co_await transmit(std::move(data), {}, tries);
    if (!sent)
      co_return failed(sent.error());
    auto got = co_await receive(max, tries);
    if (!got)
      co_return failed(got.error());
    co_return std::move(got->payload);
  }

  socket socket_;
};

} // namespace actnet::sequential::gudp
