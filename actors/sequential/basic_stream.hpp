// Streams, servers and datagram sockets as the sequential dialects have them. What a member function returns is the
// dialect's: `result<T>` where it blocks, something to `co_await` for a `result<T>` in a coroutine.
#pragma once

#include "actnet/actors/sequential/adopt_operation.hpp"
#include "actnet/actors/sequential/connect_operation.hpp"
#include "actnet/actors/sequential/datagram_owner.hpp"
#include "actnet/actors/sequential/server_owner.hpp"
#include "actnet/actors/sequential/stream_operations.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace actnet::sequential {

constexpr std::size_t line_max = 64 * 1024;
constexpr std::size_t quiet_max = 64 << 20;

/// What all of a dialect's sockets have: deadlines for their operations, as points in time. Data that is there is never
/// too late, nor is what need not wait.
class deadlines {
 public:
  deadlines() = default;
  explicit deadlines(loop_host& home) noexcept : time_(&home.loop().time()) {}

  /// For reads, and accepts.
  void set_read_deadline(net::time_point at) noexcept { read_ = at; }
  void set_write_deadline(net::time_point at) noexcept { write_ = at; }
  /// For all later operations: they end with `timed_out` once this time has come, until `reset_deadline`.
  void set_deadline(net::time_point at) noexcept { read_ = write_ = at; }
  void reset_deadline() noexcept { set_deadline(net::time_point::max()); }
  /// The same as `set_deadline`, for so long from now on.
  void timeout_after(net::timeout time) noexcept { set_deadline(net::later(time_->now(), time)); }
  void timeout_after(net::time_point at) noexcept { set_deadline(at); }

  /// By the clock of its loop, which deadlines are of. Any thread.
  net::time_point now() const noexcept { return time_->now(); }

 protected:
  net::time_point read_ = net::time_point::max();
  net::time_point write_ = net::time_point::max();

 private:
  net::clock* time_ = &net::monotonic_clock::instance(); // of one without a loop
};

// What an empty handle has in place of a socket's.
template <class Handle>
deadlines of(const std::shared_ptr<Handle>& held) noexcept {
  return held ? deadlines{held->owner().home()} : deadlines{};
}
template <class Handle>
caf::strong_actor_ptr pointer_of(const std::shared_ptr<Handle>& held) noexcept {
  return held ? held->pointer() : nullptr;
}
inline const net::endpoint no_endpoint;
inline const connection no_connection;
inline const datagram_socket no_datagram_socket;

// What becomes of an operation's value.
template <class To>
struct made_into {
  template <class T>
  To operator()(T value) const {
    return To{std::move(value)};
  }
};
struct only_payload {
  net::bytes operator()(received_datagram d) const { return std::move(d.payload); }
};

/// A connected stream (TCP or Unix). Moving it hands it on; the last of it and of its clones closes the connection when
/// it goes: what was written is sent, then the end of our side. One reads and one writes at a time. One that is empty,
/// for it was moved from, is closed: whatever is asked of it answers `closed`, and its endpoints are those of nobody.
template <class Dialect>
class basic_stream : public deadlines {
 public:
  basic_stream() = default;
  explicit basic_stream(std::shared_ptr<stream_handle> held) noexcept : deadlines(of(held)), held_(std::move(held)) {}
  basic_stream(basic_stream&&) noexcept = default;
  basic_stream& operator=(basic_stream&&) noexcept = default;

  /// To a TCP or Unix stream endpoint; what else it takes is the dialect's.
  template <class... Args>
  static auto connect(Args&&... args) {
    return Dialect::connect(std::forward<Args>(args)...);
  }

  /// Over an open, connected descriptor, the last argument, which is the caller's still if this fails; what else it
  /// takes is the dialect's. `bad_descriptor`: it is no connected TCP or Unix stream socket.
  template <class... Args>
  static auto adopt(Args&&... args) {
    return Dialect::adopt(std::forward<Args>(args)...);
  }

  explicit operator bool() const noexcept { return held_ != nullptr; }

  // -- reading (see the messages of these names in messages.hpp) ------------------------------------

  /// At least a byte, at most `max`; no bytes at the end of the stream.
  auto read(std::size_t max, time_limit within = {}) { return pull({read_request::kind::some, max}, within); }
  auto read_exactly(std::size_t count, time_limit within = {}) {
    return pull({read_request::kind::exactly, count}, within);
  }
  /// With the delimiter at its end.
  auto read_until(std::string_view delimiter, std::size_t max = line_max, time_limit within = {}) {
    return pull(read_request::until(delimiter, max), within);
  }
  /// Without the line feed.
  auto read_line(std::size_t max = line_max, time_limit within = {}) { return pull(read_request::line(max), within); }
  auto read_to_end(std::size_t max, time_limit within = {}) { return pull({read_request::kind::to_end, max}, within); }
  auto read_quiet(net::timeout gap, std::size_t max = quiet_max, time_limit within = {}) {
    return pull(read_request::quiet(gap, max), within);
  }
  /// The bytes stay.
  auto peek(std::size_t count, time_limit within = {}) { return pull({read_request::kind::peek, count}, within); }

