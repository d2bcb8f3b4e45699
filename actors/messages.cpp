#include "actnet/actors/messages.hpp"

#include "actnet/actors/loops.hpp"

#include <caf/actor_system_config.hpp>

namespace actnet {

void announce_messages(caf::actor_system_config& cfg) {
  cfg.add_message_type<net::bytes>("actnet::net::bytes");
  cfg.add_message_type<net::endpoint>("actnet::net::endpoint");
  cfg.add_message_type<stream::write>("actnet::stream::write");
  cfg.add_message_type<stream::write_file>("actnet::stream::write_file");
  cfg.add_message_type<stream::flush>("actnet::stream::flush");
  cfg.add_message_type<stream::finish>("actnet::stream::finish");
  cfg.add_message_type<stream::close>("actnet::stream::close");
  cfg.add_message_type<stream::abort>("actnet::stream::abort");
  cfg.add_message_type<stream::pause_reading>("actnet::stream::pause_reading");
  cfg.add_message_type<stream::resume_reading>("actnet::stream::resume_reading");
  cfg.add_message_type<stream::stop_reading>("actnet::stream::stop_reading");
  cfg.add_message_type<stream::read_some>("actnet::stream::read_some");
  cfg.add_message_type<stream::read_exactly>("actnet::stream::read_exactly");
  cfg.add_message_type<stream::read_until>("actnet::stream::read_until");
  cfg.add_message_type<stream::read_line>("actnet::stream::read_line");
  cfg.add_message_type<stream::read_to_end>("actnet::stream::read_to_end");
  cfg.add_message_type<stream::read_quiet>("actnet::stream::read_quiet");
  cfg.add_message_type<stream::peek>("actnet::stream::peek");
  cfg.add_message_type<stream::read_frame>("actnet::stream::read_frame");
  cfg.add_message_type<stream::use_codec>("actnet::stream::use_codec");
  cfg.add_message_type<stream::pulled>("actnet::stream::pulled");
  cfg.add_message_type<stream::set_options>("actnet::stream::set_options");
  cfg.add_message_type<stream::set_deadline>("actnet::stream::set_deadline");
  cfg.add_message_type<stream::set_idle_timeout>("actnet::stream::set_idle_timeout");
  cfg.add_message_type<stream::set_owner>("actnet::stream::set_owner");
  cfg.add_message_type<stream::get_info>("actnet::stream::get_info");
  cfg.add_message_type<stream::written>("actnet::stream::written");
  cfg.add_message_type<stream::finished>("actnet::stream::finished");
  cfg.add_message_type<stream::info>("actnet::stream::info");
  cfg.add_message_type<stream::received>("actnet::stream::received");
  cfg.add_message_type<stream::peer_finished>("actnet::stream::peer_finished");
  cfg.add_message_type<stream::writable>("actnet::stream::writable");
  cfg.add_message_type<stream::closed>("actnet::stream::closed");
  cfg.add_message_type<datagram::disconnect>("actnet::datagram::disconnect");
  cfg.add_message_type<datagram::connect>("actnet::datagram::connect");
  cfg.add_message_type<datagram::set_options>("actnet::datagram::set_options");
  cfg.add_message_type<datagram::set_owner>("actnet::datagram::set_owner");
  cfg.add_message_type<datagram::pause_reading>("actnet::datagram::pause_reading");
  cfg.add_message_type<datagram::resume_reading>("actnet::datagram::resume_reading");
  cfg.add_message_type<datagram::close>("actnet::datagram::close");
  cfg.add_message_type<datagram::get_info>("actnet::datagram::get_info");
  cfg.add_message_type<datagram::sent>("actnet::datagram::sent");
  cfg.add_message_type<datagram::received>("actnet::datagram::received");
  cfg.add_message_type<datagram::writable>("actnet::datagram::writable");
  cfg.add_message_type<datagram::closed>("actnet::datagram::closed");
  cfg.add_message_type<datagram::send>("actnet::datagram::send");
  cfg.add_message_type<datagram::send_file>("actnet::datagram::send_file");
  cfg.add_message_type<datagram::info>("actnet::datagram::info");
  cfg.add_message_type<datagram::join_group>("actnet::datagram::join_group");
  cfg.add_message_type<datagram::leave_group>("actnet::datagram::leave_group");
  cfg.add_message_type<listening>("actnet::listening");
  cfg.add_message_type<listen_failed>("actnet::listen_failed");
  cfg.add_message_type<accepted>("actnet::accepted");
  cfg.add_message_type<pause_accepting>("actnet::pause_accepting");
  cfg.add_message_type<resume_accepting>("actnet::resume_accepting");
  cfg.add_message_type<set_limits>("actnet::set_limits");
  cfg.add_message_type<get_listener_info>("actnet::get_listener_info");
  cfg.add_message_type<listener_info>("actnet::listener_info");
  cfg.add_message_type<connections_alarm>("actnet::connections_alarm");
  cfg.add_message_type<stop_listening>("actnet::stop_listening");
  cfg.add_message_type<drain>("actnet::drain");
  cfg.add_message_type<listener_closed>("actnet::listener_closed");
  cfg.add_message_type<connect>("actnet::connect");
  cfg.add_message_type<cancel_connect>("actnet::cancel_connect");
  cfg.add_message_type<connected>("actnet::connected");
  cfg.add_message_type<connect_failed>("actnet::connect_failed");
  cfg.add_message_type<reconnecting>("actnet::reconnecting");
  cfg.add_message_type<bound>("actnet::bound");
  cfg.add_message_type<bind_failed>("actnet::bind_failed");
  cfg.add_error_category(error_category, [](std::uint8_t code, caf::atom_value, const caf::message& context) {
    return to_text(caf::error{code, error_category, context});
  });
}

} // namespace actnet
