// A stream with gtcp's operations. Written once, as coroutines; a dialect says how it goes through them: one that
// blocks has each wait where it stands, and gives its outcome.
//
// `Way`, of a dialect:
//   dialect          whose streams they are
//   task<T>          the coroutine that comes to a T
//   outcome(task)    what a member function gives back of it
//   sleep(time)      to await
//   place            where to connect from: `connect(endpoint, time_limit)` to await, and `now()`
#pragma once

#include "actnet/actors/sequential/basic_stream.hpp"
#include "actnet/actors/sequential/gtcp.hpp"
#include "actnet/actors/sequential/gtcp_store.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace actnet::sequential::gtcp {

template <class Way>
class basic_pool;

/// A connection. What its operations give back is the dialect's: `result<T>`, or a task to await for one. One call at a
/// time, and it outlives its calls; to read while another writes, make a second one of `as_stream().try_clone()`. It
/// is closed when it goes, if not by `close`.
///
/// The timeout of a `..._with_timeout` counts for each attempt, and replaces the connection's own deadline for that
/// call only. Without retries it is the time of the whole call.
template <class Way>
class basic_conn {
  template <class T>
  using task = typename Way::template task<result<T>>;
  using timeout = std::optional<net::duration>;

 public:
  using stream = basic_stream<typename Way::dialect>;

  basic_conn() = default;
  /// Takes over a stream, whichever side it is of.
  explicit basic_conn(stream connected) noexcept : stream_(std::move(connected)) {}

  /// To a TCP or Unix stream endpoint, within 30 s if nothing else is said; what else it takes is the dialect's.
  template <class... Args>
  static auto connect(Args&&... args) {
    return Way::connect(std::forward<Args>(args)...);
  }
  /// Over an open, connected descriptor, which is the caller's still if this fails.
  template <class... Args>
  static auto adopt(Args&&... args) {
    return Way::adopt(std::forward<Args>(args)...);
  }

  explicit operator bool() const noexcept { return static_cast<bool>(stream_); }

  // -- sending --------------------------------------------------------------------------------------

  /// All of it; done when the kernel has it. Its value is the number of bytes; an error tells how many went before it
  /// (`bytes_of`).
  auto send(net::bytes data, retry again = {}) { return sending(std::move(data), again, {}); }
  auto send(std::string_view data, retry again = {}) { return send(net::bytes::to_send(data), again); }
  auto send_with_timeout(net::bytes data, net::timeout within, retry again = {}) {
    return sending(std::move(data), again, within);
  }
  auto send_with_timeout(std::string_view data, net::timeout within, retry again = {}) {
    return send_with_timeout(net::bytes::to_send(data), within, again);
  }

  // -- receiving: what has come when the time is over stays for the next call ----------------------------

  /// `length` > 0: exactly so many bytes. If the stream ends first the error is `end_of_stream`, with the bytes that
  /// came (`partial_of`).
  /// `length` < 0: waits for a byte, and takes all that comes until none has come for the buffer wait.
  /// `length` = 0: what is there, at once; no bytes if nothing is. At the end of the stream `end_of_stream`.
  auto recv(std::int64_t length, retry again = {}) { return receiving(length, again, {}); }
  auto recv_with_timeout(std::int64_t length, net::timeout within, retry again = {}) {
    return receiving(length, again, within);
  }

  /// Up to a line feed and without it; a carriage return before it is part of the line. More than `max` bytes are
  /// `too_long`, and stay. `end_of_stream` brings what came of a line.
  auto recv_line(retry again = {}, std::size_t max = line_max) {
    return run<net::bytes>(again, {}, [this, max](attempts& tries) {
      return repeat([this, max](time_limit within) { return stream_.read_line(max, within); }, tries);
    });
  }
  /// Up to `til` and with it, which is found byte for byte; otherwise as `recv_line`. `til` has 1 to 256 bytes, else
  /// `invalid_argument`.
  auto recv_till(std::string_view til, retry again = {}, std::size_t max = line_max) {
    return run<net::bytes>(again, {}, [this, til = std::string{til}, max](attempts& tries) {
      return repeat([this, &til, max](time_limit within) { return stream_.read_until(til, max, within); }, tries);
    });
  }

  // -- both -----------------------------------------------------------------------------------------

