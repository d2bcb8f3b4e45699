// A loop that is pumped by hand on a clock that is moved by hand, connections on it, and what their owner was told.
#pragma once

#include "support/baseline.hpp"
#include "support/carrier.hpp"
#include "support/catch.hpp"
#include "support/peer.hpp"
#include "support/position_stream.hpp"

#include "actnet/net/connection/connection.hpp"

#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace actnet::test {

using net::close_reason;
using net::connection_options;
using net::connection_state;
using net::errc;
using std::chrono::milliseconds;

inline net::bytes text(std::string_view s) {
  return net::bytes::copy(s);
}

inline net::bytes coded(std::size_t size, std::uint64_t offset = 0, std::uint64_t seed = 1) {
  return net::bytes::copy(position_stream{seed}.bytes(size, offset));
}

struct outcome {
  std::uint64_t token;
  std::error_code cause;
  std::size_t sent;
};

/// One connection, its owner and the peer. What it is told goes into `log`, runs of `received` as one entry.
class subject final : public net::connection_owner {
 public:
  subject(net::loop& home, net::stream_socket socket, peer other, const connection_options& options)
      : far(std::move(other)), near(home, std::move(socket), options, *this) {}

  // -- operations --------------------------------------------------------------------------

  /// As an actor would: reserves, then writes or is refused.
  net::write_item& write(net::bytes payload, std::uint64_t token = 0) {
    auto& item = make_item(token);
    const auto room = near.reserve(payload.size());
    item.payload = std::move(payload);
    room ? near.write(item) : near.refuse(item);
    return item;
  }
  /// Writes only if there is room.
  bool try_write(net::bytes payload, std::uint64_t token) {
    if (!near.reserve(payload.size()))
      return false;
    auto& item = make_item(token);
    item.payload = std::move(payload);
    near.write(item);
    return true;
  }
  /// As an actor's usual write: without an item, where that is possible. A failure has the token 0.
  void write_direct(net::bytes payload) {
    if (near.takes_direct(payload.size()))
      near.write_direct(std::move(payload));
    else
      write(std::move(payload));
  }
  void flush(std::uint64_t token) { write({}, token); }
  void write_file(const std::string& path, std::uint64_t token = 0, std::uint64_t offset = 0, std::uint64_t count = 0) {
    auto& item = make_item(token);
    const auto room = near.reserve(0);
    item.file = std::make_unique<net::file_source>(path, offset, count);
    room ? near.write(item) : near.refuse(item);
  }
  void finish(std::uint64_t token = 0) { near.finish(make_item(token)); }

  // -- what became of it -------------------------------------------------------------------

  bool closed() const { return reason.has_value(); }
  const outcome* outcome_of(std::uint64_t token) const {
    for (const auto& each : outcomes)
      if (each.token == token)
        return &each;
    return nullptr;
  }
  std::size_t count(std::string_view entry) const {
    return static_cast<std::size_t>(std::count(log.begin(), log.end(), entry));
  }

  std::vector<std::string> log;
  std::vector<outcome> outcomes;
  std::optional<close_reason> reason;
  std::error_code cause;
  std::uint64_t received_bytes = 0;
  std::string received_text; // unless `check` is set
  std::optional<position_checker> check;
  std::vector<net::bytes> kept;
  bool keep = false;
  bool answer_end = true;
  std::function<void()> when_received = [] {};
  std::function<void()> when_ended = [] {};
  std::function<void()> when_writable = [] {};
  std::function<void(const outcome&)> when_done = [](const outcome&) {};

 private:
  struct ticket : net::write_item {
    std::uint64_t token = 0;
  };
  std::vector<std::unique_ptr<ticket>> items_;

 public:
  peer far;
  net::connection near;

 private:
  ticket& make_item(std::uint64_t token) {
    auto& item = *items_.emplace_back(std::make_unique<ticket>());
    item.token = token;
    return item;
  }

  void note(std::string_view what) {
    CHECK_FALSE(closed()); // nothing comes after `closed`
    log.emplace_back(what);
  }