  /// From now on `read_frame` reads frames of that format, beginning with what nobody has read, and each write is one;
  /// none: bytes again. The other reads stay as they are.
  auto use_codec(std::optional<net::framing> framing) {
    return call([framing = std::move(framing)](connection_actor& c) { c.use_codec(framing); });
  }
  /// A frame, whatever its size; at the end of the stream, `end_of_stream`. After `too_long` or `bad_frame` nothing
  /// sensible can be read any more: close.
  auto read_frame(time_limit within = {}) { return pull({read_request::kind::frame, 0}, within); }

  // -- writing --------------------------------------------------------------------------------------

  /// All of it; done when the kernel has it. Its value is the number of bytes; an error tells how many went before it
  /// (`bytes_of`), and a deadline leaves none of them queued.
  auto write(net::bytes payload, time_limit within = {}) { return put(std::move(payload), within); }
  auto write(std::string_view text, time_limit within = {}) { return put(net::bytes::to_send(text), within); }
  /// The same: nothing here writes less than all.
  auto write_all(net::bytes payload, time_limit within = {}) { return put(std::move(payload), within); }
  auto write_all(std::string_view text, time_limit within = {}) { return put(net::bytes::to_send(text), within); }
  /// With a line feed behind it.
  auto print(std::string_view line, time_limit within = {}) {
    return put(net::bytes::to_send(std::string{line} + '\n'), within);
  }
  /// Done when all that anybody wrote before is in the kernel.
  auto flush(time_limit within = {}) { return put(std::nullopt, within); }
  /// `count` bytes of a file from `offset` on; 0: up to its end.
  auto send_file(std::string path, std::uint64_t offset = 0, std::uint64_t count = 0, time_limit within = {}) {
    return Dialect::template perform<write_operation>(
        pointer(), std::make_unique<net::file_source>(std::move(path), offset, count), within, write_);
  }

  // -- ending ---------------------------------------------------------------------------------------

  /// Ends our side; the peer's goes on. (Navi's `close`.)
  auto finish() { return Dialect::template perform<finish_operation>(pointer()); }
  auto shutdown_write() { return finish(); }
  /// What the peer sends from now on is dropped.
  auto stop_reading() {
    return call([](connection_actor& c) { c.stop_reading(); });
  }
  auto shutdown_read() { return stop_reading(); }
  /// Both.
  auto shutdown() {
    stop_reading_later();
    return finish();
  }
  /// Both sides, for all clones. What was written is sent first.
  auto close() {
    return call([](connection_actor& c) { c.close(); });
  }
  auto teardown() { return close(); }
  /// The peer gets an RST.
  auto abort() {
    return call([](connection_actor& c) { c.abort(); });
  }
  bool is_closed() const noexcept { return !held_ || owner().is_closed(); }

  // -- who it is ------------------------------------------------------------------------------------

  const net::endpoint& local_endpoint() const noexcept { return held_ ? owner().local() : no_endpoint; }
  const net::endpoint& peer_endpoint() const noexcept { return held_ ? owner().peer() : no_endpoint; }

  auto set(net::socket_option option) {
    return call([option = std::move(option)](connection_actor& c) -> result<void> {
      if (auto done = c.socket().set(option); !done)
        return failed(make_error(done.error()));
      return {};
    });
  }

  /// `co_await peer.get<net::no_delay>()`: an option of the socket.
  template <class Option>
  auto get() {
    return call([](connection_actor& c) -> result<Option> {
      auto got = c.socket().template get<Option>();
      if (!got)
        return failed(make_error(got.error()));
      return *got;
    });
  }

  /// Another handle to the same connection, with deadlines of its own.
  basic_stream try_clone() const { return basic_stream{held_}; }

  /// The same connection for messages. Pulls of both are served in the order in which they come.
  const connection& as_connection() const noexcept { return held_ ? owner().handle() : no_connection; }

 private:
  caf::strong_actor_ptr pointer() const noexcept { return pointer_of(held_); }
  stream_owner& owner() const noexcept { return held_->owner(); }
  auto pull(read_request which, time_limit within) {
    return Dialect::template perform<read_operation>(pointer(), std::move(which), within, read_);
  }
  auto put(std::optional<net::bytes> payload, time_limit within) {
    return Dialect::template perform<write_operation>(pointer(), std::move(payload), within, write_);
  }
  template <class F>
  auto call(F what) {
    return Dialect::template perform<call_operation<F>>(pointer(), std::move(what));
  }
  void stop_reading_later() { as_connection().stop_reading(); }

  std::shared_ptr<stream_handle> held_;
};

/// Makes every accept of a server, the one that waits and all that follow, answer `interrupted`. Any thread.
class stop_handle {
 public:
  explicit stop_handle(caf::strong_actor_ptr server) noexcept : server_(std::move(server)) {}
  void stop() const noexcept {
    if (server_)
      static_cast<server_owner&>(*server_->get()).interrupt();
  }

 private:
  caf::strong_actor_ptr server_;
};