  /// `send`, then `recv(length)`. A retry goes on with the half that failed: nothing is sent twice.
  auto send_recv(net::bytes data, std::int64_t length, retry again = {}) {
    return exchanging(std::move(data), length, again, {});
  }
  auto send_recv(std::string_view data, std::int64_t length, retry again = {}) {
    return send_recv(net::bytes::copy(data), length, again);
  }
  /// The timeout covers both halves together.
  auto send_recv_with_timeout(net::bytes data, std::int64_t length, net::timeout within, retry again = {}) {
    return exchanging(std::move(data), length, again, within);
  }
  auto send_recv_with_timeout(std::string_view data, std::int64_t length, net::timeout within, retry again = {}) {
    return send_recv_with_timeout(net::bytes::copy(data), length, within, again);
  }

  // -- packages: a header that tells the size of the data, and the data ----------------------------------

  /// Its value is the number of bytes, with the header. `message_too_large`: the data is larger than the option allows;
  /// nothing was sent. A package of which only a part went leaves the peer out of step: the connection is closed then.
  auto send_pkg(net::bytes data, pkg_option option = {}) { return sending_pkg(std::move(data), option, {}); }
  auto send_pkg(std::string_view data, pkg_option option = {}) { return send_pkg(net::bytes::to_send(data), option); }
  auto send_pkg_with_timeout(net::bytes data, net::timeout within, pkg_option option = {}) {
    return sending_pkg(std::move(data), option, within);
  }
  auto send_pkg_with_timeout(std::string_view data, net::timeout within, pkg_option option = {}) {
    return send_pkg_with_timeout(net::bytes::to_send(data), within, option);
  }

  /// The data of the next package, which may be empty. Larger than the option allows: `message_too_large`, and the
  /// connection is closed, because nothing that follows could be understood. The memory is that of the bytes that have
  /// come, whatever the header says. Between two packages the end is `end_of_stream` without bytes.
  auto recv_pkg(pkg_option option = {}) { return receiving_pkg(option, {}); }
  auto recv_pkg_with_timeout(net::timeout within, pkg_option option = {}) { return receiving_pkg(option, within); }

  auto send_recv_pkg(net::bytes data, pkg_option option = {}) { return exchanging_pkg(std::move(data), option, {}); }
  auto send_recv_pkg(std::string_view data, pkg_option option = {}) {
    return send_recv_pkg(net::bytes::copy(data), option);
  }
  /// The timeout covers both halves together.
  auto send_recv_pkg_with_timeout(net::bytes data, net::timeout within, pkg_option option = {}) {
    return exchanging_pkg(std::move(data), option, within);
  }
  auto send_recv_pkg_with_timeout(std::string_view data, net::timeout within, pkg_option option = {}) {
    return send_recv_pkg_with_timeout(net::bytes::copy(data), within, option);
  }

  // -- deadlines: points in time by the loop's clock, until they are set anew ------------------------------

  void set_deadline(net::time_point at) noexcept { stream_.set_deadline(at); }
  void set_recv_deadline(net::time_point at) noexcept { stream_.set_read_deadline(at); }
  void set_send_deadline(net::time_point at) noexcept { stream_.set_write_deadline(at); }
  void reset_deadline() noexcept { stream_.reset_deadline(); }
  void set_recv_buffer_wait(net::timeout wait) noexcept { wait_ = wait; }

  // -- the rest -------------------------------------------------------------------------------------

  /// What was sent goes first. One of a pool's goes back there, if all that was asked of it was done and no byte of the
  /// peer's is left in it; otherwise it is closed. Either way this object is `closed` from then on.
  auto close() { return Way::outcome(end()); }

  const net::endpoint& local_endpoint() const noexcept { return stream_.local_endpoint(); }
  const net::endpoint& peer_endpoint() const noexcept { return stream_.peer_endpoint(); }
  /// All else that can be done with it. The pool knows nothing of what is done here.
  stream& as_stream() noexcept { return stream_; }

 private:
  friend class basic_pool<Way>;
  using store = pool_store<Way>;

  basic_conn(std::shared_ptr<store> from, net::endpoint remote) noexcept
      : store_(std::move(from)), remote_(std::move(remote)) {}

