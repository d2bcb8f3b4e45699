#include "actnet/actors/sequential/stream_owner.hpp"

#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/make_lean.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/sequential/connect_operation.hpp"

#include <caf/exit_reason.hpp>

#include <exception>

namespace actnet::sequential {

namespace {

thread_local int aborting_scopes = 0;

} // namespace

connection_options on_demand(connection_options options) {
  options.on_demand = true;
  options.allow_half_open = true;
  return options;
}

stream_owner::stream_owner(caf::actor_config& cfg, loop_host& home) : lean_actor(cfg, home) {}

std::shared_ptr<stream_handle> stream_owner::make(loop_host& home, const actnet::connection& opened) {
  const auto made = make_lean<stream_owner>(home);
  auto& owner = static_cast<stream_owner&>(*made->get());
  owner.set_connection(opened);
  auto handle = std::make_shared<stream_handle>(owner);
  owner.start();
  return handle;
}

void stream_owner::set_connection(const actnet::connection& opened) {
  handle_ = opened;
  connection_ = opened.local();
  peer_ = connection_->peer();
  if (auto local = connection_->socket().local_endpoint())
    local_ = *local;
}

void stream_owner::cannot_begin(const caf::error&) {
  closed_ = true;
}

bool stream_owner::note(caf::mailbox_element&) {
  return false;
}

void stream_owner::on_message(caf::mailbox_element& command) {
  auto& content = command.content();
  if (content.match_elements<stream::closed>()) {
    closed_ = true;
    end({});
  } else if (content.match_elements<stream::peer_finished>()) {
    answer(command, caf::ok_atom_v);
  } else if (content.match_elements<connected>() && connecting_) {
    set_connection(content.get_as<connected>(0).connection);
    std::exchange(connecting_, nullptr)->succeed();
  } else if (content.match_elements<connect_failed>() && connecting_) {
    std::exchange(connecting_, nullptr)->fail(content.get_as<connect_failed>(0).cause);
    end({});
  } else {
    answer(command, make_error(errc::unexpected_message));
  }
}

void stream_owner::on_exit_message(const caf::strong_actor_ptr&, const caf::error& reason) {
  if (!reason || reason == caf::exit_reason::normal)
    return;
  abort_now(reason == caf::exit_reason::user_shutdown ? errc::closed : errc::aborted);
}

void stream_owner::on_down_message(const caf::strong_actor_ptr&, const caf::error&) {}

void stream_owner::abort_now(errc cause) {
  closed_ = true;
  if (auto waiting = std::exchange(connecting_, nullptr))
    waiting->fail(make_error(cause));
  end(cause == errc::closed ? caf::error{} : make_error(cause)); // the connection watches it
}

aborting_scope::aborting_scope() noexcept {
  ++aborting_scopes;
}

aborting_scope::~aborting_scope() {
  --aborting_scopes;
}

stream_handle::~stream_handle() {
  if (owner().is_closed()) // then the actor system may have ended before
    return;
  const auto& connection = owner().handle();
  if (aborting_scopes > 0 || std::uncaught_exceptions() > 0)
    connection.abort();
  else
    connection.close();
}

} // namespace actnet::sequential
