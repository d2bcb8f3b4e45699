#include "actnet/actors/address_hints.hpp"

#include "actnet/actors/errors.hpp"
#include "actnet/net/socket/port_listeners.hpp"

#include <string>

namespace actnet {

namespace {

caf::error with_hint(std::error_code cause, const std::string& hint) {
  return hint.empty() ? make_error(cause) : make_error(static_cast<errc>(cause.value()), cause.message() + ": " + hint);
}

std::string missing_zone(std::error_code cause, const net::endpoint& where) {
  const auto& ip = where.ip();
  if (cause != errc::invalid_argument || !ip.is_v6() || !ip.is_link_local() || ip.scope_id() != 0)
    return {};
  return "a link-local address needs its interface, as in " + ip.to_string() + "%eth0";
}

std::string who_has_port(std::error_code cause, const net::endpoint& local) {
  if (cause != errc::address_in_use || local.transport() != net::transport::tcp || local.port() == 0)
    return {};
  const auto port = std::to_string(local.port());
  const auto there = net::listeners_on(local.port());
  if (!there)
    return {};
  if (!there->v4 && !there->v6)
    return "nobody listens there, but a socket that is bound to port " + port + " or connected from it has it";
  if (local.ip() == net::ip_address::any_v6() && !there->v6)
    return "[::]:" + port + " takes the port of IPv4, too, which somebody has; v6_only leaves that alone";
  if (local.ip().is_v4() && !there->v4)
    return "a socket on [::]:" + port + " has the port of IPv4, too, unless it is opened with v6_only";
  return {};
}

} // namespace

caf::error cannot_open(std::error_code cause, const net::endpoint& local) {
  const auto hint = missing_zone(cause, local);
  return with_hint(cause, hint.empty() ? who_has_port(cause, local) : hint);
}

caf::error cannot_connect(std::error_code cause, const net::endpoint& remote) {
  return with_hint(cause, missing_zone(cause, remote));
}

} // namespace actnet