  auto sending(net::bytes data, const retry& again, timeout each) {
    return run<std::uint64_t>(again, each, [this, data](attempts& tries) { return transmit(data, tries); });
  }
  auto receiving(std::int64_t length, const retry& again, timeout each) {
    return run<net::bytes>(again, each, [this, length](attempts& tries) { return receive(length, tries); });
  }
  auto exchanging(net::bytes data, std::int64_t length, const retry& again, timeout each) {
    return run<net::bytes>(again, each,
                           [this, data, length](attempts& tries) { return exchange(data, length, tries); });
  }
  auto sending_pkg(net::bytes data, const pkg_option& option, timeout each) {
    return run<std::uint64_t>(option.again, each,
                              [this, data, option](attempts& tries) { return transmit_pkg(data, option, tries); });
  }
  auto receiving_pkg(const pkg_option& option, timeout each) {
    return run<net::bytes>(option.again, each, [this, option](attempts& tries) { return receive_pkg(option, tries); });
  }
  auto exchanging_pkg(net::bytes data, const pkg_option& option, timeout each) {
    return run<net::bytes>(option.again, each,
                           [this, data, option](attempts& tries) { return exchange_pkg(data, option, tries); });
  }

  /// `work(attempts&)`, with what every operation has before and after it.
  template <class T, class Work>
  auto run(const retry& again, timeout each, Work work) {
    return Way::outcome(carry_out<T, Work>(attempts{again, each}, std::move(work)));
  }
  template <class T, class Work>
  task<T> carry_out(attempts tries, Work work) {
    if (reused_) {
      auto fresh = co_await renew();
      if (!fresh)
        co_return failed(fresh.error());
    }
    if (!stream_)
      co_return failed(errc::closed);
    ++not_done_; // and so it stays if this is called off
    tries.begin(stream_.now());
    auto got = co_await work(tries);
    reused_ = false;
    if (got)
      --not_done_;
    co_return got;
  }

  /// The wait between two attempts.
  task<void> rest(attempts& tries) {
    (void)co_await Way::sleep(tries.interval());
    tries.begin(stream_.now());
    co_return result<void>{};
  }

  task<std::uint64_t> transmit(net::bytes data, attempts& tries) {
    for (std::uint64_t sent = 0;;) {
      auto done = co_await stream_.write(data.slice(sent), tries.limit());
      if (done)
        co_return sent + *done;
      const auto cause = done.error();
      sent += bytes_of(cause);
      if (reused_ && sent == 0 && is_gone(cause)) {
        auto other = co_await replace();
        if (other)
          other = co_await renew();
        if (!other)
          co_return failed(other.error());
        continue;
      }
      if (!tries.another(cause))
        co_return failed(make_error(code_of(cause), sent));
      (void)co_await rest(tries);
    }
  }

  template <class Read>
  task<net::bytes> repeat(Read read, attempts& tries) {
    for (;;) {
      auto got = co_await read(tries.limit());
      if (got || !tries.another(got.error()))
        co_return got;
      (void)co_await rest(tries);
    }
  }

  task<net::bytes> receive(std::int64_t length, attempts& tries) {
    if (length > 0)
      co_return co_await repeat(
          [this, length](time_limit within) { return stream_.read_exactly(static_cast<std::size_t>(length), within); },
          tries);
    if (length < 0)
      co_return co_await repeat([this](time_limit within) { return stream_.read_quiet(wait_, quiet_max, within); },
                                tries);
    auto there = co_await stream_.read(quiet_max, net::time_point{});
    if (there && there->empty())
      co_return failed(errc::end_of_stream);
    if (!there && there.error() == errc::timed_out)
      co_return net::bytes{};
    co_return there;
  }

  task<net::bytes> exchange(net::bytes data, std::int64_t length, attempts& tries) {
    auto sent = co_await transmit(std::move(data), tries);
    if (!sent)
      co_return failed(sent.error());
    co_return co_await receive(length, tries);
  }

  /// A package of which only a part went leaves the peer out of step: what follows would become its body. So the
  /// connection is closed if the sending ends before the package does, also when it is called off.
  class whole_package {
   public:
    explicit whole_package(basic_conn& of) noexcept : of_(of) {}
    ~whole_package() {
      if (!is_over_)
        of_.stream_.as_connection().close();
    }
    whole_package(const whole_package&) = delete;
    whole_package& operator=(const whole_package&) = delete;
    void is_over() noexcept { is_over_ = true; }