  void on_received(net::bytes&& payload) noexcept override {
    if (log.empty() || log.back() != "received")
      note("received");
    received_bytes += payload.size();
    if (check)
      check->feed({payload.data(), payload.size()});
    else
      received_text += payload.view();
    if (keep)
      kept.push_back(std::move(payload));
    when_received();
  }
  bool on_peer_finished() noexcept override {
    note("peer_finished");
    when_ended();
    return answer_end;
  }
  net::write_item& item_of_direct() noexcept override { return make_item(0); }
  void on_writable() noexcept override {
    note("writable");
    when_writable();
  }
  void on_outcome(net::write_item& item, std::error_code why) noexcept override {
    const auto token = static_cast<ticket&>(item).token;
    CHECK((token == 0 || !outcome_of(token))); // one outcome each
    outcomes.push_back({token, why, item.sent});
    if (!why)
      CHECK(item.sent == (item.file ? item.file->size() : item.payload.size()));
    item.payload = {};
    item.file = nullptr;
    if (token != 0)
      log.push_back((why ? "failed " : "done ") + std::to_string(token));
    when_done(outcomes.back());
  }
  void on_closed(close_reason why, std::error_code error) noexcept override {
    note("closed");
    reason = why;
    cause = error;
  }
};

/// Its connections run over each carrier in turn, unless one is said. Leaves no descriptor behind, or the test fails.
class stage {
 public:
  explicit stage(carrier kind = each_carrier(), bool real_time = false) : over(kind) {
    auto made =
        net::loop::make({.time = real_time ? nullptr : &clock, .make_backend = {}, .turn_alarm = milliseconds{0}});
    REQUIRE(made);
    loop = std::move(*made);
    loop->run_once(false);
  }
  ~stage() {
    for (auto& each : subjects_)
      each->near.abort();
    settle();
  }

  subject& open(const connection_options& options = {}, bool claimed = true, peer_options theirs = {},
                std::size_t send_buffer_bytes = 0) {
    std::optional<net::stream_socket> ours;
    std::optional<peer> other;
    if (over == carrier::local) {
      auto both = net::stream_socket::pair();
      REQUIRE(both);
      ours = std::move(both->first);
      other.emplace(descriptor{both->second.release()}, theirs, ours->fd());
    } else {
      listening_peer listener{theirs};
      auto begun = net::stream_socket::begin_connect(*net::endpoint::parse(listener.address()), {}, {});
      REQUIRE(begun);
      ours = std::move(begun->socket);
      other = listener.accept();
      REQUIRE(ours->set(net::no_delay{}));
    }
    if (send_buffer_bytes > 0)
      REQUIRE(ours->set(net::send_buffer{send_buffer_bytes}));
    auto& fresh = adopt(std::move(*ours), std::move(*other), options, claimed);
    settle();
    return fresh;
  }

  /// A connection over a socket that exists. Any moment, also within a turn of the loop.
  subject& adopt(net::stream_socket ours, peer theirs, const connection_options& options = {}, bool claimed = true) {
    auto& fresh =
        *subjects_.emplace_back(std::make_unique<subject>(*loop, std::move(ours), std::move(theirs), options));
    fresh.near.begin(claimed);
    return fresh;
  }

  /// One round, without waiting, after what the test itself deferred was served.
  void round() {
    loop->after_turn();
    loop->run_once(false);
  }

  /// Rounds enough for everything that is under way in this process to arrive.
  void settle() {
    for (int i = 0; i < 12; ++i)
      round();
  }

  /// Pumps until it is true; false after the default deadline.
  template <class Predicate>
  bool pump_until(Predicate done) {
    const auto end = std::chrono::steady_clock::now() + default_deadline;
    for (int rounds = 0; !done(); ++rounds) {
      if (std::chrono::steady_clock::now() >= end)
        return false;
      round();
      if (rounds % 64 == 63) // seldom, for on a busy machine each may take milliseconds
        ::sched_yield();
    }
    return true;
  }

  bool pump_until_closed(const subject& who) {
    return pump_until([&] { return who.closed(); });
  }

  /// Moves the time on and lets the timers see it.
  void advance(net::duration by) {
    clock.advance(by);
    settle();
  }

 private:
  baseline before_;

 public:
  const carrier over;
  net::manual_clock clock;
  std::unique_ptr<net::loop> loop;

 private:
  said_carrier said_{over};
  std::vector<std::unique_ptr<subject>> subjects_;
};

/// Takes what the peer's kernel holds and appends it. `false` at the end of the stream or after a reset.
inline bool drain(peer& from, std::string& into, std::size_t most = 65'536) {
  std::string buffer(most, '\0');
  const auto got = ::recv(from.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got > 0)
    into.append(buffer, 0, static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && errno == EAGAIN);
}

} // namespace actnet::test

// For Catch's messages.
namespace actnet::net {
inline std::ostream& operator<<(std::ostream& out, connection_state state) {
  return out << to_string(state);
}
inline std::ostream& operator<<(std::ostream& out, close_reason reason) {
  return out << to_string(reason);
}
} // namespace actnet::net
