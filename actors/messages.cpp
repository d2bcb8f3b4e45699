#include "actnet/actors/messages.hpp"

#include "actnet/actors/loops.hpp"

#include <caf/actor_system_config.hpp>

#include <typeindex>

namespace actnet {

namespace {

/// As CAF's `add_message_type`, but for `T` alone: that one also announces a vector and a stream of it, which nobody
/// sends and which triple what this file takes to compile.
template <class T>
void announce(caf::actor_system_config& cfg, const char* name) {
  cfg.type_names_by_rtti.emplace(std::type_index{typeid(T)}, name);
  cfg.value_factories_by_name.emplace(name, &caf::make_type_erased_value<T>);
  cfg.value_factories_by_rtti.emplace(std::type_index{typeid(T)}, &caf::make_type_erased_value<T>);
}

} // namespace

void announce_messages(caf::actor_system_config& cfg) {
  cfg.add_message_type<net::bytes>("actnet::net::bytes");
  cfg.add_message_type<net::endpoint>("actnet::net::endpoint");
  announce<stream::write>(cfg, "actnet::stream::write");
  announce<stream::write_file>(cfg, "actnet::stream::write_file");
  announce<stream::flush>(cfg, "actnet::stream::flush");
  announce<stream::finish>(cfg, "actnet::stream::finish");
  announce<stream::close>(cfg, "actnet::stream::close");
  announce<stream::abort>(cfg, "actnet::stream::abort");
  announce<stream::pause_reading>(cfg, "actnet::stream::pause_reading");
  announce<stream::resume_reading>(cfg, "actnet::stream::resume_reading");
  announce<stream::stop_reading>(cfg, "actnet::stream::stop_reading");
  announce<stream::read_some>(cfg, "actnet::stream::read_some");
  announce<stream::read_exactly>(cfg, "actnet::stream::read_exactly");
  announce<stream::read_until>(cfg, "actnet::stream::read_until");
  announce<stream::read_line>(cfg, "actnet::stream::read_line");
  announce<stream::read_to_end>(cfg, "actnet::stream::read_to_end");
  announce<stream::read_quiet>(cfg, "actnet::stream::read_quiet");
  announce<stream::peek>(cfg, "actnet::stream::peek");
  announce<stream::read_frame>(cfg, "actnet::stream::read_frame");
  announce<stream::use_codec>(cfg, "actnet::stream::use_codec");
  announce<stream::pulled>(cfg, "actnet::stream::pulled");
  announce<stream::set_options>(cfg, "actnet::stream::set_options");
  announce<stream::set_deadline>(cfg, "actnet::stream::set_deadline");
  announce<stream::set_idle_timeout>(cfg, "actnet::stream::set_idle_timeout");
  announce<stream::set_owner>(cfg, "actnet::stream::set_owner");
  announce<stream::get_info>(cfg, "actnet::stream::get_info");
  announce<stream::written>(cfg, "actnet::stream::written");
  announce<stream::finished>(cfg, "actnet::stream::finished");
  announce<stream::info>(cfg, "actnet::stream::info");
  announce<stream::received>(cfg, "actnet::stream::received");
  announce<stream::peer_finished>(cfg, "actnet::stream::peer_finished");
  announce<stream::writable>(cfg, "actnet::stream::writable");
  announce<stream::closed>(cfg, "actnet::stream::closed");
  announce<datagram::disconnect>(cfg, "actnet::datagram::disconnect");
  announce<datagram::connect>(cfg, "actnet::datagram::connect");
  announce<datagram::set_options>(cfg, "actnet::datagram::set_options");
  announce<datagram::set_owner>(cfg, "actnet::datagram::set_owner");
  announce<datagram::pause_reading>(cfg, "actnet::datagram::pause_reading");
  announce<datagram::resume_reading>(cfg, "actnet::datagram::resume_reading");
  announce<datagram::close>(cfg, "actnet::datagram::close");
  announce<datagram::get_info>(cfg, "actnet::datagram::get_info");
  announce<datagram::sent>(cfg, "actnet::datagram::sent");
  announce<datagram::received>(cfg, "actnet::datagram::received");
  announce<datagram::writable>(cfg, "actnet::datagram::writable");
  announce<datagram::closed>(cfg, "actnet::datagram::closed");
  announce<datagram::send>(cfg, "actnet::datagram::send");
  announce<datagram::send_file>(cfg, "actnet::datagram::send_file");
  announce<datagram::info>(cfg, "actnet::datagram::info");
  announce<datagram::join_group>(cfg, "actnet::datagram::join_group");
  announce<datagram::leave_group>(cfg, "actnet::datagram::leave_group");
  announce<listening>(cfg, "actnet::listening");
  announce<listen_failed>(cfg, "actnet::listen_failed");
  announce<accepted>(cfg, "actnet::accepted");
  announce<pause_accepting>(cfg, "actnet::pause_accepting");
  announce<resume_accepting>(cfg, "actnet::resume_accepting");
  announce<set_limits>(cfg, "actnet::set_limits");
  announce<get_listener_info>(cfg, "actnet::get_listener_info");
  announce<listener_info>(cfg, "actnet::listener_info");
  announce<connections_alarm>(cfg, "actnet::connections_alarm");
  announce<stop_listening>(cfg, "actnet::stop_listening");
  announce<drain>(cfg, "actnet::drain");
  announce<listener_closed>(cfg, "actnet::listener_closed");
  announce<connect>(cfg, "actnet::connect");
  announce<cancel_connect>(cfg, "actnet::cancel_connect");
  announce<connected>(cfg, "actnet::connected");
  announce<connect_failed>(cfg, "actnet::connect_failed");
  announce<reconnecting>(cfg, "actnet::reconnecting");
  announce<bound>(cfg, "actnet::bound");
  announce<bind_failed>(cfg, "actnet::bind_failed");
  cfg.add_error_category(error_category, [](std::uint8_t code, caf::atom_value, const caf::message& context) {
    return to_text(caf::error{code, error_category, context});
  });
}

} // namespace actnet