   private:
    basic_conn& of_;
    bool is_over_ = false;
  };

  task<std::uint64_t> transmit_pkg(net::bytes data, pkg_option option, attempts& tries) {
    if (option.mistake() != errc::none)
      co_return failed(option.mistake());
    if (data.size() > option.limit())
      co_return failed(errc::message_too_large);
    whole_package sending{*this};
    auto done = co_await transmit(to_package(data, option.header_bytes), tries);
    if (done || bytes_of(done.error()) == 0)
      sending.is_over();
    co_return done;
  }

  task<net::bytes> receive_pkg(pkg_option option, attempts& tries) {
    if (option.mistake() != errc::none)
      co_return failed(option.mistake());
    const auto header = option.header_bytes;
    auto head = co_await repeat([this, header](time_limit within) { return stream_.peek(header, within); }, tries);
    if (!head)
      co_return head;
    const auto size = data_size_of(*head);
    if (size > option.limit()) {
      (void)co_await stream_.close();
      co_return failed(errc::message_too_large);
    }
    auto all = co_await repeat(
        [this, count = header + size](time_limit within) { return stream_.read_exactly(count, within); }, tries);
    if (!all)
      co_return failed(without_first(all.error(), header));
    all->remove_prefix(header);
    co_return all;
  }

  task<net::bytes> exchange_pkg(net::bytes data, pkg_option option, attempts& tries) {
    auto sent = co_await transmit_pkg(std::move(data), option, tries);
    if (!sent)
      co_return failed(sent.error());
    co_return co_await receive_pkg(option, tries);
  }

  // -- of a pool ------------------------------------------------------------------------------------

  static bool is_gone(const caf::error& cause) { return cause == errc::closed || cause == errc::connection_reset; }

  /// Before anything is done with a connection that was idle: one that the peer has finished, or sent something unasked
  /// on, is no good.
  task<void> renew() {
    while (reused_) {
      auto there = co_await stream_.peek(1, net::time_point{});
      if (!there && there.error() == errc::timed_out)
        break;
      auto other = co_await replace();
      if (!other)
        co_return other;
    }
    co_return result<void>{};
  }

  /// Another idle one, or a new one, with the deadlines of this.
  task<void> replace() {
    const deadlines mine = stream_;
    const auto had = static_cast<bool>(stream_);
    stream_ = store_->take(remote_);
    reused_ = static_cast<bool>(stream_);
    if (!reused_) {
      auto made = co_await store_->connect(remote_);
      if (!made)
        co_return failed(made.error());
      stream_ = std::move(*made);
    }
    if (had)
      static_cast<deadlines&>(stream_) = mine;
    co_return result<void>{};
  }

  task<void> end() {
    if (!stream_)
      co_return result<void>{};
    if (!store_)
      co_return co_await stream_.close();
    auto mine = std::exchange(stream_, stream{});
    reused_ = false;
    if (not_done_ == 0) {
      auto left = co_await mine.peek(1, net::time_point{});
      if (!left && left.error() == errc::timed_out) {
        mine.reset_deadline();
        store_->put(remote_, std::move(mine));
        co_return result<void>{};
      }
    }
    co_return co_await mine.close();
  }

  stream stream_;
  net::duration wait_ = recv_buffer_wait;
  std::shared_ptr<store> store_; // of the pool it is from
  net::endpoint remote_;         // there
  bool reused_ = false;          // it was idle there, and nothing has been done with it since
  std::uint32_t not_done_ = 0;   // operations that failed, were called off, or go on
};

/// Connects, does `work(conn&, time left)`, and closes. `within` covers all of it.
template <class Way, class T, class Work>
typename Way::template task<result<T>> once(typename Way::place from, endpoint_argument remote,
                                            std::optional<net::duration> within, Work work) {
  const auto until = net::later(from.now(), within.value_or(net::duration::max()));
  auto stream = co_await from.connect(std::move(remote), within.value_or(connect_timeout));
  if (!stream)
    co_return failed(stream.error());
  basic_conn<Way> peer{std::move(*stream)};
  auto got = co_await work(peer, std::max(net::duration{0}, until - from.now()));
  (void)co_await peer.close();
  co_return got;
}

} // namespace actnet::sequential::gtcp
