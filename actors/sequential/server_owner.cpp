#include "actnet/actors/sequential/server_owner.hpp"

#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/make_lean.hpp"
#include "actnet/actors/messages.hpp"

#include <caf/actor_cast.hpp>
#include <caf/exit_reason.hpp>

#include <utility>

namespace actnet::sequential {

// -- the owner ---------------------------------------------------------------------------------------

void server_owner::cannot_begin(const caf::error& cause) {
  if (auto waiting = std::exchange(listening_, nullptr))
    waiting->fail(cause);
}

void server_owner::on_message(caf::mailbox_element& command) {
  auto& content = command.content();
  if (content.match_elements<listening>()) {
    local_ = content.get_as<listening>(0).local;
    if (auto waiting = std::exchange(listening_, nullptr))
      waiting->succeed();
  } else if (content.match_elements<listen_failed>()) {
    if (auto waiting = std::exchange(listening_, nullptr))
      waiting->fail(content.get_as<listen_failed>(0).cause);
    end({});
  } else if (content.match_elements<listener_closed>()) {
    const auto& cause = content.get_as<listener_closed>(0).cause;
    refuse_all(cause ? code_of(cause) : errc::closed);
    end({});
  } else if (!content.match_elements<connections_alarm>()) {
    answer(command, make_error(errc::unexpected_message));
  }
}

void server_owner::on_exit_message(const caf::strong_actor_ptr&, const caf::error& reason) {
  if (reason && reason != caf::exit_reason::normal)
    abort_now(reason == caf::exit_reason::user_shutdown ? errc::closed : errc::aborted);
}

void server_owner::abort_now(errc cause) {
  if (auto waiting = std::exchange(listening_, nullptr))
    waiting->fail(make_error(cause));
  refuse_all(cause);
  end(cause == errc::closed ? caf::error{} : make_error(cause)); // the listener ends with it
}

void server_owner::refuse_all(errc cause) {
  closed_ = true;
  if (refused_ == errc::none)
    refused_ = cause;
  there_.clear();
  for (auto each : std::exchange(waiting_, {}))
    each->fail(refused_);
  for (auto each : std::exchange(closing_, {}))
    each->finish({});
}

void server_owner::interrupt() noexcept {
  const auto refuse = [](void* self, void*) noexcept {
    auto& me = *static_cast<server_owner*>(self);
    if (me.refused_ == errc::none)
      me.refused_ = errc::interrupted;
    for (auto each : std::exchange(me.waiting_, {}))
      each->fail(errc::interrupted);
    me.listener_.pause_accepting();
    intrusive_ptr_release(me.ctrl());
  };
  intrusive_ptr_add_ref(ctrl());
  if (!home().loop().post(refuse, this, nullptr))
    intrusive_ptr_release(ctrl());
}

/// From the loop of the connection.
void server_owner::arrived(const caf::strong_actor_ptr& self, std::shared_ptr<stream_handle> stream) noexcept {
  struct arrival {
    caf::strong_actor_ptr self;
    std::shared_ptr<stream_handle> stream;
    void take() { static_cast<server_owner&>(*self->get()).take(std::move(stream)); }
  };
  auto& home = static_cast<server_owner&>(*self->get()).home();
  auto made = std::make_unique<arrival>(arrival{self, std::move(stream)});
  if (home.is_current()) {
    made->take();
    return;
  }
  const auto posted = home.loop().post(
      [](void* given, void*) noexcept {
        std::unique_ptr<arrival> {
          static_cast<arrival*>(given)
          } -> take();
      },
      made.get(), nullptr);
  if (posted)
    (void)made.release();
}

void server_owner::take(std::shared_ptr<stream_handle> stream) {
  if (refused_ != errc::none)
    return; // and so it is closed
  if (waiting_.empty()) {
    there_.push_back(std::move(stream));
    return;
  }
  auto& who = *waiting_.front();
  waiting_.pop_front();
  who.succeed(std::move(stream));
}

/// It came before all that waits here, and goes to whoever has been waiting meanwhile.
void server_owner::put_back(std::shared_ptr<stream_handle> stream) {
  if (refused_ == errc::none && waiting_.empty())
    there_.push_front(std::move(stream));
  else
    take(std::move(stream));
}

void server_owner::want(accept_operation& who) {
  if (refused_ != errc::none) {
    who.fail(refused_);
  } else if (!there_.empty()) {
    auto stream = std::move(there_.front());
    there_.pop_front();
    who.succeed(std::move(stream));
  } else {
    waiting_.push_back(&who);
    listener_.resume_accepting(waiting_.size());
  }
}

server_handle::~server_handle() {
  if (owner().is_closed()) // then the actor system may have ended before
    return;
  owner().handle().stop_listening();
}

// -- operations --------------------------------------------------------------------------------------

listen_operation::listen_operation(loop_host& home, endpoint_argument local, listen_options options)
    : home_(home), local_(std::move(local)), options_(std::move(options)) {
  options_.connection = on_demand(options_.connection);
}

void listen_operation::begin() noexcept {
  const auto made = owner_ = make_lean<server_owner>(home_);
  auto& owner = static_cast<server_owner&>(*made->get());
  owner.listening_ = this;
  owner.start();
  if (owner.is_closed())
    return; // the loop is stopping; this has finished by that, and may be gone
  owner.listener_ = listen(home_.system(), local_, options_)
                        .owned_by(caf::actor_cast<caf::actor>(made))
                        .paused()
                        .start([server = made](loop_host& where, const connection& opened) {
                          auto stream = stream_owner::make(where, opened);
                          auto actor = caf::actor_cast<caf::actor>(stream->pointer());
                          server_owner::arrived(server, std::move(stream));
                          return actor;
                        });
}

void listen_operation::succeed() {
  finish(std::make_shared<server_handle>(static_cast<server_owner&>(*std::exchange(owner_, nullptr)->get())));
}

void listen_operation::fail(const caf::error& cause) {
  owner_ = nullptr;
  finish(failed(about("cannot listen on", local_, cause)));
}

void listen_operation::call_off() noexcept {
  auto& owner = static_cast<server_owner&>(*owner_->get());
  owner.listening_ = nullptr;
  owner.end({});
}

accept_operation::accept_operation(caf::strong_actor_ptr of, time_limit within, net::time_point otherwise)
    : owner_(std::move(of)), within_(within), otherwise_(otherwise) {}

void accept_operation::begin() noexcept {
  const auto until = within_.resolve(home().loop(), otherwise_);
  if (until != net::time_point::max())
    home().loop().judging_timers().arm(*this, until);
  owner().want(*this);
}

void accept_operation::succeed(std::shared_ptr<stream_handle> stream) {
  home().loop().judging_timers().cancel(*this);
  finish(std::move(stream));
}

void accept_operation::fail(errc cause) {
  home().loop().judging_timers().cancel(*this);
  finish(failed(cause));
}

void accept_operation::on_timer(net::time_point) noexcept {
  owner().waiting_.remove(this);
  finish(failed(errc::timed_out));
}

void accept_operation::call_off() noexcept {
  home().loop().judging_timers().cancel(*this);
  owner().waiting_.remove(this);
}

void accept_operation::undo() noexcept {
  if (outcome_ && *outcome_)
    owner().put_back(std::move(outcome_->value()));
}

void close_server_operation::begin() noexcept {
  auto& server = owner();
  if (server.ended()) {
    finish({});
    return;
  }
  server.closing_.push_back(this);
  server.listener_.stop_listening();
}

void close_server_operation::call_off() noexcept {
  owner().closing_.remove(this);
}

} // namespace actnet::sequential
