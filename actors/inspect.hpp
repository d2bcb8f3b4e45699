// How CAF looks into the messages: to print them, and to send them to another node. Included by messages.hpp.
#pragma once

#include "actnet/actors/messages.hpp"

#include <caf/meta/type_name.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace actnet {

namespace detail {

/// For types that travel as another one: `to` makes it, `from` reads it back (an unreadable one stays as it is).
template <class Inspector, class T, class To, class From>
typename Inspector::result_type inspect_as(Inspector& f, T& x, To to, From from) {
  auto shape = to(x);
  if constexpr (Inspector::writes_state) {
    if (auto failed = f(shape))
      return failed;
    from(x, shape);
    return caf::none;
  } else {
    return f(shape);
  }
}

} // namespace detail

} // namespace actnet

// -- values: in their own namespaces, where they are looked up ---------------------------------------

namespace actnet::net {

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, bytes& x) {
  return actnet::detail::inspect_as(
      f, x, [](const bytes& b) { return std::string{b.view()}; },
      [](bytes& b, const std::string& s) { b = bytes::copy(s); });
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, timeout& x) {
  return actnet::detail::inspect_as(
      f, x, [](timeout t) { return duration{t}; }, [](timeout& t, duration d) { t = d; });
}

/// As numbers.
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, peer_credentials& x) {
  return actnet::detail::inspect_as(
      f, x,
      [](const peer_credentials& c) {
        return std::vector<std::int64_t>{c.process, c.user, c.group};
      },
      [](peer_credentials& c, const std::vector<std::int64_t>& n) {
        if (n.size() == 3)
          c = {static_cast<pid_t>(n[0]), static_cast<uid_t>(n[1]), static_cast<gid_t>(n[2])};
      });
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, endpoint& x) {
  return actnet::detail::inspect_as(
      f, x, [](const endpoint& e) { return e.to_string(); },
      [](endpoint& e, const std::string& s) {
        if (auto parsed = endpoint::parse(s))
          e = std::move(*parsed);
      });
}

} // namespace actnet::net

namespace actnet {

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, plain_option& x) {
  return f(caf::meta::type_name("socket_option"), x.kind, x.numbers, x.address, x.interface_address);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, socket_options& x) {
  return detail::inspect_as(
      f, x, [](const socket_options& o) { return to_plain(o); },
      [](socket_options& o, const std::vector<plain_option>& plain) { o = from_plain(plain); });
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, connection& x) {
  return detail::inspect_as(
      f, x, [](const connection& c) { return c.pointer(); },
      [](connection& c, const caf::strong_actor_ptr& target) { c = connection{target}; });
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, datagram_socket& x) {
  return detail::inspect_as(
      f, x, [](const datagram_socket& s) { return s.pointer(); },
      [](datagram_socket& s, const caf::strong_actor_ptr& target) { s = datagram_socket{target}; });
}

namespace detail {

/// An optional endpoint, as text; none is empty.
struct optional_endpoint {
  std::optional<endpoint>& value;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, optional_endpoint& x) {
  return inspect_as(
      f, x, [](const optional_endpoint& e) { return e.value ? e.value->to_string() : std::string{}; },
      [](optional_endpoint& e, const std::string& s) {
        e.value = std::nullopt;
        if (auto parsed = endpoint::parse(s))
          e.value = std::move(*parsed);
      });
}

struct optional_address {
  std::optional<net::ip_address>& value;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, optional_address& x) {
  return inspect_as(
      f, x, [](const optional_address& a) { return a.value ? a.value->to_string() : std::string{}; },
      [](optional_address& a, const std::string& s) {
        a.value = std::nullopt;
        if (const auto parsed = net::ip_address::parse(s))
          a.value = *parsed;
      });
}

/// An optional time, as its number; none is negative.
struct optional_time {
  std::optional<std::chrono::milliseconds>& value;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, optional_time& x) {
  return inspect_as(
      f, x, [](const optional_time& t) { return t.value ? std::int64_t{t.value->count()} : std::int64_t{-1}; },
      [](optional_time& t, std::int64_t count) {
        t.value = count < 0 ? std::nullopt : std::optional{std::chrono::milliseconds{count}};
      });
}

/// An optional number; none is negative.
struct optional_number {
  std::optional<std::uint32_t>& value;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, optional_number& x) {
  return inspect_as(
      f, x, [](const optional_number& n) { return n.value ? std::int64_t{*n.value} : std::int64_t{-1}; },
      [](optional_number& n, std::int64_t value) {
        n.value = value < 0 ? std::nullopt : std::optional{static_cast<std::uint32_t>(value)};
      });
}

/// A group membership, as the option that sets it.
template <class Inspector, class Group>
typename Inspector::result_type inspect_group(Inspector& f, Group& group) {
  return inspect_as(
      f, group, [](const Group& g) { return socket_options{{g}}; },
      [](Group& g, const socket_options& o) {
        if (!o.list.empty())
          if (auto found = std::get_if<Group>(&o.list.front()))
            g = *found;
      });
}

} // namespace detail