/// A listening socket; it accepts when asked to, and what comes meanwhile waits in the backlog. Goes with its last
/// handle. An empty one answers `closed`.
template <class Dialect>
class basic_server : public deadlines {
 public:
  basic_server() = default;
  explicit basic_server(std::shared_ptr<server_handle> held) noexcept : deadlines(of(held)), held_(std::move(held)) {}
  basic_server(basic_server&&) noexcept = default;
  basic_server& operator=(basic_server&&) noexcept = default;

  /// On a TCP or Unix stream endpoint; what else it takes is the dialect's.
  template <class... Args>
  static auto bind(Args&&... args) {
    return Dialect::listen(std::forward<Args>(args)...);
  }

  explicit operator bool() const noexcept { return held_ != nullptr; }

  /// The next connection, in the order of their coming.
  auto accept(time_limit within = {}) {
    return Dialect::template perform<accept_operation, made_into<basic_stream<Dialect>>>(pointer(), within, read_);
  }

  stop_handle stopper() const noexcept { return stop_handle{pointer()}; }

  /// Done when the port or the path is free again. Connections stay.
  auto close() { return Dialect::template perform<close_server_operation>(pointer()); }

  const net::endpoint& local_endpoint() const noexcept { return held_ ? held_->owner().local() : no_endpoint; }
  basic_server try_clone() const { return basic_server{held_}; }

 private:
  caf::strong_actor_ptr pointer() const noexcept { return pointer_of(held_); }

  std::shared_ptr<server_handle> held_;
};

/// A datagram socket (UDP or Unix). Goes with its last handle. An empty one answers `closed`.
template <class Dialect>
class basic_datagram_socket : public deadlines {
 public:
  basic_datagram_socket() = default;
  explicit basic_datagram_socket(std::shared_ptr<datagram_handle> held) noexcept
      : deadlines(of(held)), held_(std::move(held)) {}
  basic_datagram_socket(basic_datagram_socket&&) noexcept = default;
  basic_datagram_socket& operator=(basic_datagram_socket&&) noexcept = default;

  /// To a UDP or Unix datagram endpoint (a text without a scheme means UDP); what else it takes is the dialect's.
  template <class... Args>
  static auto bind(Args&&... args) {
    return Dialect::bind(std::forward<Args>(args)...);
  }

  explicit operator bool() const noexcept { return held_ != nullptr; }

  /// Others are not heard any more, and `write` goes there.
  auto connect(net::endpoint peer) { return command(datagram::connect{std::move(peer)}); }
  auto disconnect() { return command(datagram::disconnect{}); }

  /// Done when the kernel has it. An answer to who sent the datagram that was received last goes out from the address
  /// where that was sent to.
  auto send_to(std::string_view text, net::endpoint to) { return send_to(net::bytes::copy(text), std::move(to)); }
  auto send_to(net::bytes payload, net::endpoint to) {
    return command(datagram::send{std::move(payload), std::move(to), 0});
  }
  /// To the connected peer.
  auto write(std::string_view text) { return write(net::bytes::copy(text)); }
  auto write(net::bytes payload) { return command(datagram::send{std::move(payload), std::nullopt, 0}); }
  /// As one datagram.
  auto send_file(std::string path, net::endpoint to) {
    return command(datagram::send_file{std::move(path), std::move(to), 0, 0, 0});
  }

  /// The next datagram; of a longer one than `max` bytes the rest is lost.
  auto receive_from(std::size_t max = 65'536, time_limit within = {}) {
    return Dialect::template perform<receive_operation>(pointer(), max, within, read_);
  }
  /// Its payload.
  auto read(std::size_t max = 65'536, time_limit within = {}) {
    return Dialect::template perform<receive_operation, only_payload>(pointer(), max, within, read_);
  }

  auto set(net::socket_option option) { return command(datagram::set_options{socket_options{{std::move(option)}}}); }
  auto close() { return command(datagram::close{}); }
  bool is_closed() const noexcept { return !held_ || held_->owner().is_closed(); }
  const net::endpoint& local_endpoint() const noexcept { return held_ ? held_->owner().local() : no_endpoint; }
  basic_datagram_socket try_clone() const { return basic_datagram_socket{held_}; }
  const datagram_socket& as_datagram_socket() const noexcept {
    return held_ ? held_->owner().handle() : no_datagram_socket;
  }

 private:
  caf::strong_actor_ptr pointer() const noexcept { return pointer_of(held_); }
  template <class Command>
  auto command(Command what) {
    return Dialect::template perform<datagram_command>(pointer(), caf::make_message(std::move(what)));
  }

  std::shared_ptr<datagram_handle> held_;
};

/// Of a path or an abstract name (`@NAME`), or of a text that says what it is.
inline endpoint_argument unix_endpoint(std::string_view path) {
  return path.starts_with("unix:") ? std::string{path} : "unix:" + std::string{path};
}
inline endpoint_argument unix_datagram_endpoint(std::string_view path) {
  return path.starts_with("unixgram:") ? std::string{path} : "unixgram:" + std::string{path};
}

} // namespace actnet::sequential