namespace stream {

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, write& x) {
  return f(caf::meta::type_name("actnet::stream::write"), x.payload, x.token);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, flush& x) {
  return f(caf::meta::type_name("actnet::stream::flush"), x.token);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, finish&) {
  return f(caf::meta::type_name("actnet::stream::finish"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, close&) {
  return f(caf::meta::type_name("actnet::stream::close"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, abort&) {
  return f(caf::meta::type_name("actnet::stream::abort"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, pause_reading&) {
  return f(caf::meta::type_name("actnet::stream::pause_reading"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, resume_reading&) {
  return f(caf::meta::type_name("actnet::stream::resume_reading"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, stop_reading&) {
  return f(caf::meta::type_name("actnet::stream::stop_reading"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, set_options& x) {
  return f(caf::meta::type_name("actnet::stream::set_options"), x.options);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, set_deadline& x) {
  return f(caf::meta::type_name("actnet::stream::set_deadline"), x.from_now);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, set_idle_timeout& x) {
  return f(caf::meta::type_name("actnet::stream::set_idle_timeout"), x.timeout);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, set_owner& x) {
  return f(caf::meta::type_name("actnet::stream::set_owner"), x.owner);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, get_info&) {
  return f(caf::meta::type_name("actnet::stream::get_info"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, written& x) {
  return f(caf::meta::type_name("actnet::stream::written"), x.token, x.bytes, x.cause);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, write_file& x) {
  return f(caf::meta::type_name("actnet::stream::write_file"), x.path, x.offset, x.count, x.token);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, read_some& x) {
  return f(caf::meta::type_name("actnet::stream::read_some"), x.max, x.within);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, read_exactly& x) {
  return f(caf::meta::type_name("actnet::stream::read_exactly"), x.count, x.within);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, read_until& x) {
  return f(caf::meta::type_name("actnet::stream::read_until"), x.delimiter, x.max, x.within);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, read_line& x) {
  return f(caf::meta::type_name("actnet::stream::read_line"), x.max, x.within);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, read_to_end& x) {
  return f(caf::meta::type_name("actnet::stream::read_to_end"), x.max, x.within);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, read_quiet& x) {
  return f(caf::meta::type_name("actnet::stream::read_quiet"), x.gap, x.max, x.within);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, peek& x) {
  return f(caf::meta::type_name("actnet::stream::peek"), x.count, x.within);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, read_frame& x) {
  return f(caf::meta::type_name("actnet::stream::read_frame"), x.within);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, use_codec& x) {
  return detail::inspect_as(
      f, x,
      [](const use_codec& c) { return (c.only_reads ? "reads " : "both ") + (c.framing ? c.framing->to_text() : ""); },
      [](use_codec& c, const std::string& s) {
        const auto end = s.find(' ');
        c.only_reads = s.substr(0, end) == "reads";
        c.framing = std::nullopt;
        if (auto read = net::framing::from_text(std::string_view{s}.substr(end + 1)))
          c.framing = std::move(*read);
      });
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, pulled& x) {
  return f(caf::meta::type_name("actnet::stream::pulled"), x.payload, x.cause);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, finished& x) {
  return f(caf::meta::type_name("actnet::stream::finished"), x.cause);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, info& x) {
  return f(caf::meta::type_name("actnet::stream::info"), x.state, x.local, x.peer, x.bytes_received, x.bytes_sent,
           x.reads, x.writes_done, x.writes_failed, x.writes_refused, x.queued_bytes, x.credit_outstanding,
           x.reading_paused, x.starved, x.deadline_in, x.last_error, x.round_trip_time, x.congestion_window,
           x.retransmits, x.credentials);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, received& x) {
  return f(caf::meta::type_name("actnet::stream::received"), x.payload);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, peer_finished&) {
  return f(caf::meta::type_name("actnet::stream::peer_finished"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, writable&) {
  return f(caf::meta::type_name("actnet::stream::writable"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, closed& x) {
  return f(caf::meta::type_name("actnet::stream::closed"), x.reason, x.cause);
}

} // namespace stream

namespace datagram {

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, disconnect&) {
  return f(caf::meta::type_name("actnet::datagram::disconnect"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, connect& x) {
  return f(caf::meta::type_name("actnet::datagram::connect"), x.peer);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, set_options& x) {
  return f(caf::meta::type_name("actnet::datagram::set_options"), x.options);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, set_owner& x) {
  return f(caf::meta::type_name("actnet::datagram::set_owner"), x.owner);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, pause_reading&) {
  return f(caf::meta::type_name("actnet::datagram::pause_reading"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, resume_reading&) {
  return f(caf::meta::type_name("actnet::datagram::resume_reading"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, close&) {
  return f(caf::meta::type_name("actnet::datagram::close"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, get_info&) {
  return f(caf::meta::type_name("actnet::datagram::get_info"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, sent& x) {
  return f(caf::meta::type_name("actnet::datagram::sent"), x.token, x.cause);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, received& x) {
  return f(caf::meta::type_name("actnet::datagram::received"), x.payload, x.from, x.to, x.truncated, x.to_many);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, writable&) {
  return f(caf::meta::type_name("actnet::datagram::writable"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, closed& x) {
  return f(caf::meta::type_name("actnet::datagram::closed"), x.reason, x.cause);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, send& x) {
  detail::optional_endpoint to{x.to};
  detail::optional_address from{x.from};
  return f(caf::meta::type_name("actnet::datagram::send"), x.payload, to, x.token, from);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, send_file& x) {
  detail::optional_endpoint to{x.to};
  detail::optional_address from{x.from};
  return f(caf::meta::type_name("actnet::datagram::send_file"), x.path, to, x.offset, x.count, x.token, from);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, info& x) {
  detail::optional_endpoint peer{x.peer};
  return f(caf::meta::type_name("actnet::datagram::info"), x.local, peer, x.received, x.received_bytes, x.truncated,
           x.sent, x.sent_bytes, x.send_failed, x.receive_errors, x.dropped, x.queued_bytes, x.credit_outstanding,
           x.path_lost);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, join_group& x) {
  return detail::inspect_group(f, x.group);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, leave_group& x) {
  return detail::inspect_group(f, x.group);
}

} // namespace datagram

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, listening& x) {
  return f(caf::meta::type_name("actnet::listening"), x.local);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, listen_failed& x) {
  return f(caf::meta::type_name("actnet::listen_failed"), x.local, x.cause);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, accepted& x) {
  return f(caf::meta::type_name("actnet::accepted"), x.connection, x.local, x.peer);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, pause_accepting&) {
  return f(caf::meta::type_name("actnet::pause_accepting"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, resume_accepting& x) {
  return f(caf::meta::type_name("actnet::resume_accepting"), x.connections);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, set_limits& x) {
  detail::optional_number connections{x.max_connections}, rate{x.accept_rate}, per_address{x.max_per_address};
  detail::optional_number threshold{x.alarm_threshold};
  detail::optional_time cooldown{x.alarm_cooldown}, handshake{x.handshake_deadline};
  return f(caf::meta::type_name("actnet::set_limits"), connections, rate, per_address, threshold, cooldown, handshake);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, get_listener_info&) {
  return f(caf::meta::type_name("actnet::get_listener_info"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, listener_info& x) {
  return f(caf::meta::type_name("actnet::listener_info"), x.local, x.state, x.connections, x.accepted, x.refused,
           x.bytes_received, x.bytes_sent, x.path_lost);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, connections_alarm& x) {
  return f(caf::meta::type_name("actnet::connections_alarm"), x.local, x.connections);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, stop_listening&) {
  return f(caf::meta::type_name("actnet::stop_listening"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, drain& x) {
  return f(caf::meta::type_name("actnet::drain"), x.deadline);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, listener_closed& x) {
  return f(caf::meta::type_name("actnet::listener_closed"), x.local, x.cause);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, connect& x) {
  detail::optional_time deadline{x.deadline};
  return f(caf::meta::type_name("actnet::connect"), x.remote, deadline);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, cancel_connect&) {
  return f(caf::meta::type_name("actnet::cancel_connect"));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, connected& x) {
  return f(caf::meta::type_name("actnet::connected"), x.connection, x.local, x.peer);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, connect_failed& x) {
  return f(caf::meta::type_name("actnet::connect_failed"), x.remote, x.cause);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, reconnecting& x) {
  return f(caf::meta::type_name("actnet::reconnecting"), x.remote, x.cause, x.in);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, bound& x) {
  return f(caf::meta::type_name("actnet::bound"), x.socket, x.local);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, bind_failed& x) {
  return f(caf::meta::type_name("actnet::bind_failed"), x.local, x.cause);
}

} // namespace actnet
